"""The cost of the recipe as a table: a row for each budget and hyperparameter, and their sum."""

from math import expm1, log

from harness.fit.bootstrap import BEYOND_NUMBERS, Interval, bounds_text
from harness.fit.recipe_cost import Gain, Shift
from harness.report.data import ReportData
from harness.report.recipe_cost import ALL, BudgetCost, recipe_cost, require_cost
from harness.report.run_noise import run_noise
from harness.report.table import Table
from harness.report.text import NOTHING, fixed, interval, power, with_interval

HEADINGS = ("C (FLOPs)", "hyperparameter", "times the recipe's", "best", "gain (nats)", "beyond noise")
SHIFT_HEADINGS = ("N* moves by", "N*'s interval", "out of it")


def recipe_cost_table(data: ReportData) -> Table:
    """By budget and hyperparameter: the gain of the best value, and where it was measured what that does to N*.

    Raises:
        MissingError: there are no ablations.
    """
    costs = require_cost(data)
    shifts = any(cost.shifts for cost in costs)
    rows: list[tuple[str, ...]] = []
    strong = []
    for cost in costs:
        for key in cost.gains if len(cost.gains) > 2 else [key for key in cost.gains if key != ALL]:
            if key == ALL:
                strong.append(len(rows))
            rows.append(
                (
                    power(data.as_counted(cost.budget)),
                    *_gain(data, cost, key),
                    *(_shift(cost, key) if shifts else ()),
                )
            )
    return Table(
        "recipe-cost",
        "Cost of the recipe",
        (*HEADINGS, *(SHIFT_HEADINGS if shifts else ())),
        tuple(rows),
        left=("C (FLOPs)", "hyperparameter", "times the recipe's", "beyond noise", "out of it"),
        note=_note(data, shifts),
        strong=tuple(strong),
    )


def summary(data: ReportData) -> list[str]:
    """A line a budget, for the terminal; empty without ablations."""
    found = []
    for cost in recipe_cost(data):
        total = cost.gains[ALL]
        amount = with_interval(f"{total.nats:.3f}", interval(total.interval, "fixed"))
        text = f"recipe at C = {data.as_counted(cost.budget):.3g}: at most {amount} nats to gain"
        better = [
            f"{data.called(key)} x {best(gain, cost.factors[key])}"
            for key, gain in cost.gains.items()
            if key != ALL and gain.beyond_noise
        ]
        if total.interval is not None:
            text += f", beyond noise by {' and '.join(better)}" if better else ", none of it beyond noise"
        moved = cost.shifts.get(ALL) or next(iter(cost.shifts.values()), None)
        found.append(text + (f"; N* would move by {shift_text(moved)}" if moved else ""))
    return found


def _gain(data: ReportData, cost: BudgetCost, key: str) -> tuple[str, ...]:
    gain = cost.gains[key]
    shown = with_interval(fixed(gain.nats, 4), interval(gain.interval, "fixed"))
    beyond = "unknown" if gain.interval is None else "yes" if gain.beyond_noise else "no"
    if key == ALL:
        return "all together, at most", "", "", shown, beyond
    factors = ", ".join(f"{factor:g}" for factor in cost.factors[key])
    return data.called(key), factors, best(gain, cost.factors[key]), shown, beyond


def best(gain: Gain, factors: tuple[float, ...]) -> str:
    """``2``, ``1.4``, ``3 (largest)``: the best multiple."""
    assert gain.factor is not None, "of one hyperparameter"
    text = f"{gain.factor:.2g}"
    if not gain.at_edge:
        return text
    return f"{text} ({'largest' if gain.factor >= max(factors) else 'least'})"


def _shift(cost: BudgetCost, key: str) -> tuple[str, str, str]:
    moved = cost.shifts.get(key)
    if moved is None:
        return NOTHING, NOTHING, NOTHING
    bounds = cost.params_interval
    if bounds is None or cost.params is None:
        return shift_text(moved), NOTHING, "unknown"
    own = (log(bounds[0] / cost.params), log(bounds[1] / cost.params))
    known = "no" if moved.beyond_noise else "unclear"
    return shift_text(moved), _per_cent(own), "yes" if cost.leaves_interval(key) else known


def shift_text(moved: Shift) -> str:
    """``+23% (+4% to +45%)``."""
    return with_interval(
        f"{expm1(moved.log_params):+.0%}", "" if moved.interval is None else _per_cent(moved.interval)
    )


def _per_cent(logs: Interval) -> str:
    ends = tuple(expm1(end) if end < log(BEYOND_NUMBERS) else float("inf") for end in logs)
    return bounds_text((ends[0], ends[1]), lambda end: f"{end:+.0%}")


def _note(data: ReportData, shifts: bool) -> str:
    level, noise = f"{data.fit.level:.0%}", run_noise(data)
    known = (
        ""
        if noise is None
        else f" (a standard deviation of {noise.sd:.4f} from seeds and from cells about their budget's profile, "
        f"{noise.freedom} degrees of freedom)"
    )
    text = (
        "Gain: by how much the best value tried, or the vertex of a parabola through it and the two beside it, ends "
        "lower than the recipe's own at the budget's best cell with the same seed. In brackets: "
        f"{level} intervals from the noise of runs{known}; the best cell was chosen for its low loss, so it is "
        "compared with its other seeds, too, and the interval holds both. Gains of several hyperparameters need not "
        "add up: their sum is the most that could be gained."
    )
    if shifts:
        text += (
            " N* moves by: where a gain depends on N, a recipe that was tuned at every size would have its optimum "
            "elsewhere: by the slope of the gain, from the best cell and those beside it, over the curvature of the "
            "budget's profile. To first order, and without the uncertainty of the curvature."
        )
    elif data.plan is not None:
        text += " How that moves N* is not known; followup.neighbours=true measures it."
    return text
