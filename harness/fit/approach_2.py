"""Approach 2: IsoFLOP profiles and the power laws through their minima."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from harness.errors import UserError
from harness.fit import bootstrap
from harness.fit.bootstrap import Interval, percentile_interval
from harness.fit.budgets import Cells, cells_of, count_cells, group_budgets
from harness.fit.estimate import WIDE
from harness.fit.options import FitOptions
from harness.fit.powerlaw import fit_frontier, frontier_fields, frontier_flags
from harness.fit.profiles import Axis, fit_polynomials, minima, value
from harness.fit.results import Approach2, BudgetOptimum, Profile
from harness.fit.run_range import run_range
from harness.fit.status import Flag, is_void, judge
from harness.fit.table import Array, Points

STREAM = 2
# Runs of one budget whose compute differs by more than this (in ln C) get a regressor for it.
SPREAD = 0.02


@dataclass(frozen=True, eq=False)
class ProfileMinimum:
    """One budget's result, and what the power laws need of it: ln C, the point (3,) and draws (draws, 3).

    The three columns are ln N*, ln D*, L*.
    """

    result: BudgetOptimum
    log_c: float
    point: Array
    draws: Array


def fit_approach_2(points: Points, options: FitOptions) -> Approach2:
    """Per budget a polynomial of loss in ln N, and another in ln D; power laws through the minima.

    Hoffmann et al. 2022, section 3.2. D* has its own profile, since measured compute is not 6ND. The parabola
    is biased where profiles are wide, asymmetric or off centre (Czech et al. 2026, arXiv 2603.22339): degree
    3 or approach 3 is the check. Budgets without a trustworthy minimum take no part in the power laws.

    Status: ``too_few_budgets`` (fewer than two minima), ``two_budgets``, ``budgets_dropped``, ``unstable`` and
    ``wide_interval`` (also where half of the minima are), ``approximate_budgets``; each budget has its own.
    """
    kind = _kind(options)
    budgets = group_budgets(points)
    optima = []
    for index, (label, group) in enumerate(zip(budgets.labels, budgets.groups, strict=True)):
        rng = bootstrap.generator(options.seed, STREAM * 1000 + index)
        optima.append(fit_profile(points.select(group), label, options, kind, rng))
    common: dict[str, Any] = {
        "level": options.level,
        "bootstrap": kind if options.draws else "none",
        "n_points": len(points) - len(budgets.ungrouped),
        "smallest_flops": float(points.flops.min()),
        "largest_flops": float(points.flops.max()),
        "runs": run_range(points),
        "extrapolation_limit": options.extrapolation_limit,
        "budgets": tuple(optimum.result for optimum in optima),
        "degree": options.degree,
        "robust": options.robust,
        "ungrouped": tuple(points.run_id[i] for i in budgets.ungrouped),
    }
    good = [optimum for optimum in optima if optimum.result.params_opt is not None]
    flags = _flags(optima, good, len(budgets.ungrouped), budgets.approximate)
    if is_void(flags):
        return Approach2(**common, **judge(flags))
    log_c = np.array([optimum.log_c for optimum in good])
    row = fit_frontier(log_c, *np.stack([optimum.point for optimum in good], axis=1)[:, None, :])[0]
    draws = None
    if options.draws and all(len(optimum.draws) for optimum in good):
        draws = fit_frontier(log_c, *np.moveaxis(np.stack([o.draws for o in good], axis=1), 2, 0))
    return Approach2(
        **common,
        **frontier_fields(row, draws, options.level),
        **judge(flags + _doubtful_minima(good) + frontier_flags(row, draws)),
    )


def fit_profile(
    points: Points, label: float, options: FitOptions, kind: str, rng: np.random.Generator
) -> ProfileMinimum:
    """The minimum of one budget's profile and its bootstrap.

    Args:
        points: the runs of this budget. label: its name in FLOPs. kind: ``pairs`` or ``wild``.
    """
    log_flops = np.log(points.flops)
    log_c, spread = float(log_flops.mean()), float(np.ptp(log_flops))
    basics: dict[str, Any] = {
        "budget": label,
        "n_points": len(points),
        "flops_spread": float(np.expm1(spread)),
        "run_ids": points.run_id,
    }
    sizes = len(np.unique(points.params))
    needed = options.degree + 2
    if sizes < needed or len(np.unique(points.tokens)) < needed:
        short = Flag(
            "too_few_points", f"{sizes} sizes; a polynomial of degree {options.degree} needs {needed}"
        )
        return ProfileMinimum(
            BudgetOptimum(**basics, **judge([short])), log_c, np.full(3, np.nan), np.empty((0, 3))
        )
    cell = cells_of(points)
    nuisance, uneven = _compute_regressor(log_flops - log_c, np.log(points.params), options.degree, cell)
    resampling = _resampling(kind, rng, cell, options.draws)
    point, draws = np.full(3, np.nan), np.full((options.draws, 3), np.nan)
    outside = np.zeros(options.draws, dtype=bool)
    profiles: list[Profile] = []
    for column, x in enumerate((points.params, points.tokens)):
        axis = Axis.of(np.log(x), nuisance)
        design = axis.design(options.degree)
        fitted = fit_polynomials(design, points.loss[None], np.ones((1, len(points))), options.robust)
        vertex = minima(fitted, options.degree)
        profiles.append(_profile(fitted[0], axis, options.degree))
        if problem := _problem(fitted[0], float(vertex[0]), options.degree, ("N", "D")[column]):
            result = BudgetOptimum(**basics, **_named(profiles), **judge([problem, *uneven]))
            return ProfileMinimum(result, log_c, np.full(3, np.nan), np.empty((0, 3)))
        redrawn = _redraw(design, fitted[0], points.loss, cell, resampling, kind, options)
        vertices = minima(redrawn, options.degree)
        point[column] = axis.centre + axis.half * vertex[0]
        draws[:, column] = axis.centre + axis.half * vertices
        outside |= ~(np.abs(vertices) <= 1)
        if column == 0:
            point[2] = value(fitted, vertex, options.degree)[0]
            draws[:, 2] = value(redrawn, vertices, options.degree)
    # With one degree of freedom pairs draw polynomials through the runs themselves: they support no interval. Turned
    # residuals there have Student's factor for it (three budgets of four sizes: N* held by .92, a by .99 of .90).
    judged = draws if kind == "wild" or count_cells(cell) > needed else draws[:0]
    with np.errstate(over="ignore"):
        intervals = [percentile_interval(x, options.level) for x in (*np.exp(judged[:, :2]).T, judged[:, 2])]
    result = BudgetOptimum(
        **basics,
        **_named(profiles),
        params_opt=float(np.exp(point[0])),
        tokens_opt=float(np.exp(point[1])),
        loss_opt=float(point[2]),
        params_interval=intervals[0],
        tokens_interval=intervals[1],
        loss_interval=intervals[2],
        **judge(uneven + _minimum_flags(outside[: len(judged)], intervals[0])),
    )
    return ProfileMinimum(result, log_c, point, judged)


def _compute_regressor(off: Array, log_n: Array, degree: int, cell: Cells) -> tuple[Array | None, list[Flag]]:
    """ln C about its mean as a regressor, where runs of a budget differ in compute by more than whole steps.

    Where compute follows N (budgets planned under another convention of compute than the fit's) the regressor
    would be the profile itself: it is left out, and the budget marked ``not_isoflop``.
    """
    if np.ptp(off) <= SPREAD:
        return None, []
    design = Axis.of(log_n).design(degree)
    if count_cells(cell) < degree + 3:
        explained = 1.0
    else:
        line = design @ np.linalg.lstsq(design, off, rcond=None)[0]
        explained = 1 - np.sum((off - line) ** 2) / np.sum((off - off.mean()) ** 2)
    if explained < 0.9:
        return off, []
    note = f"compute differs by {np.expm1(np.ptp(off)):.0%} within the budget, along with N"
    return None, [Flag("not_isoflop", note)]


def _kind(options: FitOptions) -> str:
    """Least squares takes the wild bootstrap: with six or seven runs a budget, pairs often lose a flank."""
    if options.bootstrap == "wild" and options.robust:
        raise UserError(
            "fit: the wild bootstrap is not valid for robust profiles; use bootstrap=pairs or auto"
        )
    if options.bootstrap == "auto":
        return "pairs" if options.robust else "wild"
    return options.bootstrap


def _resampling(kind: str, rng: np.random.Generator, cell: Cells, draws: int) -> Array:
    """Counts or signs of every run, (draws, n): those of its cell."""
    drawn = bootstrap.pair_counts if kind == "pairs" else bootstrap.wild_signs
    return drawn(rng, count_cells(cell), draws)[:, cell]


def _redraw(
    design: Array,
    fitted: Array,
    loss: Array,
    cell: Cells,
    resampling: Array,
    kind: str,
    options: FitOptions,
) -> Array:
    """Coefficients of every draw, shape (draws, k)."""
    if not len(resampling):
        return np.empty((0, design.shape[1]))
    if kind == "pairs":
        return fit_polynomials(design, loss[None], resampling, options.robust)
    line = design @ fitted
    # HC2: residuals at points of high leverage are too small. Their size is itself known from few degrees of
    # freedom, which percentiles would pass over: Student's quantile over the normal one makes up for it. Further
    # seeds of a cell are no further degrees of freedom: what the polynomial misses there they all have.
    freedom, tail = max(count_cells(cell) - design.shape[1], 1), (1 + options.level) / 2
    residual = bootstrap.inflated(loss - line, design, cell, 0.5)
    residual *= stdtrit(freedom, tail) / ndtri(tail)
    return fit_polynomials(design, line + resampling * residual, np.ones((1, len(loss))))


def _problem(coefficients: Array, vertex: float, degree: int, letter: str) -> Flag | None:
    if degree == 2 and coefficients[2] <= 0:
        return Flag("negative_curvature", f"the profile in ln {letter} has no minimum: it opens downward")
    if not np.isfinite(vertex):
        return Flag(
            "vertex_outside_range", f"the profile in ln {letter} has no minimum within the sampled range"
        )
    if abs(vertex) > 1:
        side = "below the smallest" if vertex < 0 else "above the largest"
        return Flag("vertex_outside_range", f"the minimum in ln {letter} lies {side} {letter} that was run")
    return None


def _minimum_flags(outside: NDArray[np.bool_], interval: Interval | None) -> list[Flag]:
    flags = []
    if not len(outside):
        flags.append(Flag("no_interval", "no bootstrap draws, or one degree of freedom only"))
    elif outside.mean() > 0.1:
        flags.append(
            Flag(
                "unstable", f"{outside.mean():.0%} of the draws have their minimum outside the sampled range"
            )
        )
    if interval is not None and interval[1] > WIDE * interval[0]:
        flags.append(
            Flag("wide_interval", f"N* is known to a factor of {interval[1] / interval[0]:.3g} only")
        )
    return flags


def _flags(
    optima: list[ProfileMinimum], good: list[ProfileMinimum], ungrouped: int, approximate: bool
) -> list[Flag]:
    flags = []
    if len(good) < 2:
        flags.append(
            Flag(
                "too_few_budgets",
                f"{len(good)} of {len(optima)} budgets have a minimum; a power law needs two",
            )
        )
    elif len(good) == 2:
        flags.append(Flag("two_budgets", "two budgets: the power law passes through both, nothing checks it"))
    lost = [optimum.result for optimum in optima if optimum.result.params_opt is None]
    if lost and len(good) >= 2:
        listed = ", ".join(f"{result.budget:.3g} ({result.status})" for result in lost)
        flags.append(Flag("budgets_dropped", f"no minimum at {listed}: not part of the power laws"))
    if approximate:
        flags.append(
            Flag(
                "approximate_budgets",
                "the table names no budgets and its compute does not fall into groups: windows of 20% in C "
                f"were used, {ungrouped} runs lie in none",
            )
        )
    return flags


def _doubtful_minima(good: list[ProfileMinimum]) -> list[Flag]:
    """The warnings of single budgets as the approach's own, where at least half of the power law's points have them."""
    codes = ("unstable", "wide_interval")
    doubted = [o.result for o in good if any(code in o.result.flags for code in codes)]
    if 2 * len(doubted) < len(good):
        return []
    worst = next(code for code in codes if any(code in result.flags for result in doubted))
    listed = ", ".join(f"{result.budget:.3g}" for result in doubted)
    return [Flag(worst, f"{len(doubted)} of {len(good)} minima are themselves doubtful (at {listed})")]


def _profile(coefficients: Array, axis: Axis, degree: int) -> Profile:
    powers = axis.half ** np.arange(degree + 1)
    return Profile(centre=axis.centre, coefficients=tuple((coefficients[: degree + 1] / powers).tolist()))


def _named(profiles: list[Profile]) -> dict[str, Any]:
    return dict(zip(("params_profile", "tokens_profile"), profiles, strict=False))
