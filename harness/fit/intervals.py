"""Percentile intervals of bootstrap draws: one rule for every quantity."""

import numpy as np

from harness.fit.table import Array

Interval = tuple[float, float]
"""(low, high)."""

ENOUGH = 20
"""Fewer usable draws give no interval."""


def percentile_interval(
    draws: float | Array | None, level: float, keep_infinite: bool = False
) -> Interval | None:
    """The central interval of the draws at ``level``; None without draws, or with fewer than 20 usable.

    Args:
        draws: (n,); NaN, a draw without a value, is left out.
        level: nominal coverage, between 0 and 1.
        keep_infinite: whether an infinite draw counts, and may be an end of the interval. True where infinity is an
            answer: a law that cannot reach a loss asks for infinite compute. Between a finite draw and an infinite one
            there is no interpolation, so with infinite draws the quantiles are draws. False where infinity is an
            overflow: such a draw is left out like NaN.
    """
    if draws is None:
        return None
    values = np.atleast_1d(np.asarray(draws, dtype=float))
    usable = values[~np.isnan(values) if keep_infinite else np.isfinite(values)]
    if len(usable) < ENOUGH:
        return None
    method = "linear" if np.isfinite(usable).all() else "higher"
    low, high = np.quantile(usable, ((1 - level) / 2, (1 + level) / 2), method=method)  # type: ignore[call-overload]
    return float(low), float(high)


def span(interval: Interval) -> float:
    """The factor between the ends of an interval of a positive quantity."""
    low, high = interval
    return high / low if low > 0 else np.inf
