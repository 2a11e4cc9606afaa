"""Everything a report is made from, read once; what only a sweep has is empty for a bare table of points."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.fit import BudgetOptimum, Curve, Fit, Points
from harness.fit.recipes import fitted_cells
from harness.fit.tasks.store import FittedTask
from harness.fit.used import is_of, used_rows
from harness.plan.ablation import HYPERPARAMETERS
from harness.plan.plan import Plan
from harness.plan.recipe_rules import RecipeConfig
from harness.report.devices import TimedDevice
from harness.runs.ablations import AblationRun
from harness.runs.record import Record
from harness.tune.stored import Tuning


class MissingError(Exception):
    """Raised by a figure or a table whose data is missing; its text is the reason."""


@dataclass(frozen=True, eq=False)
class ReportData:
    """A sweep, or a table of points, with its fit.

    Attributes:
        name: the title of the page.
        fit: the fit.
        points: the runs that the fit used, N and C counted as the fit counts them.
        table: every run of the table, before the fit left any out.
        curves: training curves by run id.
        notes: what the page is without, for people.
        records: records by run id, in the plan's order.
        plan: the frozen plan.
        config: the composed configuration, YAML.
        recipe: the one in it; None where it has none that can be read.
        source: where the runs come from, for people.
        versions: of the program that writes the report.
        ablations: of the best cells and those beside them, one hyperparameter changed at a time.
        tuning: the tuning that the recipe came from; None where there is none beside the sweep.
        tasks: the laws of every task that the runs were scored on.
        devices: those that times are given for; the first is the sweep's own, where that is known.
    """

    name: str
    fit: Fit
    points: Points
    table: Points
    curves: Mapping[str, Curve] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    records: Mapping[str, Record] = field(default_factory=dict)
    plan: Plan | None = None
    config: str = ""
    recipe: RecipeConfig | None = None
    source: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    ablations: tuple[AblationRun, ...] = ()
    tuning: Tuning | None = None
    devices: tuple[TimedDevice, ...] = ()
    tasks: tuple[FittedTask, ...] = ()

    def called(self, key: str) -> str:
        """A key of :data:`harness.plan.ablation.HYPERPARAMETERS` for people: under Muon the peak rate is AdamW's."""
        muon = self.plan is not None and any(cell.spec.optimizer.muon for cell in self.plan.cells)
        return HYPERPARAMETERS[key].called(muon)

    def as_counted(self, budget: float) -> float:
        """A budget as it was planned in FLOPs as the fit counts them; itself where none of its runs was fitted."""
        if self.fit.compute == "flops" or self.table.budget is None or self.points.budget is None:
            return budget
        planned = dict(zip(self.table.run_id, self.table.budget.tolist(), strict=True))
        counted = zip(self.points.run_id, self.points.budget.tolist(), strict=True)
        return next((now for run, now in counted if planned.get(run) == budget), budget)

    @property
    def target(self) -> float:
        """The budget the answer is given for, in FLOPs."""
        return self.fit.agreement.target

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest compute to draw: the runs and the target, with a margin."""
        low, high = self.fit.smallest_flops, max(self.fit.largest_flops, self.target)
        margin = (high / low) ** 0.04
        return low / margin, high * margin


def used_points(table: Points, fit: Fit) -> Points:
    """The runs of ``table`` that ``fit`` used, counted as it counted; one a cell where it took cells together."""
    return fitted_cells(used_rows(table, fit), fit.cells)


def other_runs(table: Points, fit: Fit) -> str:
    """What is said where ``fit`` was not made from ``table``; empty where it was, as far as can be told."""
    if (same := is_of(table, fit)) is None:
        same = _seems_same(used_points(table, fit), fit)
    if same:
        return ""
    used = len(used_points(table, fit))
    said = f"the fit is of {fit.n_points} runs from {fit.smallest_flops:.3g} to {fit.largest_flops:.3g} FLOPs, and "
    if used != fit.n_points:
        return f"{said}{used} of these are in it"
    unnamed = not all(table.named(i) for i in range(len(table)))
    return f"{said}these are others" + (
        " (a row without a run's name is known by its line in the file)" if unnamed else ""
    )


def _seems_same(points: Points, fit: Fit) -> bool:
    """Whether the runs ``points`` can be those of ``fit``, which has no fingerprint of them."""
    of_budgets = {run for budget in fit.approach_2.budgets for run in budget.run_ids}
    ends = (points.flops.min(), points.flops.max()) if len(points) else ()
    return (
        len(points) == fit.n_points
        and of_budgets <= set(points.run_id)
        and np.allclose(ends, (fit.smallest_flops, fit.largest_flops))
    )


def members(points: Points, budget: BudgetOptimum) -> list[int]:
    """The rows of a budget's profile; of a run with several rows those nearest to the budget in compute."""
    wanted = Counter(budget.run_ids)
    mine: dict[str, list[int]] = {}
    for i, run in enumerate(points.run_id):
        if run in wanted:
            mine.setdefault(run, []).append(i)
    off = np.abs(np.log(points.flops / budget.budget))
    return sorted(
        i for run, rows in mine.items() for i in sorted(rows, key=lambda row: off[row])[: wanted[run]]
    )
