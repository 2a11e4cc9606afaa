"""Approach 3: the parametric law and its bootstrap."""

from typing import Any

import numpy as np

from harness.errors import UserError
from harness.fit import bootstrap, law_solver
from harness.fit.bootstrap import percentile_interval
from harness.fit.budgets import Cells, count_cells, pairs_kind
from harness.fit.cost_law import cost_flags, fit_cost_law
from harness.fit.law_draws import refit_draws
from harness.fit.laws import LAW_COLUMNS, CostLaw, Law
from harness.fit.misfit import LawCheck, check_law, constant_loss, fit_error, outliers
from harness.fit.options import FitOptions
from harness.fit.results import Approach3
from harness.fit.run_range import run_range
from harness.fit.status import Flag, judge
from harness.fit.table import Array, Points
from harness.fit.useless import useless_intervals

# From six or seven runs of a sweep, chosen at random, the interval of a missed the value from all runs in about half of
# the cases; from eight in few. The bootstrap draws of so few runs nearly repeat them.
MIN_RUNS = 8
RUNS_TO_SPARE = 24  # with so many, five may be left out to see how much depends on them
ONE_COMPUTE = 0.1  # range of ln C
MIN_SIZES = 3
VANISHED = 1e-3  # a term below this share of the loss has gone
STREAM = 3


def fit_approach_3(points: Points, options: FitOptions) -> Approach3:
    """Fits L = E + A/N^alpha + B/D^beta and bootstraps it (Hoffmann et al. 2022, section 3.3).

    Every row is a point; rows of one ``run_id``, and the runs of one cell, are resampled together. Where ``loss_se``
    differs from run to run, runs are weighted by their precision.

    Status: ``too_few_points`` (fewer than 8 runs, or 3 sizes, or 3 horizons), ``constant_loss``, ``unidentified`` (all
    runs are of one compute), ``not_converged``, ``at_bound`` (a term has vanished, in the fit or in more than a
    twentieth of the draws), ``misfit`` (see :mod:`harness.fit.misfit`), ``unstable`` (draws without an optimum),
    ``sensitive_to_outliers``.
    """
    common: dict[str, Any] = {
        "level": options.level,
        "n_points": len(points),
        "smallest_flops": float(points.flops.min()),
        "largest_flops": float(points.flops.max()),
        "runs": run_range(points),
        "extrapolation_limit": options.extrapolation_limit,
        "huber_delta": options.huber_delta,
        "solver": options.solver,
        # Known even where the law is not: the cost of a model by the other approaches needs it too.
        "cost": (cost := fit_cost_law(points)),
    }
    if void := [*_too_few(points), *constant_loss(points)]:
        return Approach3(**common, **judge(void))
    check = check_law(points)
    data, unit = check.data, check.unit
    fit = _solve(data, options, check.weights)
    kind, strata = pairs_kind(points, _asked(fit, data, options))
    few = count_cells(unit) < MIN_RUNS
    draws = (
        bootstrap_law(data, fit, options, kind, unit, strata, check.weights)
        if options.draws and not few
        else None
    )
    sensitivity = _sensitivity(points, data, fit, options)
    lawful = bool(np.isfinite(fit.natural).all() and (fit.natural[1:] > 0).all())
    a, b = map(float, _exponents(fit.natural, cost)) if lawful else (None, None)
    a_6nd, b_6nd = map(float, _exponents(fit.natural, CostLaw())) if lawful else (None, None)
    flags = (
        law_flags(fit, data)
        + _one_compute(points)
        + cost_flags(cost)
        + check.flags
        + _draw_flags(draws, points, count_cells(unit))
        + _outlier_flags(points, check, fit, draws, cost, options)
        + useless_intervals({"a": a, "b": b, **_named(fit.natural), **_spread(draws, cost, options.level)})
    )
    return Approach3(
        a=a,
        b=b,
        a_6nd=a_6nd,
        b_6nd=b_6nd,
        bootstrap=kind if draws is not None else "none",
        draws=draws,
        objective=fit.objective,
        starts=fit.starts,
        starts_agreeing=fit.agreeing,
        sensitivity=sensitivity,
        fit_error=fit_error(data.log_loss, law_solver.predict(fit.theta, data)),
        **_named(fit.natural),
        **_spread(draws, cost, options.level),
        **common,
        **judge(flags),
    )


