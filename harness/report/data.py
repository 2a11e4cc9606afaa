"""Everything a report is made from, read once; what only a sweep has is empty for a bare table of points."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.fit import BudgetOptimum, Curve, Fit, Points
from harness.fit.recipes import fitted_cells
from harness.plan.plan import Plan
from harness.report.devices import TimedDevice
from harness.runs.ablations import AblationRun
from harness.runs.record import Record
from harness.tune.results import TuneFit


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
        source: where the runs come from, for people.
        versions: of the program that writes the report.
        ablations: of the best cells: other learning rates than the recipe's, or schedules longer than the run.
        tuning: the tuning that the recipe came from; None where there is none beside the sweep.
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
    source: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    ablations: tuple[AblationRun, ...] = ()
    tuning: TuneFit | None = None
    devices: tuple[TimedDevice, ...] = ()

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
    counted = table.scored(fit.loss).counted(fit.count, fit.compute)
    used = counted.select(np.array([not reason for reason in left_out(counted, fit)], dtype=bool))
    return fitted_cells(used, fit.cells)


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


def left_out(table: Points, fit: Fit) -> tuple[str, ...]:
    """Why ``fit`` is without each row of ``table``, (n,); "" where it used the row.

    A fit tells the rows of one run apart by their lines in the file. One of an earlier version has no line for the rows
    that its options left out; it had one row a run.
    """
    reasons = {(gone.run, gone.row): gone.reason for gone in fit.excluded}
    lines = table.lines or (None,) * len(table)
    return tuple(
        reasons.get((run, line)) or reasons.get((run, None), "")
        for run, line in zip(table.run_id, lines, strict=True)
    )
