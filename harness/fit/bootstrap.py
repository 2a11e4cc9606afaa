"""The bootstrap: what a draw holds, and percentile intervals of draws by one rule for every quantity.

What is drawn, or changes sign, is a cell. Runs that differ in their seed alone share what the fitted form misses at
their size and horizon; drawn one by one they would pass for independent evidence of it.
"""

import math
from collections.abc import Callable

import numpy as np

from harness.fit.budgets import Cells
from harness.fit.table import Array

Interval = tuple[float, float]
"""(low, high); ``inf`` is an end that is not bounded."""

NOT_BOUNDED = "not bounded"
"""What an end is called, in text and in JSON, that the runs leave open."""

BEYOND_NUMBERS = 1e100
"""An end beyond this is no number of anything here: a draw ran away, and the interval is not bounded."""

ENOUGH = 20
"""Fewer usable draws give no interval."""


def percentile_interval(
    draws: float | Array | None, level: float, keep_infinite: bool = False
) -> Interval | None:
    """The central interval of the draws at ``level``; None without draws, or with fewer than 20 usable.

    An end beyond 1e100 is infinite, one nearer to zero than 1e-100 is zero.

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
    return _end(float(low)), _end(float(high))


def joint_intervals(draws: Array, level: float) -> list[Interval | None]:
    """Intervals of several quantities that hold all of them at once at ``level``, every one by the same quantiles.

    By the ranks of the draws (Besag, Green, Higdon & Mengersen 1995, Bayesian Computation and Stochastic Systems,
    section 6.3): of one quantity it is the central interval.

    Args:
        draws: (n, quantities); a draw without a value (NaN) of any is left out of all.
        level: nominal coverage, between 0 and 1.
    """
    usable = draws[~np.isnan(draws).any(axis=1)]
    if len(usable) < ENOUGH:
        return [None] * draws.shape[1]
    rank = usable.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    outermost = np.maximum(rank, len(usable) - 1 - rank).max(axis=1) / (len(usable) - 1)
    upper = float(np.quantile(outermost, level))
    return [percentile_interval(column, 2 * upper - 1, keep_infinite=True) for column in usable.T]


def _end(value: float) -> float:
    if abs(value) > BEYOND_NUMBERS:
        return float(np.copysign(np.inf, value))
    return 0.0 if abs(value) < 1 / BEYOND_NUMBERS else value


def difference_halves(value: float, interval: Interval, other: float, its: Interval) -> Interval:
    """How far the interval of ``value - other`` reaches below and above it, from the intervals of both.

    On each side the squares of the two distances that face each other add up, which holds for skewed intervals (Zou &
    Donner 2008, "Construction of confidence limits about effect measures", Statistics in Medicine 27).
    """
    below = math.hypot(max(value - interval[0], 0.0), max(its[1] - other, 0.0))
    return below, math.hypot(max(interval[1] - value, 0.0), max(other - its[0], 0.0))


def bounds_text(interval: Interval, show: Callable[[float], str], to: str = " to ") -> str:
    """Both ends as ``show`` writes them: ``1.1M to 1.4M``, ``1.1M to not bounded``.

    An interval that is open at both ends, or begins and ends beyond all numbers, is ``not bounded``.
    """
    low, high = interval
    if np.isinf(low) and np.isinf(high):
        return NOT_BOUNDED
    return to.join(NOT_BOUNDED if np.isinf(end) else show(end) for end in (low, high))


def span(interval: Interval) -> float:
    """The factor between the ends of an interval of a positive quantity."""
    low, high = interval
    return high / low if low > 0 else np.inf


# Residuals of higher leverage than this are not inflated further: 1 - leverage is all rounding there.
MOST_LEVERAGE = 0.95


def generator(seed: int, stream: int) -> np.random.Generator:
    """A generator for one approach: adding draws or an approach leaves the others' draws as they were."""
    return np.random.default_rng([seed, stream])


def pair_counts(rng: np.random.Generator, n: int, draws: int) -> Array:
    """How often each of ``n`` cells is in each draw, shape (draws, n): whole cells, with replacement.

    All runs of a cell, and all points of a run's curve, come and go together.
    """
    return rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(float)


def stratified_counts(rng: np.random.Generator, groups: list[list[int]], cell: Cells, draws: int) -> Array:
    """How often each run is in each draw, shape (draws, n): cells are drawn within their group (a budget).

    Args:
        groups: lists of runs; each keeps its number of cells. Runs in none have count 0.
        cell: of every run, (n,).
    """
    counts = np.zeros((draws, len(cell)))
    for group in groups:
        places: dict[int, int] = {}
        column = [places.setdefault(int(cell[i]), len(places)) for i in group]
        counts[:, group] = pair_counts(rng, len(places), draws)[:, column]
    return counts


def wild_signs(rng: np.random.Generator, n: int, draws: int) -> Array:
    """Rademacher signs, shape (draws, n), that the residuals of ``n`` cells are multiplied by."""
    return rng.choice((-1.0, 1.0), size=(draws, n))


def inflated(residual: Array, design: Array, cell: Cells, power: float) -> Array:
    """Residuals (n,) corrected for how far the fit follows each run: (1 - leverage)^-power times as large.

    Power 1/2 is HC2, 1 is HC3 (MacKinnon & White 1985). The runs of a cell change sign together, so theirs is the
    matrix (I - H_cc)^-power, with H_cc the cell's block of the hat matrix (Bell & McCaffrey 2002).
    """
    q, _ = np.linalg.qr(design)
    larger = residual / (1 - np.minimum(np.sum(q**2, axis=1), MOST_LEVERAGE)) ** power
    members, sizes = np.unique(cell, return_counts=True)
    for c in members[sizes > 1]:
        mine = cell == c
        left, axes = np.linalg.eigh(np.eye(mine.sum()) - q[mine] @ q[mine].T)
        turned = (axes.T @ residual[mine]) / np.maximum(left, 1 - MOST_LEVERAGE) ** power
        larger[mine] = axes @ turned
    return larger


def standard_error(draws: Array) -> float | None:
    """Standard deviation of the finite draws (n,); None where fewer than 20 are finite."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < ENOUGH:
        return None
    with np.errstate(over="ignore"):
        spread = float(finite.std(ddof=1))
    return spread if spread < BEYOND_NUMBERS else None
