"""Approach 3: a law L(N, D), the standard one or another form, and its bootstrap."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.fit import bootstrap
from harness.fit.bootstrap import percentile_interval
from harness.fit.budgets import Cells, count_cells
from harness.fit.cost_law import cost_flags, fit_cost_law
from harness.fit.covariates import chosen
from harness.fit.forms import Misfit, Model, Solved, redraw, solve
from harness.fit.law_check import LawCheck, check_law
from harness.fit.law_flags import (
    LAW_PARAMETERS,
    MIN_RUNS,
    RUNS_TO_SPARE,
    beside_the_sizes,
    constraint,
    draw_flags,
    indeterminate,
    law_flags,
    one_compute,
    outlier_flags,
    too_few,
)
from harness.fit.laws import LAW_COLUMNS, CostLaw, Law
from harness.fit.misfit import constant_loss, fit_error
from harness.fit.options import FitOptions
from harness.fit.results import Approach3
from harness.fit.run_range import RunRange, run_range
from harness.fit.status import judge
from harness.fit.surface import Surface, frontier_of, law_columns
from harness.fit.table import Array, Points
from harness.fit.useless import useless_intervals

STREAM = 3
# Fewer degrees of freedom tell the size of residuals so badly that Student's factor is taken of this many.
LEAST_FREEDOM = 3


@dataclass(frozen=True, eq=False)
class Asked:
    """The law that the options ask for, for one table.

    Attributes:
        model: its form. misfit: what is minimised. projected: whether by variable projection.
        columns: of a draw: the frontier's natural parameters, and slopes of covariates.
        cost: how the table's compute follows from N and D. runs, smallest, largest: the range of the table.
    """

    model: Model
    misfit: Misfit
    projected: bool
    columns: tuple[str, ...]
    cost: CostLaw
    runs: RunRange
    smallest: float
    largest: float

    @classmethod
    def of(cls, points: Points, options: FitOptions, model: Model) -> "Asked":
        """Of the runs that are fitted."""
        slopes = model.columns[len(model.form.columns) :]
        return cls(
            model=model,
            misfit=options.misfit,
            projected=options.solver == "varpro",
            columns=(*law_columns(model.name), *slopes),
            cost=fit_cost_law(points),
            runs=run_range(points),
            smallest=float(points.flops.min()),
            largest=float(points.flops.max()),
        )

    def fields(self, n: int, options: FitOptions) -> dict[str, Any]:
        """The fields of :class:`Approach3` that say what was fitted to ``n`` runs, and how."""
        return {
            "level": options.level,
            "n_points": n,
            "smallest_flops": self.smallest,
            "largest_flops": self.largest,
            "runs": self.runs,
            "extrapolation_limit": options.extrapolation_limit,
            "huber_delta": options.huber_delta,
            "solver": options.solver,
            # Known even where the law is not: the cost of a model by the other approaches needs it too.
            "cost": self.cost,
            "residual": self.misfit.residual,
            "minimised": options.minimised,
            "form": self.model.name,
            "formula": self.model.formula,
            "free": self.model.free,
        }

    def solve(self, check: LawCheck, start: list[Array] | None = None) -> Solved:
        """The law fitted to the runs of ``check``, weighted as it weights them."""
        laws = [check.fit.theta[:5]] if self.model.plain else None
        return solve(
            self.model,
            check.data,
            self.misfit,
            check.weights_for(self.misfit),
            start,
            laws,
            projected=self.projected,
        )

    def shown(self, natural: Array) -> Array:
        """Of natural parameters (..., k) those of a draw, (..., columns)."""
        return natural[..., [self.model.columns.index(name) for name in self.columns]]

    def frontier(self, shown: Array, cost: CostLaw | None = None) -> Law | Surface:
        """The compute-optimal models, along the runs' own compute unless ``cost`` is given."""
        width = len(law_columns(self.model.name))
        return frontier_of(
            self.model.name, shown[..., :width], cost or self.cost, self.runs, self.smallest, self.largest
        )

    def exponents(self, shown: Array, cost: CostLaw | None = None) -> tuple[Array, Array]:
        """(a, b) of a draw (columns,), or of draws (draws, columns)."""
        return self.frontier(shown, cost).exponents

    def log_sizes(self, natural: Array, flops: float) -> Array:
        """ln N* at C = ``flops`` of natural parameters (laws, k), (laws,)."""
        return np.asarray(self.frontier(self.shown(natural)).log_optimum(flops)[0])


