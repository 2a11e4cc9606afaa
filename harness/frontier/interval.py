"""Intervals of quantities that may be infinite: a draw that cannot reach a loss still counts."""

import numpy as np

from harness.fit.results import Interval
from harness.frontier.optimum import Number

ENOUGH = 20


def interval(draws: Number | None, level: float) -> Interval | None:
    """The central interval of draws (n,) at ``level``; None without draws, or with fewer than 20 usable.

    NaN (a draw without an optimum) is left out; an infinity is kept, as the end of the interval if need be.
    Between a finite draw and an infinite one there is no interpolation, so quantiles are then draws.
    """
    if draws is None:
        return None
    values = np.atleast_1d(np.asarray(draws, dtype=float))
    usable = values[~np.isnan(values)]
    if len(usable) < ENOUGH:
        return None
    method = "linear" if np.isfinite(usable).all() else "higher"
    low, high = np.quantile(usable, ((1 - level) / 2, (1 + level) / 2), method=method)  # type: ignore[call-overload]
    return float(low), float(high)
