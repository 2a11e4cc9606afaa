"""How many parameters a shape has, and how many FLOPs its training takes, under every counting convention.

The known families are counted by :mod:`.formulas`. A shape of any other family, or with further options, is built
without memory and measured by :mod:`.measure`. That needs torch and transformers, which take seconds to import, and
planning must work, and start quickly, without them: so here, and only here, it is imported when the first such shape
is counted. It is an import downwards all the same: neither :mod:`.measure` nor :mod:`.formulas` knows this module.
"""

from functools import lru_cache

from harness.errors import UserError
from harness.model.formulas import (
    PARAM_COUNTS,
    ForwardFlops,
    Params,
    formula_forward_flops,
    formula_matrices,
    formula_params,
)
from harness.model.shape import Shape

__all__ = [
    "BACKWARD_OVER_FORWARD",
    "FLOP_COUNTS",
    "PARAM_COUNTS",
    "ForwardFlops",
    "Params",
    "all_flops_per_token",
    "block_matrices",
    "count_params",
    "flops_per_token",
    "forward_flops",
    "known_count",
]

FLOP_COUNTS: dict[str, str] = {
    "appendix_f": "every matrix product and the softmax, attention in full; backward is twice forward",
    "appendix_f_causal": "the same with half the attention: a token attends only to those before it",
    "matrix_products": "attention in full, but no embedding or softmax: what a profiler sees; for MFU",
    "6nd": "six times all parameters per token (Hoffmann et al. 2022, section 3)",
    "6nd_non_embedding": "six times the parameters without embeddings and head (Kaplan et al. 2020)",
    "6nd_matrices_and_head": "six times the block matrices and the head (Porian et al. 2024)",
}
"""What a budget may count, by name. All are training FLOPs: forward and backward."""

BACKWARD_OVER_FORWARD = 2
"""A matrix product y = xW costs one product forward, two backward: for the gradients of x and of W."""


def known_count(column: str) -> str:
    """The count in a table's column of sizes (``params``, ``params_non_embedding``): ``total`` where it is unknown."""
    name = column.removeprefix("params_")
    return name if name in PARAM_COUNTS else "total"


@lru_cache(maxsize=4096)  # a plan and a clock ask thousands of times of the same shapes
def count_params(shape: Shape) -> Params:
    """Parameters of ``shape``, exactly as the built model has them.

    Raises:
        UserError: the configuration class of an unknown family cannot be built.
    """
    if not shape.measured:
        return formula_params(shape)
    from harness.model.measure import measure_params

    return measure_params(shape)


def block_matrices(shape: Shape) -> tuple[tuple[int, int, int], ...]:
    """Rows, columns and number of the matrices of attention and feed-forward parts, as the built model has them.

    Raises:
        UserError: the configuration class of an unknown family cannot be built.
    """
    return _measured_matrices(shape) if shape.measured else formula_matrices(shape)


def forward_flops(shape: Shape, seq_len: int) -> ForwardFlops:
    """Forward FLOPs of one sequence of ``seq_len`` tokens (Hoffmann et al. 2022, Appendix F).

    Raises:
        UserError: ``seq_len`` is below 1, or longer than the positions the model has learned; or an unknown family
            cannot be built or measured.
    """
    if seq_len < 1:
        raise UserError(f"seq_len: must be at least 1, got {seq_len}")
    return (
        _measured_forward_flops(shape, seq_len) if shape.measured else formula_forward_flops(shape, seq_len)
    )


@lru_cache(maxsize=16384)
def flops_per_token(shape: Shape, seq_len: int, count: str = "appendix_f") -> float:
    """Training FLOPs per token under the convention ``count`` (a key of :data:`FLOP_COUNTS`).

    The counts by part depend on ``seq_len`` through attention; the 6ND rules do not.

    Raises:
        UserError: an unknown ``count``.
    """
    if count not in FLOP_COUNTS:
        raise UserError(f"count: no FLOP count {count!r}; choose one of {', '.join(FLOP_COUNTS)}")
    if count == "6nd":
        return 6.0 * count_params(shape).total
    if count == "6nd_non_embedding":
        return 6.0 * count_params(shape).non_embedding
    if count == "6nd_matrices_and_head":
        return 6.0 * count_params(shape).matrices_and_head
    forward = forward_flops(shape, seq_len)
    if count == "appendix_f_causal":
        forward = forward.causal()
    counted = forward.matrix_products if count == "matrix_products" else forward.total
    return (1 + BACKWARD_OVER_FORWARD) * counted / seq_len


def all_flops_per_token(shape: Shape, seq_len: int) -> dict[str, float]:
    """Training FLOPs per token under every convention, for plans and records."""
    return {count: flops_per_token(shape, seq_len, count) for count in FLOP_COUNTS}


@lru_cache(maxsize=4096)
def _measured_matrices(shape: Shape) -> tuple[tuple[int, int, int], ...]:
    from harness.model.measure import measure_matrices

    return measure_matrices(shape)


@lru_cache(maxsize=4096)
def _measured_forward_flops(shape: Shape, seq_len: int) -> ForwardFlops:
    from harness.model.measure import measure_forward_flops

    return measure_forward_flops(shape, seq_len)
