"""Several tests of one question: Holm's correction, so that many arms and budgets do not find what is not there."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.compare.difference import DIFFER, UNKNOWN, Difference


def holm(values: Sequence[float]) -> tuple[float, ...]:
    """p-values adjusted for their number, in the order given (Holm 1979, Scandinavian Journal of Statistics 6).

    The chance that any true null hypothesis has an adjusted p of at most q is at most q, whatever their dependence.

    >>> holm((0.01, 0.04, 0.03))
    (0.03, 0.06, 0.06)
    """
    adjusted = np.ones(len(values))
    largest = 0.0
    for rank, i in enumerate(np.argsort(values, kind="stable")):
        largest = max(largest, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = largest
    return tuple(float(p) for p in adjusted)


def corrected(family: Sequence[Difference], level: float) -> tuple[Difference, ...]:
    """The differences of one question with adjusted p-values; one that no longer differs cannot be told.

    Args:
        level: of the intervals: what differs has an adjusted p of at most ``1 - level``.
    """
    tested = [i for i, one in enumerate(family) if one.p is not None]
    made = list(family)
    for i, p in zip(tested, holm([family[i].p or 0.0 for i in tested]), strict=True):
        made[i] = replace(family[i], p=p)
        if family[i].verdict == DIFFER and p > 1 - level:
            reason = f"p = {p:.2g} after Holm's correction for {len(tested)} comparisons"
            made[i] = replace(made[i], verdict=UNKNOWN, reason=reason)
    return tuple(made)
