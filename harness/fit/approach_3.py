"""Approach 3: the parametric law and its bootstrap."""

from typing import Any

import numpy as np

from harness.errors import UserError
from harness.fit import bootstrap, law_solver
from harness.fit.bootstrap import percentile_interval
from harness.fit.budgets import Cells, count_cells
from harness.fit.cost_law import cost_flags, fit_cost_law
from harness.fit.law_check import check_law
from harness.fit.law_draws import refit_draws
from harness.fit.law_flags import (
    MIN_RUNS,
    RUNS_TO_SPARE,
    beside_the_sizes,
    draw_flags,
    law_flags,
    one_compute,
    outlier_flags,
    too_few,
)
from harness.fit.laws import LAW_COLUMNS, CostLaw, Law
from harness.fit.misfit import constant_loss, fit_error
from harness.fit.options import FitOptions
from harness.fit.results import Approach3
from harness.fit.run_range import run_range
from harness.fit.status import judge
from harness.fit.table import Array, Points
from harness.fit.useless import useless_intervals

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
    if void := [*too_few(points), *constant_loss(points)]:
        return Approach3(**common, **judge(void))
    check = check_law(points)
    data, unit = check.data, check.unit
    fit = _solve(data, options, check.weights)
    kind = "pairs" if options.bootstrap == "auto" else options.bootstrap
    few = count_cells(unit) < MIN_RUNS
    draws = (
        bootstrap_law(
            data, fit, options, kind, unit, check.weights, check.shared_noise(options.draws, options.seed)
        )
        if options.draws and not few
        else None
    )
    sensitivity = _sensitivity(points, data, fit, options, check.weights)
    a, b = map(float, _exponents(fit.natural, cost)) if fit.lawful else (None, None)
    a_6nd, b_6nd = map(float, _exponents(fit.natural, CostLaw())) if fit.lawful else (None, None)
    parameters = {"a": a, "b": b, **_named(fit.natural), **_spread(draws, cost, options.level)}
    flags = (
        law_flags(fit, data)
        + one_compute(points)
        + cost_flags(cost)
        + beside_the_sizes(points, fit, cost)
        + check.flags
        + draw_flags(draws, points, count_cells(unit))
        + outlier_flags(points, check, fit, draws, cost, options)
        + useless_intervals(parameters)
    )
    return Approach3(
        a_6nd=a_6nd,
        b_6nd=b_6nd,
        bootstrap=kind if draws is not None else "none",
        draws=draws,
        objective=fit.objective,
        starts=fit.starts,
        starts_agreeing=fit.agreeing,
        sensitivity=sensitivity,
        fit_error=fit_error(data.log_loss, law_solver.predict(fit.theta, data)),
        **parameters,
        **common,
        **judge(flags),
    )


def bootstrap_law(
    data: law_solver.Data,
    fit: law_solver.LawFit,
    options: FitOptions,
    kind: str,
    unit: Cells,
    weights: Array | None = None,
    shared: Array | None = None,
) -> Array:
    """Draws of (E, A, B, alpha, beta), shape (draws, 5), each started from the full fit.

    Args:
        kind: ``wild``, or ``pairs``: whole units with replacement. (Within their budgets they vary less:
            intervals of five budgets of seven sizes held a in .89, N* in .88 of a nominal .90, at large .93 and .92.)
        unit: of every row: those of one unit are drawn, or turned, together.
        weights: of every row, (n,); default 1.
        shared: what each draw adds to ln L, (draws, n); default nothing.

    Raises UserError for the wild bootstrap with a Huber delta below the residuals' size: flipping the signs
    of residuals that the loss has already clipped gives intervals that cover far too seldom.
    """
    n = len(data.x)
    weights = np.ones(n) if weights is None else weights
    rng = bootstrap.generator(options.seed, STREAM)
    if kind != "wild":
        units = count_cells(unit)
        counts = bootstrap.pair_counts(rng, units, options.draws)[:, unit]
        log_loss = data.log_loss[None] if shared is None else data.log_loss + shared
        return _widened(_redraw(data, log_loss, counts * weights, fit, options), fit.natural, units)
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
    shared = np.zeros((1, n)) if shared is None else shared
    return _redraw(data, fitted + signs * residual + shared, weights[None], fit, options)


def _widened(draws: Array, point: Array, units: int) -> Array:
    """Draws (draws, 5) moved away from the point estimate (5,), in ln E, ln A and ln B.

    By sqrt(units / (units - 5)), since five parameters make residuals smaller than the noise, and by the standard
    deviation of Student's distribution, since their size is known from units - 5 degrees of freedom only. (Without
    either intervals of 35 runs with three rows each held a and N* in .82 to .87 of a nominal .90.)
    """
    factor = np.sqrt(units / max(units - 7, 3))
    with np.errstate(all="ignore"):
        logs = np.column_stack((np.log(draws[:, :3]), draws[:, 3:]))
        centre = np.append(np.log(point[:3]), point[3:])
        moved = centre + factor * (logs - centre)
        wider = np.column_stack((np.exp(moved[:, :3]), moved[:, 3:]))
    return np.where(np.isfinite(wider), wider, draws)


def _redraw(
    data: law_solver.Data, log_loss: Array, weights: Array, fit: law_solver.LawFit, options: FitOptions
) -> Array:
    """(E, A, B, alpha, beta) of every draw from its ln L and weights, which broadcast to (draws, n)."""
    if options.solver != "varpro":
        with np.errstate(all="ignore"):
            return law_solver.natural(
                refit_draws(data, log_loss, weights, options.huber_delta, fit.theta), data
            )
    log_loss, weights = np.broadcast_arrays(log_loss, weights)
    draws = np.empty((len(log_loss), 5))
    for i, (mine, heavy) in enumerate(zip(log_loss, weights, strict=True)):
        held = heavy > 0
        part = law_solver.Data(data.x[held], data.y[held], mine[held], data.mean_x, data.mean_y)
        draws[i] = law_solver.fit_varpro(part, options.huber_delta, heavy[held], [fit.theta]).natural
    return draws


def _solve(data: law_solver.Data, options: FitOptions, weights: Array) -> law_solver.LawFit:
    return (law_solver.fit_varpro if options.solver == "varpro" else law_solver.fit_lbfgs)(
        data, options.huber_delta, weights
    )


def _named(natural: Array) -> dict[str, Any]:
    return dict(zip(LAW_COLUMNS, map(float, natural), strict=True))


def _sensitivity(
    points: Points, data: law_solver.Data, fit: law_solver.LawFit, options: FitOptions, weights: Array
) -> tuple[tuple[float, float], ...]:
    """(k, a) with the k highest losses left out; () for tables too small to spare five runs."""
    if len(points) < RUNS_TO_SPARE:
        return ()
    order = np.argsort(points.loss, kind="stable")
    kept = [order[: len(points) - k] for k in range(6)]
    held = np.stack([np.isin(np.arange(len(points)), rows) for rows in kept]).astype(float)
    again = _redraw(data, data.log_loss[None], held * weights, fit, options)
    return tuple(
        (float(k), float(_exponents(law, fit_cost_law(points.select(rows)))[0]))
        for k, (law, rows) in enumerate(zip(again, kept, strict=True))
    )


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