def fit_approach_3(points: Points, options: FitOptions) -> Approach3:
    """Fits L(N, D), by default E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, section 3.3), and bootstraps it.

    Every row is a point; rows of one ``run_id``, and the runs of one cell, are resampled together. Where ``loss_se``
    differs from run to run, runs are weighted by their precision.

    Status: ``too_few_points`` (fewer than 8 runs, or 3 sizes, or 3 horizons; a form with fewer free parameters needs
    fewer), ``constant_loss``, ``unidentified`` (all runs are of one compute, or the form asks more than they say),
    ``not_converged``, ``at_bound`` (a term has vanished, in the fit or in more than a twentieth of the draws),
    ``misfit`` (see :mod:`harness.fit.misfit`), ``unstable`` (draws without an optimum), ``sensitive_to_outliers``.
    """
    moved = chosen(points, options.covariates, options.at)
    model = options.model
    floor, lowest = options.fix.get("E", 0.0), float(points.loss.min())
    if floor >= lowest:
        raise UserError(
            f"analysis.fix.E={floor:g}: a run has a loss of {lowest:.4g}, and no loss is below E; give a smaller one"
        )
    asked = Asked.of(points, options, model)
    common = asked.fields(len(points), options) | {
        "covariates": {one.parameter: one.column for one in moved},
        "at": {one.column: one.at for one in moved},
    }
    if void := [*too_few(points, model), *constant_loss(points)]:
        return Approach3(**common, **judge(void))
    check = check_law(points, model, moved)
    fit = asked.solve(check)
    shown = asked.shown(fit.natural)
    law = asked.frontier(shown)
    units = count_cells(check.unit)
    kind, draws = _drawn(check, fit, options, asked)
    laws = None if draws is None else asked.frontier(draws)
    numbers = law_numbers(shown, draws, asked, options.level, law.usable)
    flags = (
        law_flags(fit, law)
        + (
            []
            if model.free <= LAW_PARAMETERS
            else indeterminate(fit, lambda natural: asked.log_sizes(natural, asked.largest))
        )
        + constraint(points, check, model)
        + one_compute(points)
        + cost_flags(asked.cost)
        + beside_the_sizes(points, law)
        + check.flags
        + draw_flags(draws, laws, points, model, units)
        + outlier_flags(
            points,
            check,
            fit,
            asked.misfit,
            lambda natural: asked.exponents(asked.shown(natural))[0],
            numbers.get("a_interval"),
        )
        + useless_intervals(numbers)
    )
    return Approach3(
        bootstrap=kind if draws is not None else "none",
        draws=draws,
        objective=fit.objective,
        starts=len(fit.all_objectives),
        starts_agreeing=fit.agreeing,
        sensitivity=_sensitivity(points, check, fit, asked),
        fit_error=fit_error(check.data.log_loss, fit.fitted()),
        **numbers,
        **common,
        **judge(flags),
    )


def law_numbers(
    shown: Array, draws: Array | None, asked: Asked, level: float, usable: bool
) -> dict[str, Any]:
    """The fields of :class:`Approach3` that a law and its draws give: exponents, parameters, errors, intervals.

    Args:
        shown: natural parameters, (columns,). draws: those of every draw, (draws, columns).
        usable: whether the law has an optimum, and so exponents.
    """
    spread = _spread(draws, asked, level)
    named = dict(zip(asked.columns, map(float, shown), strict=True))
    a, b = map(float, asked.exponents(shown)) if usable else (None, None)
    a_6nd, b_6nd = map(float, asked.exponents(shown, CostLaw())) if usable else (None, None)
    found: dict[str, Any] = {"a": a, "b": b}
    found |= {name: named[name] for name in LAW_COLUMNS if name in named}
    found |= {
        f"{name}_{what}": value
        for name, mine in spread.items()
        for what, value in mine.items()
        if name in found
    }
    return found | {
        "a_6nd": a_6nd,
        "b_6nd": b_6nd,
        "parameters": named,
        "parameters_se": {name: mine["se"] for name, mine in spread.items() if name in named},
        "parameters_interval": {name: mine["interval"] for name, mine in spread.items() if name in named},
    }


def _drawn(check: LawCheck, fit: Solved, options: FitOptions, asked: Asked) -> tuple[str, Array | None]:
    """The bootstrap's kind, and its draws (draws, columns); None where there are none."""
    kind = "pairs" if options.bootstrap == "auto" else options.bootstrap
    units = count_cells(check.unit)
    if not options.draws:
        return kind, None
    if units < MIN_RUNS:
        if asked.model.free >= LAW_PARAMETERS or units <= asked.model.free:
            return kind, None
        kind = "parametric"
    shared = check.shared_noise(options.draws, options.seed)
    return kind, asked.shown(fit.bound.natural(bootstrap_law(check, fit, options, kind, shared)))


