"""The cost of the recipe, by budget: what other values would gain at its best cell, and how far they would move N*."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import exp, expm1, inf, log

import numpy as np

from harness.fit.bootstrap import Interval, bounds_text
from harness.fit.recipe_cost import CellGains, Gain, Noise, Reference, Shift, Tried, cell_gains, shift
from harness.fit.results import BudgetOptimum
from harness.plan.ablation import HYPERPARAMETERS
from harness.report.data import MissingError, ReportData
from harness.report.run_noise import HELD_OUT, run_noise
from harness.runs.ablations import AblationRun
from harness.text import count

ALL = "all"
"""The key of what all hyperparameters together would do at most, beside their own keys."""

MOVED = "recipe_moves_optimum"
"""The status of an answer whose N* another recipe would move out of its interval."""


@dataclass(frozen=True)
class BudgetCost:
    """One budget.

    Attributes:
        of: run id of its best cell.
        factors: by hyperparameter, the multiples that were tried there.
        gains: by hyperparameter; under :data:`ALL` their sum, which need not be had.
        shifts: of ln N*; only where a cell beside the best one was ablated, and the budget's profile has a minimum.
        params, params_interval: N*, and the interval that is printed for it.
    """

    budget: float
    of: str
    factors: Mapping[str, tuple[float, ...]]
    gains: Mapping[str, Gain]
    shifts: Mapping[str, Shift] = field(default_factory=dict)
    params: float | None = None
    params_interval: Interval | None = None

    def leaves_interval(self, key: str) -> bool:
        """Whether the shift of ``key`` is known to be one, and takes N* out of its interval."""
        moved, bounds = self.shifts.get(key), self.params_interval
        if moved is None or not moved.beyond_noise or bounds is None or self.params is None:
            return False
        return not bounds[0] <= self.params * exp(moved.log_params) <= bounds[1]


def recipe_cost(data: ReportData) -> tuple[BudgetCost, ...]:
    """By budget, ascending; empty without ablations of a recipe's hyperparameters at a best cell."""
    columns: dict[float, list[AblationRun]] = {}
    for one in data.ablations:
        if HYPERPARAMETERS[one.changed].of_recipe:
            columns.setdefault(one.budget, []).append(one)
    if not columns:
        return ()
    noise = run_noise(data)
    made = (_budget(data, budget, columns[budget], noise) for budget in sorted(columns))
    return tuple(cost for cost in made if cost is not None)


def require_cost(data: ReportData) -> tuple[BudgetCost, ...]:
    """:func:`recipe_cost`.

    Raises:
        MissingError: there is none; the reason says how to measure it.
    """
    found = recipe_cost(data)
    if found:
        return found
    if data.plan is None:
        raise MissingError("a table of runs has no ablations beside it; a sweep can train them")
    raise MissingError(
        "nothing but the recipe's own values was trained; isoflop sweep with followup.seeds=[1,2] "
        "followup.rates=[0.5,2] followup.neighbours=true measures what they cost and how they move N*"
    )


def moved_out(data: ReportData) -> list[str]:
    """A sentence for the largest budget whose N* a better recipe would move out of its interval; else nothing."""
    for cost in reversed(recipe_cost(data)):
        keys = [key for key in cost.shifts if cost.leaves_interval(key)]
        if not keys:
            continue
        key = max(keys, key=lambda one: (one != ALL, abs(cost.shifts[one].log_params)))
        assert cost.params is not None
        assert cost.params_interval is not None
        by = expm1(cost.shifts[key].log_params)
        at, moved = data.as_counted(cost.budget), cost.params * (1 + by)
        of = "the hyperparameters that were tried" if key == ALL else f"the {data.called(key)}"
        return [
            f"at C = {at:.3g} the recipe moves N* by more than its interval: with the best "
            f"value of {of} at every size it would be {by:+.0%}, {count(moved)}, where {count(cost.params)} "
            f"({bounds_text(cost.params_interval, count)}) is given"
        ]
    return []


def _budget(
    data: ReportData, budget: float, ablations: Sequence[AblationRun], noise: Noise | None
) -> BudgetCost | None:
    at_best = [one for one in ablations if not one.neighbour]
    if not at_best:
        return None
    of, level = at_best[0].of, data.fit.level
    best = _gains(at_best, noise, level, 0)
    budgets = data.fit.approach_2.budgets if data.fit.loss == HELD_OUT else ()
    optimum = next((one for one in budgets if of in one.run_ids), None)
    return BudgetCost(
        budget=budget,
        of=of,
        factors={
            key: tuple(sorted(one.factor for one in at_best if one.changed == key)) for key in best.gains
        },
        gains={**best.gains, ALL: best.total},
        shifts={} if optimum is None else _shifts(data, ablations, best, optimum, noise),
        params=None if optimum is None else optimum.params_opt,
        params_interval=None if optimum is None else optimum.params_interval,
    )


def _gains(of_one_cell: Sequence[AblationRun], noise: Noise | None, level: float, seed: int) -> CellGains:
    first = of_one_cell[0]
    tried = {
        key: Tried({one.factor: inf if one.loss is None else one.loss for one in mine})
        for key in HYPERPARAMETERS
        if (mine := [one for one in of_one_cell if one.changed == key])
    }
    own = first.loss_of if first.loss_chosen is None else first.loss_chosen
    reference = Reference(own, first.loss_of, first.seeds_of) if first.seeds_of else Reference(own)
    return cell_gains(tried, reference, noise, level, seed)


def _shifts(
    data: ReportData,
    ablations: Sequence[AblationRun],
    best: CellGains,
    optimum: BudgetOptimum,
    noise: Noise | None,
) -> dict[str, Shift]:
    """By hyperparameter, and of all whose shift is known, added up."""
    bend, sizes = _bend(optimum), dict(zip(data.points.run_id, data.points.params.tolist(), strict=True))
    found: list[tuple[float, CellGains]] = []
    for i, of in enumerate(dict.fromkeys(one.of for one in ablations)):
        mine = [one for one in ablations if one.of == of]
        if of in sizes:
            gains = _gains(mine, noise, data.fit.level, i) if mine[0].neighbour else best
            found.append((log(sizes[of]), gains))
    if bend is None or len({x for x, _ in found}) < 2:
        return {}

    def moved(keys: Set[str]) -> Shift | None:
        cells = [(x, gains) for x, gains in found if keys <= gains.gains.keys()]
        if len(cells) < 2:
            return None
        return shift(
            [x for x, _ in cells],
            [sum(gains.gains[key].nats for key in keys) for _, gains in cells],
            [np.sum([gains.draws[key] for key in keys], axis=0) for _, gains in cells if noise is not None],
            bend,
            data.fit.level,
        )

    shifts = {key: one for key in best.gains if (one := moved({key})) is not None}
    together = moved(shifts.keys()) if len(shifts) > 1 else None
    return shifts if together is None else {**shifts, ALL: together}


def _bend(optimum: BudgetOptimum) -> float | None:
    """L'' in ln N at the minimum of the budget's profile; None where it has none."""
    profile = optimum.params_profile
    if profile is None or optimum.params_opt is None:
        return None
    x = log(optimum.params_opt) + (optimum.params_bias or 0.0) - profile.centre
    bend = sum(k * (k - 1) * c * x ** (k - 2) for k, c in enumerate(profile.coefficients) if k > 1)
    return bend if bend > 0 else None