def bootstrap_law(
    data: law_solver.Data,
    fit: law_solver.LawFit,
    options: FitOptions,
    kind: str,
    unit: Cells,
    strata: list[list[int]] | None = None,
    weights: Array | None = None,
) -> Array:
    """Draws of (E, A, B, alpha, beta), shape (draws, 5), each started from the full fit.

    Args:
        kind: ``wild``, or pairs: whole units, within each of ``strata`` (lists of rows) where there are any.
        unit: of every row: those of one unit are drawn, or turned, together.
        weights: of every row, (n,); default 1.

    Raises UserError for the wild bootstrap with a Huber delta below the residuals' size: flipping the signs
    of residuals that the loss has already clipped gives intervals that cover far too seldom.
    """
    n = len(data.x)
    weights = np.ones(n) if weights is None else weights
    rng = bootstrap.generator(options.seed, STREAM)
    if kind != "wild":
        counts = bootstrap.stratified_counts(rng, strata or [list(range(n))], unit, options.draws)
        return _redraw(data, data.log_loss[None], counts * weights, fit, options)
    fitted = law_solver.predict(fit.theta, data)
    residual = data.log_loss - fitted
    rms = float(np.sqrt(np.mean(residual**2)))
    if options.solver == "lbfgs" and options.huber_delta < 3 * rms:
        raise UserError(
            f"fit: the wild bootstrap is not valid with huber_delta={options.huber_delta:g}, below three "
            f"times the residuals' {rms:.2g}; use bootstrap=pairs or huber_delta=inf"
        )
    root = np.sqrt(weights)
    tangent = law_solver.jacobian(fit.theta, data) * root[:, None]
    residual = bootstrap.inflated(residual * root, tangent, unit, 1.0) / root
    signs = bootstrap.wild_signs(rng, count_cells(unit), options.draws)[:, unit]
    return _redraw(data, fitted + signs * residual, weights[None], fit, options)


def _redraw(
    data: law_solver.Data, log_loss: Array, weights: Array, fit: law_solver.LawFit, options: FitOptions
) -> Array:
    """(E, A, B, alpha, beta) of every draw from its ln L and weights, which broadcast to (draws, n)."""
    if options.solver != "varpro":
        with np.errstate(all="ignore"):
            return law_solver.natural(
                refit_draws(data, log_loss, weights, options.huber_delta, fit.theta), data
            )
    draws = np.empty((options.draws, 5))
    for i, (mine, heavy) in enumerate(zip(*np.broadcast_arrays(log_loss, weights), strict=True)):
        held = heavy > 0
        part = law_solver.Data(data.x[held], data.y[held], mine[held], data.mean_x, data.mean_y)
        draws[i] = law_solver.fit_varpro(part, options.huber_delta, heavy[held], [fit.theta]).natural
    return draws


def _solve(data: law_solver.Data, options: FitOptions, weights: Array) -> law_solver.LawFit:
    return (law_solver.fit_varpro if options.solver == "varpro" else law_solver.fit_lbfgs)(
        data, options.huber_delta, weights
    )


def _asked(fit: law_solver.LawFit, data: law_solver.Data, options: FitOptions) -> str:
    """Least squares takes plain pairs by default: they cover .89 of a nominal .9, within budgets only .84.

    A Huber loss that clips most residuals is the other way round: .94 within budgets, .97 plain.
    """
    rms = float(np.sqrt(np.mean((law_solver.predict(fit.theta, data) - data.log_loss) ** 2)))
    smooth = options.solver == "varpro" or options.huber_delta > rms
    return "pairs" if options.bootstrap == "auto" and smooth else options.bootstrap


def _named(natural: Array) -> dict[str, Any]:
    return dict(zip(LAW_COLUMNS, map(float, natural), strict=True))


def _too_few(points: Points) -> list[Flag]:
    counts = {
        "runs": (len(points), MIN_RUNS),
        "sizes": (len(np.unique(points.params)), MIN_SIZES),
        "horizons": (len(np.unique(points.tokens)), MIN_SIZES),
    }
    short = [f"{have} {what} (needs {need})" for what, (have, need) in counts.items() if have < need]
    if not short:
        return []
    note = f"the law has five parameters; the table has {', '.join(short)}{rows_left(points)}"
    return [Flag("too_few_points", note)]


def rows_left(points: Points) -> str:
    """The end of a sentence: that the earlier rows of these runs, which were left out, could say more."""
    return f"; analysis.rows=all adds {points.earlier_rows} earlier rows" if points.earlier_rows else ""


def _one_compute(points: Points) -> list[Flag]:
    if np.ptp(np.log(points.flops)) > ONE_COMPUTE:
        return []
    note = "all runs are of one compute: how N* and D* grow with it rests on the form of the law alone"
    return [Flag("unidentified", note + rows_left(points))]