def bootstrap_law(
    check: LawCheck, fit: Solved, options: FitOptions, kind: str, shared: Array | None = None
) -> Array:
    """Draws of the free parameters, shape (draws, q), each started from the full fit.

    Args:
        check: the runs, their weights and what is drawn, or turned, together.
        kind: ``pairs``, whole units with replacement (within their budgets they vary less: intervals of five budgets of
            seven sizes held a in .89, N* in .88 of a nominal .90, at large .93 and .92); ``wild``; or ``parametric``,
            normal noise of the size of the residuals, for tables too small to resample.
        shared: what each draw adds to ln L, (draws, n); default nothing.

    Raises UserError for the wild bootstrap with a Huber delta below the residuals' size: flipping the signs
    of residuals that the loss has already clipped gives intervals that cover far too seldom.
    """
    data, unit, weights, misfit = check.data, check.unit, check.weights, options.misfit
    minimised = check.weights_for(misfit)
    rng = bootstrap.generator(options.seed, STREAM)
    free, units = fit.bound.model.free, count_cells(unit)
    with np.errstate(all="ignore"):
        if kind == "parametric":
            return fit.phi + parametric(check.fit, unit, weights, misfit, options.draws, rng)
        if kind != "wild":
            counts = bootstrap.pair_counts(rng, units, options.draws)[:, unit]
            log_loss = data.log_loss[None] if shared is None else data.log_loss + shared
            found = redraw(fit, misfit, log_loss, counts * minimised).phi
            return widened(found, fit.phi, units, free)
    fitted = fit.fitted()
    residual = data.log_loss - fitted
    rms = float(np.sqrt(np.mean(misfit.residuals(fitted, data.log_loss) ** 2)))
    if misfit.delta < 3 * rms:
        raise UserError(
            f"fit: the wild bootstrap is not valid with huber_delta={misfit.delta:g}, below three "
            f"times the residuals' {rms:.2g}; use bootstrap=pairs or huber_delta=inf"
        )
    root = np.sqrt(weights)
    residual = bootstrap.inflated(residual * root, fit.jacobian() * root[:, None], unit, 1.0) / root
    signs = bootstrap.wild_signs(rng, units, options.draws)[:, unit]
    shared = np.zeros((1, len(root))) if shared is None else shared
    with np.errstate(all="ignore"):
        return redraw(fit, misfit, fitted + signs * residual + shared, minimised[None]).phi


def widened(draws: Array, point: Array, units: int, free: int) -> Array:
    """Draws (draws, q) moved away from the point estimate (q,).

    By sqrt(units / (units - q)), since q parameters make residuals smaller than the noise, and by the standard
    deviation of Student's distribution, since their size is known from units - q degrees of freedom only. (Without
    either intervals of 35 runs with three rows each held a and N* in .82 to .87 of a nominal .90.)
    """
    moved = point + np.sqrt(units / max(units - free - 2, LEAST_FREEDOM)) * (draws - point)
    return np.where(np.isfinite(moved), moved, draws)


def parametric(
    law: Solved, unit: Cells, weights: Array, misfit: Misfit, draws: int, rng: np.random.Generator
) -> Array:
    """How far refits to a law with normal noise lie from it, (draws, q).

    The noise has the variance of the residuals about the law, drawn with its own chi-square: of as many degrees of
    freedom as there are more units than parameters. With one, intervals are wide.

    Args:
        law: fitted by least squares, or nearly: where a Huber loss passes through runs their residuals are no noise.
        unit, weights: of the runs, (n,). misfit: what the refits minimise.
    """
    units, fitted = count_cells(unit), law.fitted()
    square = float(np.sum(weights * (law.data.log_loss - fitted) ** 2))
    variance = square / rng.chisquare(max(units - len(law.phi), 1), draws)
    noise = rng.standard_normal((draws, units))[:, unit]
    log_loss = fitted + np.sqrt(variance)[:, None] * noise / np.sqrt(weights)
    return redraw(law, misfit, log_loss, weights[None]).phi - law.phi


def _sensitivity(
    points: Points, check: LawCheck, fit: Solved, asked: Asked
) -> tuple[tuple[float, float], ...]:
    """(k, a) with the k highest losses left out; () for tables too small to spare five runs."""
    if len(points) < RUNS_TO_SPARE:
        return ()
    order = np.argsort(points.loss, kind="stable")
    kept = [order[: len(points) - k] for k in range(6)]
    held = np.stack([np.isin(np.arange(len(points)), rows) for rows in kept]).astype(float)
    again = redraw(fit, asked.misfit, check.data.log_loss[None], held * check.weights_for(asked.misfit)).phi
    return tuple(
        (float(k), float(asked.exponents(asked.shown(natural), fit_cost_law(points.select(rows)))[0]))
        for k, (natural, rows) in enumerate(zip(fit.bound.natural(again), kept, strict=True))
    )


def _spread(draws: Array | None, asked: Asked, level: float) -> dict[str, dict[str, Any]]:
    """``se`` and ``interval`` of every parameter, of a and of b, by name."""
    if draws is None or not len(draws):
        return {}
    with np.errstate(all="ignore"):
        columns = dict(zip((*asked.columns, "a", "b"), (*draws.T, *asked.exponents(draws)), strict=True))
    return {
        name: {"se": bootstrap.standard_error(column), "interval": percentile_interval(column, level)}
        for name, column in columns.items()
    }
