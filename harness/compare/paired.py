"""Runs of two arms in pairs: same budget, same shape, same seed. What is alike in both cancels out of the difference.

A difference of two paired runs holds three things: that of the arms, which is wanted, how that varies from shape to
shape, and noise. Seeds of one cell differ by noise alone, cells of one budget by the shapes as well.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.compare.difference import UNKNOWN, Difference, judge_interval
from harness.fit.bootstrap import Interval
from harness.fit.table import Array, Points

DIGITS = 3  # significant ones by which N and D of two tables are the same


@dataclass(frozen=True)
class ScoredRun:
    """A finished run: the cell it is of, and its losses.

    Attributes:
        budget: planned FLOPs, the same number in all runs of a budget. flops: C as the arm's fit counts it.
        size: what is the same in a run of another arm that has the same shape, such as ``32x2``.
        params: N. loss: nats per token. bits: bits per byte, None where unknown.
    """

    budget: float
    size: Hashable
    seed: int | None
    params: float
    flops: float
    loss: float
    bits: float | None = None


@dataclass(frozen=True)
class PairedCell:
    """A cell that two arms share, with their losses; run by run in pairs where they share seeds.

    Attributes:
        log_params: ln N, the mean of both arms. flops: C of the second arm's runs, their mean.
        first, second: losses; as long as each other, and the same seed at the same place, where ``matched``.
    """

    budget: float
    size: Hashable
    log_params: float
    flops: float
    first: tuple[float, ...]
    second: tuple[float, ...]
    matched: bool

    @property
    def difference(self) -> float:
        """Mean loss of the second arm minus that of the first."""
        return float(np.mean(self.second) - np.mean(self.first))

    @property
    def pairs(self) -> int:
        """How many differences of runs this is the mean of; of cells without common seeds those of the fewer runs."""
        return min(len(self.first), len(self.second))


def runs_of(points: Points) -> tuple[ScoredRun, ...]:
    """The runs of a table, with N and D in place of shapes; without budgets in it, C to three digits is one."""
    budgets = points.flops if points.budget is None else points.budget
    return tuple(
        ScoredRun(
            budget=float(f"{budgets[i]:.{DIGITS - 1}e}"),
            size=(f"{points.params[i]:.{DIGITS - 1}e}", f"{points.tokens[i]:.{DIGITS - 1}e}"),
            seed=None if points.seed is None or np.isnan(points.seed[i]) else int(points.seed[i]),
            params=float(points.params[i]),
            flops=float(points.flops[i]),
            loss=float(points.loss[i]),
        )
        for i in range(len(points))
    )


def pair(
    first: Iterable[ScoredRun], second: Iterable[ScoredRun], loss: Callable[[ScoredRun], float | None]
) -> tuple[PairedCell, ...]:
    """The cells that both arms have, by rising budget and N.

    In each the runs of common seeds are paired. Where there are none, all runs of either arm are averaged.

    Args:
        loss: of a run, in the unit of the comparison; runs without it are left out.
    """
    ours, theirs = _by_cell(first, loss), _by_cell(second, loss)
    made = []
    for key in (key for key in ours if key in theirs):
        one, two = ours[key], theirs[key]
        shared = sorted(seed for seed in one if seed is not None and seed in two)
        chosen_one = [one[seed] for seed in (shared or one)]
        chosen_two = [two[seed] for seed in (shared or two)]
        ones = [run for runs in chosen_one for run in runs]
        twos = [run for runs in chosen_two for run in runs]
        made.append(
            PairedCell(
                budget=key[0],
                size=key[1],
                log_params=float(
                    np.mean([np.mean([np.log(run.params) for run in runs]) for runs in (ones, twos)])
                ),
                flops=float(np.mean([run.flops for run in twos])),
                first=_losses(chosen_one, loss, bool(shared)),
                second=_losses(chosen_two, loss, bool(shared)),
                matched=bool(shared),
            )
        )
    return tuple(sorted(made, key=lambda cell: (cell.budget, cell.log_params, str(cell.size))))


def _by_cell(
    runs: Iterable[ScoredRun], loss: Callable[[ScoredRun], float | None]
) -> dict[tuple[float, Hashable], dict[int | None, list[ScoredRun]]]:
    cells: dict[tuple[float, Hashable], dict[int | None, list[ScoredRun]]] = {}
    for run in runs:
        if loss(run) is not None:
            cells.setdefault((run.budget, run.size), {}).setdefault(run.seed, []).append(run)
    return cells


def _losses(
    by_seed: Sequence[Sequence[ScoredRun]], loss: Callable[[ScoredRun], float | None], matched: bool
) -> tuple[float, ...]:
    """The loss of each seed, the mean where it was run twice; without common seeds that of each run."""
    found = [[value for run in runs if (value := loss(run)) is not None] for runs in by_seed]
    if matched:
        return tuple(float(np.mean(values)) for values in found)
    return tuple(value for values in found for value in values)


@dataclass(frozen=True, kw_only=True)
class PairNoise:
    """Noise of pairs as several seeds of a cell show it, pooled over cells.

    Attributes:
        variance: of the difference between two runs that differ in the arm alone, from seed to seed.
        correlation: of the noise of two paired runs; None where seeds are not shared. With it the variance is
            1 - ``correlation`` times that of runs paired at random.
        degrees: of freedom of both.
    """

    variance: float
    degrees: int
    correlation: float | None = None
    correlation_interval: Interval | None = None


def pair_noise(cells: Sequence[PairedCell], level: float) -> PairNoise | None:
    """What seeds say of the noise of pairs; None without a cell that has two in both arms.

    The interval of the correlation is Fisher's; None with fewer than four degrees of freedom.
    """
    repeated = [cell for cell in cells if cell.pairs > 1]
    matched = [cell for cell in repeated if cell.matched]
    if matched:
        one = np.concatenate([np.array(cell.first) - np.mean(cell.first) for cell in matched])
        two = np.concatenate([np.array(cell.second) - np.mean(cell.second) for cell in matched])
        degrees = sum(cell.pairs - 1 for cell in matched)
        size = float(np.sqrt(np.sum(one**2) * np.sum(two**2)))
        if size == 0:
            return PairNoise(variance=0.0, degrees=degrees)
        correlation = float(np.clip(np.sum(one * two) / size, -1, 1))
        return PairNoise(
            variance=float(np.sum((two - one) ** 2) / degrees),
            degrees=degrees,
            correlation=correlation,
            correlation_interval=_fisher(correlation, degrees, level),
        )
    if not repeated:
        return None
    degrees = min(sum(len(getattr(cell, arm)) - 1 for cell in repeated) for arm in ("first", "second"))
    variance = sum(
        sum(float(np.sum((np.array(losses) - np.mean(losses)) ** 2)) for losses in arm)
        / sum(len(losses) - 1 for losses in arm)
        for arm in ([cell.first for cell in repeated], [cell.second for cell in repeated])
    )
    return PairNoise(variance=variance, degrees=degrees)


def _fisher(correlation: float, degrees: int, level: float) -> Interval | None:
    if degrees < 4:
        return None
    half = stats.norm.ppf((1 + level) / 2) / np.sqrt(degrees - 2)
    middle = np.arctanh(np.clip(correlation, -1 + 1e-12, 1 - 1e-12))
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))


@dataclass(frozen=True, kw_only=True)
class MeanDifference:
    """A mean of differences, second arm minus first.

    Attributes:
        se: standard error; None with one cell. degrees: of freedom of it (Welch's where variances were not pooled).
    """

    value: float
    se: float | None
    degrees: float

    def judged(self, level: float, resolution: float, noise: float = 0.0) -> Difference:
        """With Student's interval and p.

        Args:
            noise: a standard error that all differences share, such as that of which documents were held out.
        """
        if self.se is None or self.degrees <= 0:
            return Difference(self.value, None, UNKNOWN, "one pair has no scatter")
        half = float(
            np.hypot(
                stats.t.ppf((1 + level) / 2, self.degrees) * self.se, stats.norm.ppf((1 + level) / 2) * noise
            )
        )
        error = float(np.hypot(self.se, noise))
        p = float(2 * stats.t.sf(abs(self.value) / error, self.degrees)) if error else float(self.value == 0)
        return judge_interval(self.value, (self.value - half, self.value + half), resolution, p=p)


def by_budget(cells: Sequence[PairedCell]) -> dict[float, MeanDifference]:
    """The mean over a budget's cells, each cell counting once.

    Its error is from the scatter of the cells' differences, so it holds noise and how the difference varies between
    shapes. A budget with one cell has the scatter of its seeds, which is noise alone.
    """
    made = {}
    for budget in dict.fromkeys(cell.budget for cell in cells):
        mine = [cell for cell in cells if cell.budget == budget]
        values = np.array([cell.difference for cell in mine])
        if len(mine) == 1 and mine[0].matched and mine[0].pairs > 1:
            values = np.array(mine[0].second) - np.array(mine[0].first)
        se = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
        made[budget] = MeanDifference(value=float(values.mean()), se=se, degrees=len(values) - 1)
    return made


def overall(means: Mapping[float, MeanDifference]) -> MeanDifference:
    """The mean of the budgets' means: budgets count alike, however many cells they have.

    Degrees of freedom are Welch's and Satterthwaite's. Where a budget has no error, the scatter is that of budgets.
    """
    values = np.array([one.value for one in means.values()])
    errors = [(one.se, one.degrees) for one in means.values() if one.se is not None]
    if len(errors) < len(values):
        se = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
        return MeanDifference(value=float(values.mean()), se=se, degrees=len(values) - 1)
    squares = np.array([se**2 for se, _ in errors])
    degrees = np.array([degree for _, degree in errors])
    total = float(squares.sum())
    welch = total**2 / float(np.sum(squares**2 / degrees)) if total else float(degrees.sum())
    return MeanDifference(value=float(values.mean()), se=float(np.sqrt(total)) / len(values), degrees=welch)


@dataclass(frozen=True, eq=False)
class MinimaDifference:
    """The difference of losses at the minima of the profiles, one a budget.

    Attributes:
        budgets, flops, values: (budgets,). unscaled: their covariance over ``variance``, (budgets, budgets).
        variance: of a cell's difference about the regression: noise over its seeds, and what the form misses.
        degrees: of freedom of ``variance``. seeds: pairs a cell, their mean.
    """

    budgets: Array
    flops: Array
    values: Array
    unscaled: Array
    variance: float
    degrees: int
    seeds: float

    @property
    def covariance(self) -> Array:
        """Of ``values``."""
        return self.variance * self.unscaled

    def at(self, i: int) -> MeanDifference:
        """One budget's, as a mean difference."""
        return MeanDifference(
            value=float(self.values[i]), se=float(np.sqrt(self.covariance[i, i])), degrees=self.degrees
        )

    def draws(self, rng: np.random.Generator, n: int) -> Array:
        """(n, budgets) of the multivariate t distribution about ``values``."""
        root = np.linalg.cholesky(self.unscaled) * np.sqrt(self.variance)
        scale = np.sqrt(rng.chisquare(self.degrees, n) / self.degrees)
        return np.asarray(
            self.values + (rng.standard_normal((n, len(self.values))) @ root.T) / scale[:, None]
        )


LEAST_DEGREES = 2


def at_minima(
    cells: Sequence[PairedCell], middles: Mapping[float, float], falls: Mapping[float, float] | None = None
) -> MinimaDifference | None:
    """Differences at the minima by one regression of the cells' differences; None where they have no scatter.

    A mean over shapes is not the difference of the minima: shapes do not lie symmetrically about them, and where N*
    moves, the difference goes through the profile with a slope. Regressed on x = ln N minus the middle of the two
    arms' ln N*, with an intercept for each budget and a slope and curvature in common, the intercept is the
    difference of the minima: midway between the minima of two parabolas of one curvature both are above them by the
    same. Slope and curvature are common but for a factor of each budget, -dL*/dlnC: along the frontier of a law
    E + A/N^alpha + B/D^beta profiles keep their shape and flatten as that falls. They are left out where there are too
    few cells. Errors take the scatter to be alike at all budgets.

    Args:
        middles: ln N by budget, midway between the minima of the arms; without one the middle of the cells.
        falls: -dL*/dlnC by budget; without them all budgets are alike.
    """
    budgets = list(dict.fromkeys(cell.budget for cell in cells))
    centre = {
        budget: float(np.mean([cell.log_params for cell in cells if cell.budget == budget]))
        for budget in budgets
    } | {budget: value for budget, value in middles.items() if budget in budgets}
    x = np.array([cell.log_params - centre[cell.budget] for cell in cells])
    fall = np.array([1.0 if falls is None else falls[cell.budget] for cell in cells])
    y = np.array([cell.difference for cell in cells])
    own = np.array([[cell.budget == budget for budget in budgets] for cell in cells], dtype=float)
    for powers in (2, 1, 0):
        design = np.column_stack([own, *(fall / fall.mean() * x**power for power in range(1, powers + 1))])
        degrees = len(cells) - design.shape[1]
        if degrees >= LEAST_DEGREES and np.linalg.matrix_rank(design) == design.shape[1]:
            break
    else:
        return None
    solved = np.linalg.lstsq(design, y, rcond=None)[0]
    left = y - design @ solved
    unscaled = np.linalg.inv(design.T @ design)[: len(budgets), : len(budgets)]
    return MinimaDifference(
        budgets=np.array(budgets),
        flops=np.array([np.mean([c.flops for c in cells if c.budget == b]) for b in budgets]),
        values=solved[: len(budgets)],
        unscaled=unscaled,
        variance=float(left @ left) / degrees,
        degrees=degrees,
        seeds=float(np.mean([cell.pairs for cell in cells])),
    )