def law_flags(fit: law_solver.LawFit, data: law_solver.Data) -> list[Flag]:
    """Warnings that the fitted law itself gives, without its draws."""
    E, _, _, alpha, beta = fit.natural
    total = np.exp(law_solver.predict(fit.theta, data))
    size = np.exp(fit.theta[1] - alpha * data.x) / total
    tokens = np.exp(fit.theta[2] - beta * data.y) / total
    flags = []
    if not (np.isfinite(fit.natural).all() and (fit.natural[1:] > 0).all()):
        flags.append(
            Flag("no_optimum", f"loss does not fall with both N and D (alpha {alpha:.2g}, beta {beta:.2g})")
        )
    if not fit.converged:
        flags.append(Flag("not_converged", "the optimizer stopped before it reached a minimum"))
    if total.min() * VANISHED > E:
        flags.append(
            Flag("at_bound", f"E has gone to 0 ({E:.2g}): these runs do not show an irreducible loss")
        )
    for name, share, power in (("A/N^alpha", size, alpha), ("B/D^beta", tokens, beta)):
        if share.max() < VANISHED or not 0.01 < power < 5:
            flags.append(Flag("at_bound", f"the term {name} is at a bound (exponent {power:.3g})"))
    return flags


def _draw_flags(draws: Array | None, points: Points, units: int) -> list[Flag]:
    if units < MIN_RUNS:
        return [Flag("no_interval", f"{units} independent runs: an interval needs {MIN_RUNS}")]
    if draws is None or not len(draws):
        return [Flag("no_interval", "no bootstrap draws were asked for")]
    with np.errstate(all="ignore"):
        usable = np.isfinite(draws).all(axis=1) & (draws > 0).all(axis=1)
    lost = 1 - usable.mean()
    flags = []
    if lost > 0.05:
        flags.append(Flag("unstable", f"{lost:.0%} of the bootstrap draws have no finite optimum"))
    floorless = float(np.mean(draws[:, 0] < VANISHED * points.loss.min()))
    if floorless > 0.05:
        note = f"E has gone to 0 in {floorless:.0%} of the bootstrap draws: these runs hardly show an irreducible loss"
        flags.append(Flag("at_bound", note + rows_left(points)))
    return flags


def _outlier_flags(
    points: Points,
    check: LawCheck,
    fit: law_solver.LawFit,
    draws: Array | None,
    cost: CostLaw,
    options: FitOptions,
) -> list[Flag]:
    """``sensitive_to_outliers``: runs far off the fit, without which a lies beyond its interval.

    Both must hold. That the highest losses move a is no sign of anything: they are the edge of the design, and in clean
    normal sweeps a left its interval without them in an eighth to a third.
    """
    if draws is None or len(points) < RUNS_TO_SPARE:
        return []
    far = np.flatnonzero(outliers(law_solver.predict(fit.theta, check.data) - check.data.log_loss))
    if not 0 < len(far) <= len(points) // 4:
        return []
    keep = np.setdiff1d(np.arange(len(points)), far)
    refit = law_solver.fit_varpro if options.solver == "varpro" else law_solver.fit_lbfgs
    again = refit(check.data.take(keep), options.huber_delta, check.weights[keep], [fit.theta])
    a = float(_exponents(again.natural, cost)[0])
    interval = percentile_interval(_exponents(draws, cost)[0], options.level)
    if interval is None or interval[0] <= a <= interval[1]:
        return []
    named = ", ".join(points.run_id[i] for i in far[:4]) + (
        f" and {len(far) - 4} more" if len(far) > 4 else ""
    )
    note = f"without {len(far)} runs far off the fit ({named}) a is {a:.3f}, beyond its interval"
    return [Flag("sensitive_to_outliers", note)]


def _sensitivity(
    points: Points, data: law_solver.Data, fit: law_solver.LawFit, options: FitOptions
) -> tuple[tuple[float, float], ...]:
    """(k, a) with the k highest losses left out; () for tables too small to spare five runs."""
    if len(points) < RUNS_TO_SPARE:
        return ()
    order = np.argsort(points.loss, kind="stable")
    refit = law_solver.fit_varpro if options.solver == "varpro" else law_solver.fit_lbfgs
    found = []
    for k in range(6):
        kept = order[: len(points) - k]
        again = refit(data.take(kept), options.huber_delta, start=[fit.theta])
        found.append((float(k), float(_exponents(again.natural, fit_cost_law(points.select(kept)))[0])))
    return tuple(found)


def _spread(draws: Array | None, cost: CostLaw, level: float) -> dict[str, Any]:
    """Standard errors and intervals of the five parameters and of a and b."""
    if draws is None or not len(draws):
        return {}
    with np.errstate(all="ignore"):
        columns = dict(zip((*LAW_COLUMNS, "a", "b"), (*draws.T, *_exponents(draws, cost)), strict=True))
    return {f"{name}_se": bootstrap.standard_error(column) for name, column in columns.items()} | {
        f"{name}_interval": percentile_interval(column, level) for name, column in columns.items()
    }


def _exponents(theta: Array, cost: CostLaw) -> tuple[Array, Array]:
    """(a, b) of laws (..., 5) along compute that follows ``cost``, each (...)."""
    return Law.from_theta(theta, cost).exponents
