"""FLOPs of a shape: by part (Hoffmann et al. 2022, Appendix F), and by the 6ND rules beside it."""

from dataclasses import dataclass, fields, replace

from harness.errors import UserError
from harness.plan.params import count_params
from harness.plan.shape import Shape

FLOP_COUNTS: dict[str, str] = {
    "appendix_f": "every matrix product and the softmax, attention in full; backward is twice forward",
    "appendix_f_causal": "the same with half the attention: a token attends only to those before it",
    "matrix_products": "attention in full, but no look-up or softmax: what a profiler sees; for MFU",
    "6nd": "six times all parameters per token (Hoffmann et al. 2022, section 3)",
    "6nd_non_embedding": "six times the parameters without embeddings and head (Kaplan et al. 2020)",
    "6nd_matrices_and_head": "six times the block matrices and the head (Porian et al. 2024)",
}
"""What a budget may count, by name. All are training FLOPs: forward and backward."""

BACKWARD_OVER_FORWARD = 2
"""A matrix product y = xW costs one product forward, two backward: for the gradients of x and of W."""


@dataclass(frozen=True)
class ForwardFlops:
    """FLOPs of the forward pass of one sequence, a multiplication and an addition counted as two.

    Norms, activations, rotary embeddings, biases and residual sums are left out, as in Appendix F.

    Attributes:
        embedding: the look-up, counted as a product with a one-hot matrix as the paper does.
        qkv: projections to queries, keys and values.
        scores: queries times keys.
        softmax: three operations per score.
        reduction: scores times values.
        output: projection of the heads back to the width.
        ffw: the two or three products of the feed-forward block.
        logits: the head.
        other: products of a measured model that no name above fits; 0 for the known families.
    """

    embedding: float
    qkv: float
    scores: float
    softmax: float
    reduction: float
    output: float
    ffw: float
    logits: float
    other: float = 0

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return sum(getattr(self, f.name) for f in fields(self))

    @property
    def matrix_products(self) -> float:
        """What a profiler that knows matrix products and fused attention sees: no look-up, no softmax."""
        return self.total - self.embedding - self.softmax

    def causal(self) -> "ForwardFlops":
        """The same with half the attention: scores above the diagonal are never needed."""
        return replace(self, scores=self.scores / 2, softmax=self.softmax / 2, reduction=self.reduction / 2)


def forward_flops(shape: Shape, seq_len: int) -> ForwardFlops:
    """Forward FLOPs of one sequence of ``seq_len`` tokens (Hoffmann et al. 2022, Appendix F).

    Fewer key/value heads make the projections smaller, not the scores: each query head meets every key.

    Raises:
        UserError: ``seq_len`` is below 1, or longer than the positions the model has learned.
    """
    if seq_len < 1:
        raise UserError(f"seq_len: must be at least 1, got {seq_len}")
    if shape.measured:
        from harness.plan.measured import measure_forward_flops

        return measure_forward_flops(shape, seq_len)
    family = shape.traits
    if family.learned_positions and seq_len > shape.context:
        raise UserError(
            f"seq_len: {seq_len} is longer than the shape's context of {shape.context} learned positions"
        )
    s, d, V, L = seq_len, shape.width, shape.vocab_size, shape.layers
    w, w_kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return ForwardFlops(
        embedding=2 * s * V * d,
        qkv=L * 2 * s * d * (w + 2 * w_kv),
        scores=L * 2 * s * s * w,
        softmax=L * 3 * shape.heads * s * s,
        reduction=L * 2 * s * s * w,
        output=L * 2 * s * w * d,
        ffw=L * 2 * s * (3 if family.gated else 2) * d * shape.ffw,
        logits=2 * s * d * V,
    )


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
