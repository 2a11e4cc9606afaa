"""FLOPs of an optimizer's own step, which no convention counts: AdamW's are few, Muon's on small batches are not.

A multiplication, an addition, a division and a root count one each.
"""

from functools import lru_cache

from harness.model.counts import block_matrices, count_params
from harness.model.shape import Shape
from harness.plan.spec import Muon

# Of one parameter: decay 1, first moment 3, second moment 4, its root with bias correction and epsilon 3, update 3.
ADAMW = 14
# Of one entry of a matrix, products aside: momentum 3, Nesterov's step 3, norm and division 3, decay and update 3.
MUON = 12


@lru_cache(maxsize=4096)
def step_flops(shape: Shape, muon: Muon | None) -> float:
    """FLOPs of one optimizer step of ``shape``.

    Raises:
        UserError: an unknown family cannot be built.
    """
    params = count_params(shape).total
    if muon is None:
        return float(ADAMW * params)
    entries = sum(rows * columns * number for rows, columns, number in block_matrices(shape))
    return float(ADAMW * (params - entries) + MUON * entries) + product_flops(shape, muon)


@lru_cache(maxsize=4096)
def product_flops(shape: Shape, muon: Muon) -> float:
    """FLOPs of the products of one of Muon's steps of ``shape``.

    With a side s no longer than the other, l, one Newton-Schulz iteration of a matrix X takes the products X Xᵀ, its
    square, and that with X: 4 s² l + 2 s³.
    """
    products = 0
    for rows, columns, number in block_matrices(shape):
        s, long = sorted((rows, columns))
        products += number * muon.ns_steps * (4 * s * s * long + 2 * s**3)
    return float(products)


def muon_matrices(shape: Shape) -> int:
    """How many matrices of ``shape`` Muon steps."""
    return sum(number for _, _, number in block_matrices(shape))
