"""The noise of one run's loss, from all that shows it: seeds, and the runs of a budget about its profile."""

from math import log

from harness.fit.recipe_cost import Noise
from harness.fit.results import BudgetOptimum
from harness.report.data import ReportData, members
from harness.runs.ablations import seed_noise

HELD_OUT = "loss"
"""The column of the loss that ablations are compared by."""


def run_noise(data: ReportData) -> Noise | None:
    """The standard deviation of one run over seeds, pooled; None where nothing shows it.

    Seeds of a cell differ by nothing else, but there are few. Cells of a budget differ from its profile by that noise
    and by what the polynomial misses, steps of a ladder among it: with them the noise is rather too large than too
    small, and known from more runs.
    """
    squares, freedom = 0.0, 0
    if (seeds := seed_noise(data.ablations, data.records)) is not None:
        squares, freedom = seeds.sd**2 * seeds.freedom, seeds.freedom
    if data.fit.loss == HELD_OUT:
        for budget in data.fit.approach_2.budgets:
            more, free = _about_profile(data, budget)
            squares, freedom = squares + more, freedom + free
    return Noise((squares / freedom) ** 0.5, freedom) if freedom > 0 and squares > 0 else None


def _about_profile(data: ReportData, budget: BudgetOptimum) -> tuple[float, int]:
    """The squared residuals of a budget's cells about its polynomial, and their degrees of freedom."""
    profile = budget.params_profile
    if profile is None:
        return 0.0, 0
    cells: dict[float, list[float]] = {}
    for row in members(data.points, budget):
        x = log(float(data.points.params[row])) - profile.centre
        fitted = sum(c * x**k for k, c in enumerate(profile.coefficients))
        cells.setdefault(x, []).append(float(data.points.loss[row]) - fitted)
    squares = sum(sum(residuals) ** 2 / len(residuals) for residuals in cells.values())
    freedom = len(cells) - len(profile.coefficients)
    return (squares, freedom) if freedom > 0 else (0.0, 0)
