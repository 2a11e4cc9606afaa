"""Means over seeds with their intervals, and the verdict on a predicted winner against another size."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from harness.fit.bootstrap import Interval

WON, LOST, NOISE, UNKNOWN = "won", "lost", "within seed noise", "cannot be told"


def known_values(by_seed: Mapping[str, float | None]) -> list[float]:
    """What was measured, without the runs that diverged."""
    return [value for value in by_seed.values() if value is not None]


def within(value: float | None, interval: Interval | None) -> bool | None:
    """Whether ``value`` lies in ``interval``; None where one of them is unknown."""
    return None if value is None or interval is None else interval[0] <= value <= interval[1]


def mean_interval(values: Sequence[float], level: float) -> Interval | None:
    """Of the mean of ``values`` by Student's t; None for fewer than two different ones."""
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    low, high = stats.t.interval(level, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    return float(low), float(high)


def difference_interval(first: Sequence[float], second: Sequence[float], level: float) -> Interval | None:
    """Of mean(first) - mean(second) by Welch's t; None where either has fewer than two values, or none differ."""
    if min(len(first), len(second)) < 2 or max(np.ptp(first), np.ptp(second)) == 0:
        return None
    found = stats.ttest_ind(first, second, equal_var=False).confidence_interval(level)
    if not (np.isfinite(found.low) and np.isfinite(found.high)):
        return None
    return float(found.low), float(found.high)


def verdict_of(lead: Interval | None) -> str:
    """Of the predicted winner, whose lead over another has this interval."""
    if lead is None:
        return UNKNOWN
    return WON if lead[0] > 0 else LOST if lead[1] < 0 else NOISE
