"""How this experiment would have forecast itself: fits to its lower budgets against what its higher ones measured.

Forecast and measurement rest on different runs, so their difference is uncertain by both.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, TypeGuard, TypeVar

import numpy as np
from scipy.special import stdtr, stdtrit

from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.bootstrap import Interval, difference_halves
from harness.fit.budgets import cells_of, count_cells, group_budgets
from harness.fit.covariates import varying
from harness.fit.law_check import check_law
from harness.fit.law_flags import MIN_RUNS
from harness.fit.options import FitOptions
from harness.fit.results import Approach, Approach2, Approach3, Backtest, BacktestRow, BudgetOptimum
from harness.fit.status import Flag, judge
from harness.fit.table import Points

# A power law has nothing to spare below three budgets; only where there are no more than three is it fitted to two.
FEWEST_FITTED, FEWEST_BUDGETS = 3, 3
# Of each forecast. Their sum over the cutoffs is about half of the fit's own, and so is the time they take.
MOST_DRAWS, FEWEST_DRAWS = 200, 50
# How often an approach that is right is flagged, nominally, over all its forecasts together.
CHANCE = 0.002
QUANTITIES = BacktestRow.QUANTITIES

SomeApproach = TypeVar("SomeApproach", bound=Approach)
Triple = tuple[float | None, float | None, float | None]
Bounds = tuple[Interval | None, Interval | None, Interval | None]


@dataclass(frozen=True)
class Difference:
    """Forecast minus measured, of ln N*, ln D* or L*, with its interval at the fit's level.

    Attributes:
        freedom: degrees of freedom behind the interval's half-width on the side of zero (Satterthwaite).
    """

    quantity: str
    value: float
    interval: Interval
    freedom: float

    @property
    def ratio(self) -> float:
        """How many half-widths zero lies away; above 1 it lies outside: the forecast missed."""
        half = self.value - self.interval[0] if self.value > 0 else self.interval[1] - self.value
        return abs(self.value) / half if half > 0 else math.inf if self.value else 0.0

    def chance(self, level: float) -> float:
        """How often a forecast that is right would be as far off, by Student's distribution."""
        unit = float(stdtrit(self.freedom, (1 + level) / 2))
        return float(2 * stdtr(self.freedom, -self.ratio * unit))


@dataclass(frozen=True, eq=False)
class Forecast:
    """One row of the backtest and the differences that its status rests on."""

    row: BacktestRow
    differences: tuple[Difference, ...]


def backtest(points: Points, approach_2: Approach2, options: FitOptions) -> Backtest:
    """Fits approaches 2 and 3 to the lowest budgets, and sets what they say of the higher against what was measured.

    Args:
        points: the runs of the fit, N, C and L as it counts them.
        approach_2: the fit of their profiles, whose minima are what was measured.

    A cutoff takes the lowest k budgets that have a usable minimum, k from 3 up to all but the highest; with three
    budgets, 2. Without enough budgets, or without draws, there are no rows and ``note`` says why.

    Status: ``forecast_missed`` where an approach misses by more than chance allows in all its forecasts together.
    """
    if note := _obstacle(points, approach_2, options):
        return Backtest(level=options.level, note=note)
    found, draws = forecasts(points, approach_2, options)
    mine: dict[str, list[Forecast]] = {}
    for forecast in found:
        mine.setdefault(forecast.row.approach, []).append(forecast)
    compared = {name: sum(len(f.row.compared) for f in those) for name, those in mine.items()}
    held = {name: compared[name] - sum(len(f.row.missed) for f in those) for name, those in mine.items()}
    missed = {name: said for name, those in mine.items() if (said := worst_miss(those, options.level))}
    return Backtest(
        rows=tuple(forecast.row for those in mine.values() for forecast in those),
        level=options.level,
        draws_each=draws,
        held=held,
        compared=compared,
        missed=missed,
        **judge(Flag("forecast_missed", f"{name}: {said}") for name, said in missed.items()),
    )


def flagged(approach: SomeApproach, tested: Backtest) -> SomeApproach:
    """The approach with ``forecast_missed`` among its flags where the backtest has it, else as it is."""
    if approach.name not in tested.missed:
        return approach
    return replace(
        approach, **judge([*approach.warnings, Flag("forecast_missed", tested.missed[approach.name])])
    )


