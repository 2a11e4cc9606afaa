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

    With a side s no longer than the other, l, one Newton-Schulz iteration of a matrix X takes the products X Xᵀ, its
    square, and that with X: 4 s² l + 2 s³.
    """
    params = count_params(shape).total
    if muon is None:
        return float(ADAMW * params)
    matrices = block_matrices(shape)
    entries = sum(rows * columns * number for rows, columns, number in matrices)
    products = 0
    for rows, columns, number in matrices:
        s, long = sorted((rows, columns))
        products += number * muon.ns_steps * (4 * s * s * long + 2 * s**3)
    return float(ADAMW * (params - entries) + MUON * entries + products)
