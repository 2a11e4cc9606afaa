"""Approach 2: IsoFLOP profiles and the power laws through their minima."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from harness.errors import UserError
from harness.fit import bootstrap, law_solver
from harness.fit.bootstrap import Interval, percentile_interval
from harness.fit.budget_profile import BudgetProfile
from harness.fit.budgets import Cells, count_cells, group_budgets, units_of
from harness.fit.estimate import WIDE
from harness.fit.law_draws import predict_draws, refit_draws
from harness.fit.laws import Law
from harness.fit.misfit import LARGE, LawCheck, check_law, constant_loss, fit_error
from harness.fit.options import FitOptions
from harness.fit.powerlaw import fit_frontier, fit_power, frontier_fields, frontier_flags
from harness.fit.results import Approach2, BudgetOptimum, FitError
from harness.fit.run_range import run_range
from harness.fit.status import Flag, is_void, judge
from harness.fit.table import Array, Points
from harness.fit.useless import useless_intervals

STREAM = 2
MIN_RUNS_FOR_LAW = 8
SCATTER_ALPHA = 0.003


@dataclass(frozen=True, eq=False)
class ProfileMinimum:
    """One budget's result, and what the power laws need of it: ln C, the point (3,) and draws (draws, 3).

    The three columns are ln N*, ln D*, L*. ``bias`` (3,) has been taken off the point; zero where nothing was.
    """

    result: BudgetOptimum
    log_c: float
    point: Array
    draws: Array
    bias: Array


@dataclass(frozen=True, eq=False)
class Redrawn:
    """The tables of a bootstrap: for the law and for every budget the losses and counts of each draw.

    Attributes:
        losses: by budget, its losses for the polynomials in ln N and in ln D, each (draws or 1, n).
        weights: by budget, how often each of its runs is drawn, (draws, n); None where every draw has each once.
        laws: the law of each draw; None without a correction.
        law_losses: by budget, the losses of these laws at its runs, (draws, n).
    """

    losses: list[tuple[Array, Array]]
    weights: list[Array | None]
    laws: Law | None
    law_losses: list[Array]


def fit_approach_2(points: Points, options: FitOptions) -> Approach2:
    """Per budget a polynomial of loss in ln N, and another in ln D; power laws through the minima.

    Hoffmann et al. 2022, section 3.2. D* has its own profile, since measured compute is not 6ND. A polynomial
    is biased where profiles are wide, asymmetric or off centre (Czech et al. 2026, arXiv 2603.22339). So its bias is
    taken off, in the fit and in every draw: the same polynomial through the losses of the fitted law at the same runs,
    without noise, has a minimum whose distance from the law's own optimum is known. Budgets without a trustworthy
    minimum take no part in the power laws. Rows of one run are resampled together, in all their budgets.

    Status: ``too_few_budgets`` (fewer than two minima), ``two_budgets``, ``budgets_dropped``, ``unstable`` and
    ``wide_interval`` (also where half of the minima are), ``misfit``, ``biased`` (the bias is more than half of the
    interval's half-width and the law misfits), ``not_isoflop`` (half of the budgets are), ``approximate_budgets``;
    each budget has its own.
    """
    kind = _kind(options)
    budgets = group_budgets(points)
    common: dict[str, Any] = {
        "level": options.level,
        "bootstrap": kind if options.draws else "none",
        "n_points": len(points) - len(budgets.ungrouped),
        "smallest_flops": float(points.flops.min()),
        "largest_flops": float(points.flops.max()),
        "runs": run_range(points),
        "extrapolation_limit": options.extrapolation_limit,
        "degree": options.degree,
        "robust": options.robust,
        "ungrouped": tuple(points.run_id[i] for i in budgets.ungrouped),
    }
    if void := constant_loss(points):
        return Approach2(**common, **judge(void))
    check, why_not = _correcting_law(points, options)
    weights = np.ones(len(points)) if check is None else check.weights
    unit = units_of(points)
    profiles = [
        BudgetProfile.of(points, list(rows), label, options.degree, options.robust, weights, unit)
        if _enough(points, rows, options.degree)
        else None
        for label, rows in zip(budgets.labels, budgets.groups, strict=True)
    ]
    usable = [profile for profile in profiles if profile is not None]
    redrawn = _redraw(usable, check, points, unit, kind, options) if options.draws and usable else None
    fitted = iter(_minimum(p, i, check, redrawn, kind, options) for i, p in enumerate(usable))
    optima = [
        _too_few(points, list(rows), label, options.degree) if profile is None else next(fitted)
        for profile, label, rows in zip(profiles, budgets.labels, budgets.groups, strict=True)
    ]
    good = [optimum for optimum in optima if optimum.result.params_opt is not None]
    error, flags = _fit_error(usable), _flags(optima, good, len(budgets.ungrouped), budgets.approximate)
    common |= {
        "budgets": tuple(optimum.result for optimum in optima),
        "correction": "none" if check is None else "law",
        "correction_note": why_not or _told(good, options.degree),
        "fit_error": error,
    }
    if is_void(flags):
        return Approach2(**common, **judge(flags))
    log_c = np.array([optimum.log_c for optimum in good])
    row = fit_frontier(log_c, *np.stack([optimum.point for optimum in good], axis=1)[:, None, :])[0]
    draws = None
    if options.draws and all(len(optimum.draws) for optimum in good):
        draws = fit_frontier(log_c, *np.moveaxis(np.stack([o.draws for o in good], axis=1), 2, 0))
    flags += _doubtful_minima(good) + _uneven(good) + frontier_flags(row, draws) + _misfit(error, check)
    flags += _scatter(log_c, good) + _biased(log_c, good, check, draws, options)
    flags += useless_intervals(frontier_fields(row, draws, options.level))
    return Approach2(**common, **frontier_fields(row, draws, options.level), **judge(flags))


def _correcting_law(points: Points, options: FitOptions) -> tuple[LawCheck | None, str]:
    """The law that the bias is read from; None, and why, where there is none."""
    if not options.correct_bias:
        return None, "the polynomial's bias is left in, as analysis.correct_bias=false asks"
    if (
        len(points) < MIN_RUNS_FOR_LAW
        or min(len(np.unique(points.params)), len(np.unique(points.tokens))) < 3
    ):
        return None, "too few runs for the law that the polynomial's bias would be read from: it is left in"
    check = check_law(points)
    if not (np.isfinite(check.fit.natural).all() and (check.fit.natural[1:] > 0).all()):
        return None, "the law has no optimum, so the polynomial's bias cannot be read from it: it is left in"
    return check, ""


def _enough(points: Points, rows: tuple[int, ...], degree: int) -> bool:
    mine = list(rows)
    return min(len(np.unique(points.params[mine])), len(np.unique(points.tokens[mine]))) >= degree + 2


def _too_few(points: Points, rows: list[int], label: float, degree: int) -> ProfileMinimum:
    part = points.select(rows)
    sizes = len(np.unique(part.params))
    short = Flag("too_few_points", f"{sizes} sizes; a polynomial of degree {degree} needs {degree + 2}")
    log_flops = np.log(part.flops)
    result = BudgetOptimum(
        budget=label,
        n_points=len(part),
        flops_spread=float(np.expm1(np.ptp(log_flops))),
        run_ids=part.run_id,
        **judge([short]),
    )
    return ProfileMinimum(result, float(log_flops.mean()), np.full(3, np.nan), np.empty((0, 3)), np.zeros(3))


def _redraw(
    profiles: list[BudgetProfile],
    check: LawCheck | None,
    points: Points,
    unit: Cells,
    kind: str,
    options: FitOptions,
) -> Redrawn:
    """The bootstrap's tables. Wild: residuals, less what the law says is structure, with the signs of whole units."""
    rng = bootstrap.generator(options.seed, STREAM)
    law = None if check is None else predict_draws(check.fit.theta[None], check.data)[0]
    if kind == "pairs":
        counts = _pair_counts(rng, profiles, unit, options.draws)
        laws: Law | None = None
        at_runs: list[Array] = []
        if check is not None:
            theta = refit_draws(
                check.data, check.data.log_loss[None], counts * check.weights, check.delta, check.fit.theta
            )
            laws, at_runs = _laws(check, theta, profiles)
        losses = [(p.points.loss[None], p.points.loss[None]) for p in profiles]
        return Redrawn(losses, [counts[:, p.rows] for p in profiles], laws, at_runs)
    signs = bootstrap.wild_signs(rng, count_cells(unit), options.draws)[:, unit]
    losses, off = [], np.zeros(len(points))
    if check is not None and law is not None:
        # Runs in no budget: their residuals about the law itself.
        off = np.expm1(check.residual) * np.exp(law)
    for profile in profiles:
        # The size of residuals is known from few degrees of freedom, which percentiles would pass over: Student's
        # quantile over the normal one makes up for it.
        tail = (1 + options.level) / 2
        student = float(stdtrit(profile.freedom, tail) / ndtri(tail))
        loss, drawn = profile.points.loss, []
        for column in (0, 1):
            smooth = profile.smooth(column, loss[None])[0]
            departure = np.zeros(len(loss))
            if law is not None:
                mine = np.exp(law[profile.rows])
                departure = mine - profile.smooth(column, mine[None])[0]
            turned = student * profile.perturbation(column, loss, departure)
            drawn.append(smooth + signs[:, profile.rows] * turned)
            if column == 0:
                off[profile.rows] = turned
        losses.append((drawn[0], drawn[1]))
    laws, at_runs = None, []
    if check is not None and law is not None:
        perturbed = np.log(np.maximum(np.exp(law) + signs * off, 1e-3 * np.exp(law)))
        theta = refit_draws(check.data, perturbed, check.weights[None], check.delta, check.fit.theta)
        laws, at_runs = _laws(check, theta, profiles)
    return Redrawn(losses, [None] * len(profiles), laws, at_runs)


def _laws(check: LawCheck, theta: Array, profiles: list[BudgetProfile]) -> tuple[Law, list[Array]]:
    """Laws from centred theta (draws, 5), and their losses at the runs of each budget, (draws, n)."""
    with np.errstate(all="ignore"):
        losses = np.exp(predict_draws(theta, check.data))
        return Law.from_theta(law_solver.natural(theta, check.data)), [losses[:, p.rows] for p in profiles]


def _pair_counts(rng: np.random.Generator, profiles: list[BudgetProfile], unit: Cells, draws: int) -> Array:
    """How often each row is in each draw, (draws, n): units within their budget, or at large where a unit has several."""
    groups = [profile.rows.tolist() for profile in profiles]
    within = sum(count_cells(unit[group]) for group in groups)
    rows = np.concatenate([profile.rows for profile in profiles])
    if within > count_cells(unit[rows]):
        return bootstrap.pair_counts(rng, count_cells(unit), draws)[:, unit]
    counts = bootstrap.stratified_counts(rng, groups, unit, draws)
    counts[:, np.setdiff1d(np.arange(len(unit)), rows)] = 1.0
    return counts


def _minimum(
    profile: BudgetProfile,
    index: int,
    check: LawCheck | None,
    redrawn: Redrawn | None,
    kind: str,
    options: FitOptions,
) -> ProfileMinimum:
    """The minimum of one budget's profile, less the polynomial's bias, and its bootstrap."""
    points = profile.points
    basics: dict[str, Any] = {
        "budget": profile.label,
        "n_points": len(points),
        "flops_spread": float(np.expm1(profile.spread)),
        "run_ids": points.run_id,
    }
    for column in (0, 1):
        if problem := profile.problem(column):
            curves = _named([profile.curve(c) for c in range(column + 1)])
            result = BudgetOptimum(**basics, **curves, **judge([problem, *profile.uneven]))
            return ProfileMinimum(result, profile.log_c, np.full(3, np.nan), np.empty((0, 3)), np.zeros(3))
    raw, _ = profile.minima((points.loss[None], points.loss[None]))
    bias = np.zeros(3)
    if check is not None:
        laws, at_runs = _laws(check, check.fit.theta[None], [profile])
        found = profile.bias(at_runs[0], laws)[0]
        bias = found if np.isfinite(found).all() else bias
    point, draws, outside = raw[0] - bias, np.empty((0, 3)), np.zeros(0, dtype=bool)
    if redrawn is not None:
        weights = redrawn.weights[index]
        draws, outside = profile.minima(redrawn.losses[index], weights)
        if redrawn.laws is not None:
            with np.errstate(all="ignore"):
                off = profile.bias(redrawn.law_losses[index], redrawn.laws, weights)
            # A draw whose law has no optimum takes the fit's own bias.
            draws = draws - np.where(np.isfinite(off).all(axis=1)[:, None], off, bias)
        # With one degree of freedom pairs draw polynomials through the runs themselves: they support no interval. Turned
        # residuals there have Student's factor for it (three budgets of four sizes: N* held by .92, a by .99 of .90).
        if kind == "pairs" and count_cells(profile.unit) <= profile.degree + 2:
            draws, outside = draws[:0], outside[:0]
    with np.errstate(over="ignore"):
        intervals = [percentile_interval(x, options.level) for x in (*np.exp(draws[:, :2]).T, draws[:, 2])]
    corrected = bias.any()
    result = BudgetOptimum(
        **basics,
        **_named([profile.curve(0), profile.curve(1)]),
        params_opt=float(np.exp(point[0])),
        tokens_opt=float(np.exp(point[1])),
        loss_opt=float(point[2]),
        params_interval=intervals[0],
        tokens_interval=intervals[1],
        loss_interval=intervals[2],
        params_bias=float(bias[0]) if corrected else None,
        tokens_bias=float(bias[1]) if corrected else None,
        loss_bias=float(bias[2]) if corrected else None,
        **judge([*profile.uneven, *_minimum_flags(outside, intervals[0])]),
    )
    return ProfileMinimum(result, profile.log_c, point, draws, bias)


def _kind(options: FitOptions) -> str:
    """Least squares takes the wild bootstrap: with six or seven runs a budget, pairs often lose a flank."""
    if options.bootstrap == "wild" and options.robust:
        raise UserError(
            "fit: the wild bootstrap is not valid for robust profiles; use bootstrap=pairs or auto"
        )
    if options.bootstrap == "auto":
        return "pairs" if options.robust else "wild"
    return options.bootstrap


def _told(good: list[ProfileMinimum], degree: int) -> str:
    """What was taken off, for people."""
    if not good:
        return ""
    bias = np.array([optimum.bias for optimum in good])
    shape = {2: "parabola", 3: "cubic", 4: "quartic"}[degree]
    low, high = np.expm1(bias[:, 0].min()), np.expm1(bias[:, 0].max())
    return (
        f"the {shape}'s own bias, {low:+.1%} to {high:+.1%} of N*, is taken off the minima in every draw: it is how far "
        "the same polynomial misses the optimum of the fitted law"
    )


def _fit_error(profiles: list[BudgetProfile]) -> FitError | None:
    """Of the runs about their budgets' polynomials."""
    if not profiles:
        return None
    loss = np.concatenate([p.points.loss for p in profiles])
    smooth = np.concatenate([p.smooth(0, p.points.loss[None])[0] for p in profiles])
    group = np.repeat(np.arange(len(profiles)), [len(p.points) for p in profiles])
    return fit_error(np.log(loss), np.log(np.maximum(smooth, 1e-300)), group)


def _misfit(error: FitError | None, check: LawCheck | None) -> list[Flag]:
    """``misfit`` of the profiles: runs far off their polynomials, or a column of the table that splits them."""
    flags = []
    if error is not None and error.rms_log is not None and error.rms_log > LARGE:
        flags.append(Flag("misfit", f"the profiles miss the runs by {error.rms_log:.3g} in ln L (rms)"))
    if check is not None:
        split = [flag for flag in check.misfit if "the column " in flag.note]
        flags += [*split, *check.repeated]
    return flags


def _scatter(log_c: Array, good: list[ProfileMinimum]) -> list[Flag]:
    """``misfit`` where the minima lie further off their power laws than their own uncertainty allows."""
    if len(good) < 3 or not all(len(optimum.draws) for optimum in good):
        return []
    flags = []
    for column, letter in ((0, "N*"), (1, "D*")):
        minimum = np.array([optimum.point[column] for optimum in good])
        drawn = np.stack([optimum.draws[:, column] for optimum in good], axis=1)
        drawn = drawn[np.isfinite(drawn).all(axis=1)]
        if len(drawn) < bootstrap.ENOUGH:
            continue
        spread = np.subtract(*np.quantile(drawn, (0.84, 0.16), axis=0)) / 2
        if (spread <= 1e-9).any():
            continue
        off, freedom = _off(log_c, minimum[None])[0], len(good) - 2
        typical = np.median(np.sum(((_off(log_c, drawn) - off) / spread) ** 2, axis=1))
        ratio = float(np.sum((off / spread) ** 2) / typical) * chi2.median(freedom) / freedom
        # The spread of each minimum is itself known from a few degrees of freedom.
        p = float(f_distribution.sf(ratio, freedom, 4 * len(good)))
        if p < SCATTER_ALPHA / 2:
            note = f"{letter} of the budgets scatters about a power law of C by more than its uncertainty (p = {p:.2g})"
            flags.append(Flag("misfit", note))
    return flags[:1]


def _off(log_c: Array, log_y: Array) -> Array:
    """Distances of log_y (draws, m) from a straight line in log_c (m,)."""
    intercept, slope = fit_power(log_c, log_y)
    return np.asarray(log_y - intercept[:, None] - slope[:, None] * log_c)


def _biased(
    log_c: Array, good: list[ProfileMinimum], check: LawCheck | None, draws: Array | None, options: FitOptions
) -> list[Flag]:
    """``biased``: the bias at ten times the largest budget is large beside the interval, and the law misfits."""
    if check is None or draws is None or not check.misfit:
        return []
    target = float(log_c.max() + np.log(10))
    intercept, slope = fit_power(log_c, np.array([[optimum.bias[0] for optimum in good]]))
    bias = float(intercept[0] + slope[0] * target)
    found = percentile_interval(draws[:, 0] + draws[:, 1] * target, options.level)
    if found is None or abs(bias) <= (found[1] - found[0]) / 4:
        return []
    note = (
        f"the polynomial's bias, {np.expm1(bias):+.0%} of N* at ten times the largest budget, is more than half of the "
        "interval's half-width, and the law that it was read from misfits"
    )
    return [Flag("biased", note)]


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


def _uneven(good: list[ProfileMinimum]) -> list[Flag]:
    """``not_isoflop`` as the approach's own, where at least half of the power law's points have it."""
    notes = [
        o.result.notes[o.result.flags.index("not_isoflop")] for o in good if "not_isoflop" in o.result.flags
    ]
    if not notes or 2 * len(notes) < len(good):
        return []
    return [Flag("not_isoflop", f"in {len(notes)} of {len(good)} budgets {notes[0]} (the first of them)")]


def _named(curves: list[Any]) -> dict[str, Any]:
    return dict(zip(("params_profile", "tokens_profile"), curves, strict=False))