def forecasts(points: Points, approach_2: Approach2, options: FitOptions) -> tuple[list[Forecast], int]:
    """Every forecast by rising cutoff and budget, and how many draws each has."""
    measured = _measured(approach_2)
    grouped = group_budgets(points)
    runs_of = dict(zip(grouped.labels, grouped.groups, strict=True))
    cutoffs = range(min(FEWEST_FITTED, len(measured) - 1), len(measured))
    draws = min(options.draws, max(FEWEST_DRAWS, min(MOST_DRAWS, options.draws // (2 * len(cutoffs)))))
    lean = replace(options, draws=draws, correct_bias=approach_2.correction == "law")
    # Intervals of a budget's runs alone. The whole fit's count in by how much budgets are off together, which it has
    # learnt from the very budgets that are to be forecast.
    plain = fit_approach_2(points, replace(options, correct_bias=False)).budgets
    own = {budget.budget: budget for budget in plain}
    found = []
    for k in cutoffs:
        cutoff = measured[k - 1].budget
        below = points.select(sorted(i for label, runs in runs_of.items() if label <= cutoff for i in runs))
        shared = _shared_noise(below, lean)
        by, at = varying(below, lean.covariates, lean.at)
        for fit in (fit_approach_2(below, lean), fit_approach_3(below, replace(lean, covariates=by, at=at))):
            for budget in measured[k:]:
                runs = points.select(runs_of[budget.budget])
                corrected = fit.correction == "law" if isinstance(fit, Approach2) else lean.correct_bias
                minimum = _minimum(own[budget.budget], budget if corrected else None, shared)
                found.append(_forecast(fit, (k, below), (budget.budget, runs), minimum, lean))
    return found, draws


def worst_miss(found: list[Forecast], level: float) -> str:
    """The clearest miss in words, where chance would hardly give one like it in all these forecasts; else empty.

    Bonferroni over the cutoffs and two quantities: at a given C, D* follows from N*, and the forecasts of one cutoff
    share its error.
    """
    differences = [(forecast.row, one) for forecast in found for one in forecast.differences]
    if not differences:
        return ""
    row, worst = min(differences, key=lambda pair: pair[1].chance(level))
    if worst.chance(level) * 2 * len({forecast.row.cutoff for forecast in found}) > CHANCE:
        return ""
    said, was = getattr(row, worst.quantity), getattr(row, f"measured_{worst.quantity}")
    missed, compared = sum(len(f.row.missed) for f in found), len(differences)
    return (
        f"fitted to the {row.cutoff_budgets} budgets up to {row.cutoff:.3g} it forecasts "
        f"{row.SYMBOLS[worst.quantity]} = {said:.4g} at C = {row.budget:.3g}, and {was:.4g} was measured: "
        f"{worst.ratio:.1f} times as far off as the {level:.0%} interval of the difference allows (of its forecasts "
        f"{missed} of {compared} miss)"
    )


def _obstacle(points: Points, approach_2: Approach2, options: FitOptions) -> str:
    if not options.draws:
        return "no bootstrap draws were asked for, and a forecast without an interval cannot be judged"
    if group_budgets(points).approximate:
        return "the runs fall into no clear budgets, so there is none to hold out"
    if not approach_2.budgets:
        return "there are no profiles of the loss, so no budget has a minimum to forecast"
    have = len(_measured(approach_2))
    if have < FEWEST_BUDGETS:
        return (
            f"{have} of {len(approach_2.budgets)} budgets have a usable minimum; holding one out needs "
            f"{FEWEST_BUDGETS}"
        )
    return ""


def _measured(approach_2: Approach2) -> list[BudgetOptimum]:
    """Budgets with a usable minimum: where compute follows N (``not_isoflop``) it is of no one compute."""
    return [b for b in approach_2.budgets if b.params_opt is not None and "not_isoflop" not in b.flags]


def _forecast(
    fit: Approach2 | Approach3,
    fitted: tuple[int, Points],
    higher: tuple[float, Points],
    minimum: tuple[Triple, Bounds],
    options: FitOptions,
) -> Forecast:
    """What a fit to some lower budgets (how many, and their runs) says of a higher one (its FLOPs, and its runs)."""
    (count, below), (budget, runs), (measured, spread) = fitted, higher, minimum
    said = fit.predict(budget)
    values: Triple = (said.params, said.tokens, said.loss)
    bounds: Bounds = (said.params_interval, said.tokens_interval, said.loss_interval)
    run_error = None
    if isinstance(fit, Approach3) and fit.theta() is not None:
        law = replace(runs, loss=fit.fitted(runs))
        run_error = float(np.mean(np.log(law.loss / runs.loss)))
        if not options.correct_bias:
            values, bounds = _as_profile(values, bounds, law, options)
    freedom = _freedom(fit, below, options.degree), _left(runs, options.degree + 1)
    differences = tuple(
        _difference(quantity, (value, interval), (was, its), freedom)
        for quantity, value, interval, was, its in zip(
            QUANTITIES, values, bounds, measured, spread, strict=True
        )
        if value is not None and was is not None and _bounded(interval) and _bounded(its)
    )
    missed = tuple(one.quantity for one in differences if one.ratio > 1)
    columns: dict[str, Any] = {}
    for i, quantity in enumerate(QUANTITIES):
        columns |= {quantity: values[i], f"{quantity}_interval": bounds[i]}
        columns |= {f"measured_{quantity}": measured[i], f"measured_{quantity}_interval": spread[i]}
    for one in differences:
        name, scale = (
            ("loss_difference", float) if one.quantity == "loss" else (f"{one.quantity}_ratio", math.exp)
        )
        columns |= {name: scale(one.value), f"{name}_interval": tuple(map(scale, one.interval))}
    row = BacktestRow(
        approach=fit.name,
        cutoff=max(group_budgets(below).labels),
        cutoff_budgets=count,
        budget=budget,
        compared=tuple(one.quantity for one in differences),
        missed=missed,
        run_error=run_error,
        status="no_forecast" if not differences else "missed" if missed else "held",
        **columns,
    )
    return Forecast(row, differences)


def _as_profile(values: Triple, bounds: Bounds, law: Points, options: FitOptions) -> tuple[Triple, Bounds]:
    """A law's forecast as the minimum of the profile through its own losses, ``law``, at a budget's runs.

    The polynomial of a profile has a bias of its own, with five budgets of seven sizes over a factor of 100 as much as
    five half-widths of N*. Where it was not taken off what was measured, this gives it to the forecast too, so that
    they can be compared.
    """
    plain = replace(options, draws=0, bootstrap="auto", correct_bias=False)
    (profile, *_) = fit_approach_2(law, plain).budgets or (None,)
    if profile is None or profile.params_opt is None or values[0] is None:
        return values, bounds
    turned: Triple = (profile.params_opt, profile.tokens_opt, profile.loss_opt)
    return turned, _moved(bounds, values, turned)


def _minimum(own: BudgetOptimum, corrected: BudgetOptimum | None, shared: float) -> tuple[Triple, Bounds]:
    """What was measured: a minimum with the interval of its own runs, around the corrected one where there is one.

    Args:
        shared: half-width in ln L of what the runs of a budget are off together, as the lower budgets show it.
    """
    values: Triple = (own.params_opt, own.tokens_opt, own.loss_opt)
    bounds: Bounds = (own.params_interval, own.tokens_interval, own.loss_interval)
    if corrected is not None:
        turned: Triple = (corrected.params_opt, corrected.tokens_opt, corrected.loss_opt)
        values, bounds = turned, _moved(bounds, values, turned)
    loss, span = values[2], bounds[2]
    if loss is not None and span is not None and shared > 0:
        halves = [math.hypot(end - loss, shared * loss) for end in span]
        bounds = (bounds[0], bounds[1], (loss - halves[0], loss + halves[1]))
    return values, bounds


def _moved(bounds: Bounds, values: Triple, turned: Triple) -> Bounds:
    """Intervals of ``values`` as those of ``turned``: as wide in ln N*, ln D* and L*."""
    found: list[Interval | None] = []
    for quantity, span, old, new in zip(QUANTITIES, bounds, values, turned, strict=True):
        if span is None or old is None or new is None:
            found.append(None)
        elif quantity == "loss":
            found.append((span[0] + new - old, span[1] + new - old))
        else:
            found.append((span[0] * new / old, span[1] * new / old))
    params, tokens, loss = found
    return params, tokens, loss


def _shared_noise(below: Points, options: FitOptions) -> float:
    """Half-width in ln L, at the fit's level, of what a budget's runs are off together; 0 where nothing hints at it."""
    if len(below) < MIN_RUNS:
        return 0.0
    shift = check_law(below).shared_noise(options.draws, options.seed)
    return 0.0 if shift is None else float(np.quantile(np.abs(shift[:, 0]), options.level))


def _bounded(interval: Interval | None) -> TypeGuard[Interval]:
    """Whether both ends are numbers to reckon with: an interval without an end is missed by nothing."""
    return interval is not None and all(end is not None and np.isfinite(end) and end > 0 for end in interval)


def _difference(
    quantity: str,
    forecast: tuple[float, Interval],
    measured: tuple[float, Interval],
    freedom: tuple[float, float],
) -> Difference:
    """Of a forecast and a measured value with their intervals, and the degrees of freedom behind each of these."""
    scale = float if quantity == "loss" else math.log
    (value, low, high), (was, its_low, its_high) = (
        tuple(map(scale, (number, *interval))) for number, interval in (forecast, measured)
    )
    below, above = difference_halves(value, (low, high), was, (its_low, its_high))
    interval = (value - was - below, value - was + above)
    facing = (value - low, its_high - was) if value > was else (high - value, was - its_low)
    halves = [max(half, 0.0) for half in facing]
    parts = sum(half**4 / its for half, its in zip(halves, freedom, strict=True))
    pooled = math.hypot(*halves) ** 4 / parts if parts > 0 else 1.0
    return Difference(quantity, value - was, interval, pooled)


def _freedom(fit: Approach2 | Approach3, below: Points, degree: int) -> float:
    """Degrees of freedom behind a forecast's interval: half of those that the fit's residuals have.

    A power law beyond its budgets leans on the outermost ones, and a Huber loss on the runs that it does not clip.
    """
    if isinstance(fit, Approach3):
        parameters = fit.free
    else:
        parameters = (degree + 1) * sum(budget.params_opt is not None for budget in fit.budgets)
    return max(_left(below, parameters) / 2, 1.0)


def _left(runs: Points, parameters: int) -> float:
    """Cells beyond the parameters that were fitted to them, at least one."""
    return float(max(count_cells(cells_of(runs)) - parameters, 1))
