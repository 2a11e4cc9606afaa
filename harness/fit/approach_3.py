"""Approach 3: the parametric law and its bootstrap."""

from typing import Any

import numpy as np

from harness.errors import UserError
from harness.fit import bootstrap, law_solver
from harness.fit.bootstrap import percentile_interval
from harness.fit.budgets import Cells, cells_of, count_cells, pairs_kind
from harness.fit.cost_law import cost_flags, fit_cost_law
from harness.fit.laws import LAW_COLUMNS, CostLaw, Law
from harness.fit.options import FitOptions
from harness.fit.results import Approach3
from harness.fit.run_range import run_range
from harness.fit.status import Flag, judge
from harness.fit.table import Array, Points

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

    Status: ``too_few_points`` (fewer than 8 runs, or 3 sizes, or 3 horizons), ``unidentified`` (all runs are of one
    compute), ``not_converged``, ``at_bound`` (a term has vanished, in the fit or in more than a twentieth of the
    draws), ``unstable`` (draws without an optimum), ``sensitive_to_outliers``.
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
    if too_few := _too_few(points):
        return Approach3(**common, **judge([too_few]))
    data = law_solver.Data.of(points.params, points.tokens, points.loss)
    fit = _solve(data, options)
    kind, strata = pairs_kind(points, _asked(fit, data, options))
    draws = bootstrap_law(data, fit, options, kind, cells_of(points), strata) if options.draws else None
    sensitivity = _sensitivity(points, data, fit, options)
    lawful = bool(np.isfinite(fit.natural).all() and (fit.natural[1:] > 0).all())
    a, b = map(float, _exponents(fit.natural, cost)) if lawful else (None, None)
    a_6nd, b_6nd = map(float, _exponents(fit.natural, CostLaw())) if lawful else (None, None)
    flags = (
        law_flags(fit, data)
        + _one_compute(points)
        + cost_flags(cost)
        + _draw_flags(draws, points)
        + _outlier_flags(sensitivity, draws, cost, options.level)
    )
    return Approach3(
        a=a,
        b=b,
        a_6nd=a_6nd,
        b_6nd=b_6nd,
        bootstrap=kind if options.draws else "none",
        draws=draws,
        objective=fit.objective,
        starts=fit.starts,
        starts_agreeing=fit.agreeing,
        sensitivity=sensitivity,
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
    cell: Cells,
    strata: list[list[int]] | None = None,
) -> Array:
    """Draws of (E, A, B, alpha, beta), shape (draws, 5), each started from the full fit.

    Args:
        kind: ``wild``, or pairs: whole cells, within each of ``strata`` (lists of runs) where there are any.
        cell: of every run; its seeds are drawn, or turned, together.

    Raises UserError for the wild bootstrap with a Huber delta below the residuals' size: flipping the signs
    of residuals that the loss has already clipped gives intervals that cover far too seldom.
    """
    n = len(data.x)
    rng = bootstrap.generator(options.seed, STREAM)
    refit = law_solver.fit_varpro if options.solver == "varpro" else law_solver.refit_lbfgs
    draws = np.empty((options.draws, 5))
    if kind != "wild":
        for i, counts in enumerate(
            bootstrap.stratified_counts(rng, strata or [list(range(n))], cell, options.draws)
        ):
            held = counts > 0
            draws[i] = refit(data.take(held), options.huber_delta, counts[held], [fit.theta]).natural
        return draws
    fitted = law_solver.predict(fit.theta, data)
    residual = data.log_loss - fitted
    rms = float(np.sqrt(np.mean(residual**2)))
    if options.solver == "lbfgs" and options.huber_delta < 3 * rms:
        raise UserError(
            f"fit: the wild bootstrap is not valid with huber_delta={options.huber_delta:g}, below three "
            f"times the residuals' {rms:.2g}; use bootstrap=pairs or huber_delta=inf"
        )
    residual = bootstrap.inflated(residual, law_solver.jacobian(fit.theta, data), cell, 1.0)
    for i, signs in enumerate(bootstrap.wild_signs(rng, count_cells(cell), options.draws)[:, cell]):
        turned = law_solver.Data(data.x, data.y, fitted + signs * residual, data.mean_x, data.mean_y)
        draws[i] = refit(turned, options.huber_delta, np.ones(n), [fit.theta]).natural
    return draws


def _solve(data: law_solver.Data, options: FitOptions) -> law_solver.LawFit:
    return (law_solver.fit_varpro if options.solver == "varpro" else law_solver.fit_lbfgs)(
        data, options.huber_delta
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


def _too_few(points: Points) -> Flag | None:
    counts = {
        "runs": (len(points), MIN_RUNS),
        "sizes": (len(np.unique(points.params)), MIN_SIZES),
        "horizons": (len(np.unique(points.tokens)), MIN_SIZES),
    }
    short = [f"{have} {what} (needs {need})" for what, (have, need) in counts.items() if have < need]
    return (
        Flag("too_few_points", f"the law has five parameters; the table has {', '.join(short)}")
        if short
        else None
    )


def _one_compute(points: Points) -> list[Flag]:
    if np.ptp(np.log(points.flops)) > ONE_COMPUTE:
        return []
    note = "all runs are of one compute: how N* and D* grow with it rests on the form of the law alone"
    return [Flag("unidentified", note)]


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


def _draw_flags(draws: Array | None, points: Points) -> list[Flag]:
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
        flags.append(Flag("at_bound", note))
    return flags


def _outlier_flags(
    sensitivity: tuple[tuple[float, float], ...], draws: Array | None, cost: CostLaw, level: float
) -> list[Flag]:
    if draws is None or not sensitivity:
        return []
    interval = percentile_interval(_exponents(draws, cost)[0], level)
    found = [a for _, a in sensitivity]
    if interval is None or (interval[0] <= min(found) and max(found) <= interval[1]):
        return []
    return [
        Flag(
            "sensitive_to_outliers",
            f"without the 1 to {len(found) - 1} highest losses a lies between {min(found):.3f} and "
            f"{max(found):.3f}, beyond its interval: see exclude_highest",
        )
    ]


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
