"""Effective compute: at the loss that an arm reaches with C, the compute that the first arm would need, over C.

A ratio above 1 says that the arm saves compute. It is read off the first arm's frontier, moved by the difference of
losses: from pairs of runs where the arms share cells, else from both arms' frontiers. All ratios here are natural
logarithms until they are shown.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from harness.compare.difference import PAIRINGS
from harness.compare.paired import MinimaDifference, PairNoise
from harness.fit.results import Approach, Approach3
from harness.fit.table import Array

DRAWS = 4000
MOST_SEEDS = 100
POWER = 0.8
STEP = 1.01  # of C, for a derivative


class LossCurve(Protocol):
    """L*(C) of the first arm, as far as a ratio needs it."""

    def log_ratio(self, flops: Array, more: Array) -> Array:
        """ln of the C that reaches L*(C) + ``more``, over C; both (J,) to (J,)."""

    def drawn(self, rng: np.random.Generator, flops: Array, more: Array) -> Array:
        """The same with draws of the curve for rows of ``more``, (n, J) to (n, J)."""


@dataclass(frozen=True, eq=False)
class FrontierCurve:
    """By the frontier of a fit."""

    approach: Approach

    def log_ratio(self, flops: Array, more: Array) -> Array:
        theta = self.approach.theta()
        assert theta is not None, "the approach has a frontier"
        return np.array([log_needed(self.approach, theta, c, m) for c, m in zip(flops, more, strict=True)])

    def fall(self, flops: float) -> float:
        """-dL*/dlnC at C = ``flops``."""
        theta = self.approach.theta()
        assert theta is not None, "the approach has a frontier"
        here, there = (float(self.approach.optimum(theta, flops * factor)[2]) for factor in (1.0, STEP))
        return (here - there) / math.log(STEP)

    def drawn(self, rng: np.random.Generator, flops: Array, more: Array) -> Array:
        draws = self.approach.draws
        if draws is None or not len(draws):
            return np.full(more.shape, np.nan)
        rows = draws[np.resize(rng.permutation(len(draws)), len(more))]
        columns = [log_needed(self.approach, rows, c, more[:, j]) for j, c in enumerate(flops)]
        return np.column_stack(columns)


@dataclass(frozen=True)
class SlopeCurve:
    """By a straight line of the loss in ln C, where the first arm has no frontier.

    Attributes:
        slope: -dL/dlnC. se: its standard error. degrees: of freedom of that.
    """

    slope: float
    se: float
    degrees: int

    def log_ratio(self, flops: Array, more: Array) -> Array:
        return _over(-more, np.full(more.shape, self.slope))

    def drawn(self, rng: np.random.Generator, flops: Array, more: Array) -> Array:
        """A slope that is not positive reaches a lower loss at no C: as in Fieller's interval, that end is open."""
        slopes = self.slope + self.se * rng.standard_t(self.degrees, len(more))
        return _over(-more, np.broadcast_to(slopes[:, None], more.shape))


