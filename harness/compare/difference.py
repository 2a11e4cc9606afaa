"""The difference of one quantity between two arms, with an interval from the stored bootstrap draws."""

from dataclasses import dataclass

import numpy as np

from harness.fit.bootstrap import Interval, percentile_interval
from harness.fit.table import Array

DIFFER, ALIKE, UNKNOWN = "differ", "do not differ", "cannot be told"
PAIRINGS = 16


@dataclass(frozen=True, eq=False)
class Estimate:
    """A quantity of one arm: the fit's value, its draws (n,) where there are any, and why it is not reliable."""

    value: float | None
    draws: Array | None = None
    warning: str = ""


@dataclass(frozen=True)
class Difference:
    """Second arm minus first.

    Attributes:
        interval: central interval at the fits' level; None where an arm has no draws.
        verdict: ``differ`` where the interval leaves zero out, ``do not differ`` where it holds zero and is short
            enough for that to mean something, else ``cannot be told``.
        reason: why it cannot be told.
        p: two-sided, of no difference; adjusted for the other tests of its question where there are any. None where
            nothing was tested.
    """

    value: float | None
    interval: Interval | None
    verdict: str
    reason: str = ""
    p: float | None = None


def difference(
    first: Estimate,
    second: Estimate,
    level: float,
    resolution: float,
    noise: float = 0.0,
    logs: bool = False,
) -> Difference:
    """``second - first`` with the interval of two independent bootstraps.

    Args:
        noise: standard error of the difference from what the draws do not hold (the sampling of held-out documents).
        logs: the quantity is a logarithm, and its difference that of a ratio.
        level: nominal coverage of the interval.
        resolution: a difference that matters. An interval that holds zero and reaches further than this to one
            side shows nothing: runs that could not have shown such a difference are no evidence against it.
    """
    if first.value is None or second.value is None:
        reason = first.warning or second.warning or "an arm has no number"
        return Difference(None, None, UNKNOWN, reason)
    value = second.value - first.value
    if first.draws is None or second.draws is None:
        return Difference(value, None, UNKNOWN, "an arm has no bootstrap draws")
    draws = independent(first.draws, second.draws)
    if noise:
        draws = draws + noise * np.random.default_rng(1).standard_normal(len(draws))
    return of_draws(value, draws, level, resolution, logs, warning=first.warning or second.warning)


def of_draws(
    value: float,
    draws: Array,
    level: float,
    resolution: float,
    logs: bool = False,
    warning: str = "",
    keep_infinite: bool = False,
) -> Difference:
    """The difference ``value`` with the percentile interval of its ``draws`` (n,); the rest as :func:`difference`."""
    interval = percentile_interval(draws, level, keep_infinite)
    if interval is None:
        return Difference(value, None, UNKNOWN, "too few of the bootstrap draws have a number")
    if warning:
        return Difference(value, interval, UNKNOWN, warning)
    return judge_interval(value, interval, resolution, logs, p_of(draws))


def judge_interval(
    value: float, interval: Interval, resolution: float, logs: bool = False, p: float | None = None
) -> Difference:
    """The verdict of an interval on whether the difference is zero."""
    if interval[0] > 0 or interval[1] < 0:
        return Difference(value, interval, DIFFER, p=p)
    if max(-interval[0], interval[1]) > resolution:
        least = f"a ratio of {np.exp(resolution):.2g}" if logs else f"a difference of {resolution:.2g}"
        return Difference(value, interval, UNKNOWN, f"these runs could not have shown {least}", p)
    return Difference(value, interval, ALIKE, p=p)


def p_of(draws: Array) -> float:
    """Two-sided p of zero from draws (n,): twice the smaller share on either side, one draw added to each."""
    known = draws[~np.isnan(draws)]
    beyond = min(np.sum(known <= 0), np.sum(known >= 0))
    return float(min(1.0, 2 * (1 + beyond) / (1 + len(known))))


def independent(first: Array, second: Array) -> Array:
    """Differences ``second - first`` of draws (n,) and (m,), paired at random, several pairings one after another.

    Arms are resampled with the same seed, so draw i of one and draw i of the other deviate in the same direction:
    paired by index they would look dependent.
    """
    rng = np.random.default_rng(0)
    n = min(len(first), len(second))
    pairs = [rng.permutation(second)[:n] - rng.permutation(first)[:n] for _ in range(PAIRINGS)]
    return np.concatenate(pairs)