def _over(gain: Array, slope: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(slope > 0, gain / np.where(slope > 0, slope, 1.0), np.copysign(np.inf, gain))


def log_needed(approach: Approach, theta: Array, flops: float, more: float | Array) -> Array:
    """ln(C'/C) with L*(C') = L*(C) + ``more`` for rows of parameters (..., columns); infinite where no C' reaches it.

    Args:
        more: nats per token, (...).
    """
    with np.errstate(all="ignore"):
        frontier = approach.frontier(theta)
        base = np.asarray(frontier.log_optimum(flops)[2])
        needed, own = frontier.at_loss(base + more).flops, frontier.at_loss(base).flops
        found = np.asarray(np.log(needed) - np.log(own), dtype=float)
    return np.where(np.isfinite(base), found, np.nan)


def log_ratio(first: Approach, theta: Array, second: Approach, other: Array, flops: float) -> Array:
    """ln of the C that ``first`` needs for the loss that ``second`` has at ``flops``, over that.

    Args:
        theta, other: rows of parameters of the two, (..., columns).

    Returns:
        (...), infinite where the first never reaches that loss, for its floor is above it.
    """
    with np.errstate(all="ignore"):
        wanted = np.asarray(second.frontier(other).log_optimum(flops)[2])
        base = np.asarray(first.frontier(theta).log_optimum(flops)[2])
    return log_needed(first, theta, flops, wanted - base)


def pooled_slope(best: Sequence[Sequence[tuple[float, float]]]) -> SlopeCurve | None:
    """One slope of all arms' best losses in ln C, each arm with a level of its own; None without scatter.

    Args:
        best: by arm, (C, lowest loss) of every budget.
    """
    rows = [(i, math.log(flops), loss) for i, arm in enumerate(best) for flops, loss in arm]
    arms = sorted({i for i, _, _ in rows})
    degrees = len(rows) - len(arms) - 1
    if degrees < 1:
        return None
    design = np.array([[float(i == arm) for arm in arms] + [-x] for i, x, _ in rows])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    losses = np.array([loss for _, _, loss in rows])
    solved = np.linalg.lstsq(design, losses, rcond=None)[0]
    variance = float(np.sum((losses - design @ solved) ** 2)) / degrees
    se = math.sqrt(variance * float(np.linalg.inv(design.T @ design)[-1, -1]))
    return SlopeCurve(float(solved[-1]), se, degrees)


@dataclass(frozen=True, eq=False)
class Ratios:
    """ln ratios of an arm at several C.

    Attributes:
        flops, values: (J,). draws: (n, J), each row one draw of all of them.
    """

    flops: Array
    values: Array
    draws: Array

    def trend(self) -> tuple[float, Array] | None:
        """Slope of the ln ratio in ln C and its draws (n,); None with one C, or without finite values."""
        if len(self.flops) < 2 or not np.isfinite(self.values).all():
            return None
        return float(self._line(self.values)[0]), self._line(self.draws)[0]

    def at(self, flops: float) -> tuple[float, Array] | None:
        """The ratio on the line of :meth:`trend` at another C, and its draws (n,)."""
        if self.trend() is None:
            return None
        away = math.log(flops) - float(np.mean(np.log(self.flops)))
        slope, level = self._line(self.values)
        slopes, levels = self._line(self.draws)
        return float(level + slope * away), np.asarray(levels + slopes * away)

    def _line(self, values: Array) -> tuple[Array, Array]:
        """Slope and mean of rows (..., J)."""
        x = np.log(self.flops) - np.mean(np.log(self.flops))
        with np.errstate(invalid="ignore"):
            return np.asarray(values @ x / (x @ x)), np.asarray(values.mean(axis=-1))


def by_pairs(curve: LossCurve, minima: MinimaDifference, seed: int = 0) -> Ratios:
    """Ratios at the budgets of pairs: draws of the differences and of the curve, independent of each other.

    The noise of the differences moves a ratio directly; that of the curve moves its slope, so that what the two share
    is of second order.
    """
    rng = np.random.default_rng([seed, 21])
    more = minima.draws(rng, DRAWS)
    return Ratios(
        minima.flops, curve.log_ratio(minima.flops, minima.values), curve.drawn(rng, minima.flops, more)
    )


def by_frontiers(first: Approach, second: Approach, flops: Sequence[float], seed: int = 0) -> Ratios | None:
    """Ratios by two frontiers; None where one has no frontier or no draws.

    Draws are paired at random, so arms that share noise have longer intervals than they need: see
    :func:`harness.compare.difference.independent`. Those of laws that share their exponents are draws of both laws
    together, and paired as they were drawn.
    """
    theta, other = first.theta(), second.theta()
    if theta is None or other is None or first.draws is None or second.draws is None:
        return None
    rng = np.random.default_rng([seed, 22])
    n = min(len(first.draws), len(second.draws), DRAWS)
    if not n:
        return None
    joint = all(isinstance(one, Approach3) and one.shared for one in (first, second))
    pairings = 1 if joint else max(1, min(PAIRINGS, DRAWS // n))
    ours = (
        first.draws[:n]
        if joint
        else np.concatenate([first.draws[rng.permutation(len(first.draws))[:n]] for _ in range(pairings)])
    )
    theirs = (
        second.draws[:n]
        if joint
        else np.concatenate([second.draws[rng.permutation(len(second.draws))[:n]] for _ in range(pairings)])
    )
    at = np.array(flops, dtype=float)
    return Ratios(
        at,
        np.array([float(log_ratio(first, theta, second, other, c)) for c in at]),
        np.column_stack([log_ratio(first, ours, second, theirs, c) for c in at]),
    )


def more_seeds(
    minima: MinimaDifference, i: int, noise: PairNoise | None, level: float, looks: int = 1
) -> int | None:
    """How many more seeds a cell would show the difference seen at budget ``i`` with a power of 80%.

    The variance of a cell's difference is noise over its seeds, and a part that seeds do not shrink: how the arms'
    difference varies from shape to shape beyond the regression. Without repeated seeds all of it is taken for noise.

    Args:
        looks: number of tests that Holm's correction divides the error among, at worst.

    Returns:
        None where more than ``MOST_SEEDS`` are needed, or seeds alone do not do it.
    """
    tail = (1 - level) / 2 / looks
    wanted = (float(minima.values[i]) / float(stats.norm.isf(tail) + stats.norm.isf(1 - POWER))) ** 2
    wanted /= float(minima.unscaled[i, i])
    seeds = max(minima.seeds, 1.0)
    own = minima.variance * seeds if noise is None else min(noise.variance, minima.variance * seeds)
    fixed = max(minima.variance - own / seeds, 0.0)
    if wanted <= fixed:
        return None
    more = math.ceil(own / (wanted - fixed) - seeds)
    return max(1, more) if more <= MOST_SEEDS else None
