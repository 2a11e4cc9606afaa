"""A sweep's folder, read."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from harness.config.frozen import config_at
from harness.errors import UserError
from harness.fit import Curve, Fit, FitOptions, Points, fit_points, load_fit, read_points
from harness.plan.plan import Plan
from harness.report.data import ReportData
from harness.runs.curve import read_curves
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import Record
from harness.runs.table import table_text, whole_records
from harness.workflow.report import of_sweep


@dataclass(frozen=True, eq=False)
class Sweep:
    """A sweep as its folder had it when it was read; nothing here writes into it.

    Attributes:
        path: the folder.
        plan: the frozen plan; ``plan.cells`` are the runs that were planned.
        records: of the runs that have ended, by run id, in the plan's order.
        curves: training curves by run id.
        notes: sentences about curves that are damaged or missing.
    """

    path: Path
    plan: Plan
    records: Mapping[str, Record]
    curves: Mapping[str, Curve]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.plan.name

    @cached_property
    def points(self) -> Points:
        """The table of runs: what ``isoflop fit`` reads, one row a run. Those that diverged are in ``points.excluded``.

        Rows that the sweep's own configuration keeps out (``where``) are not in it; a note says how many.

        Raises:
            UserError: no run has ended.
        """
        config = SweepFolder(self.path).config
        return self._table(config_at(config)[0].where if config.exists() else None)

    def _table(self, where: str | None) -> Points:
        if not self.records:
            raise UserError(f"{self.path}: none of its {len(self.plan.cells)} runs has ended")
        return read_points(io.StringIO(table_text(self.records.values())), where=where)

    def fit(self, options: FitOptions | None = None) -> Fit:
        """Fits all approaches to the finished runs, as ``isoflop fit`` does; nothing is written.

        Args:
            options: by default those that the sweep was configured with.

        Raises:
            UserError: no run has ended, or the options do not apply.
        """
        if options is None:
            options = config_at(SweepFolder(self.path).config)[0].analysis
        points = replace(self.points, notes=(*self.points.notes, *self.notes))
        return fit_points(points, options, self.curves or None)

    def saved_fit(self) -> Fit:
        """The fit that ``isoflop fit`` left in the folder, with its draws.

        Raises:
            UserError: there is none yet, or it is damaged.
        """
        return load_fit(self.path)

    def report_data(self, fit: Fit) -> ReportData:
        """What figures and pages are drawn from, for a fit of this sweep."""
        folder = SweepFolder(self.path)
        return of_sweep(folder, self.plan, fit, self._table(fit.where), self.records, self.curves, self.notes)

    def __repr__(self) -> str:
        return f"Sweep({str(self.path)!r}, {len(self.records)} of {len(self.plan.cells)} runs have ended)"


def load_sweep(path: str | Path) -> Sweep:
    """Reads a sweep's folder, which may still be training: its plan, records and curves.

    >>> sweep = load_sweep("results/demo")
    >>> sweep
    Sweep('results/demo', 21 of 21 runs have ended)
    >>> sweep.saved_fit().approach_2.status
    'ok'

    Raises:
        UserError: there is no sweep, or one of its files is damaged.
    """
    if (given := Path(path).expanduser()).is_file():
        raise UserError(
            f"{given}: is a file; load_sweep takes a sweep's folder, and read_points a table of runs"
        )
    folder = SweepFolder(given)
    plan = frozen_plan(folder)
    found = whole_records(folder, plan)
    curves, notes = read_curves(folder, found)
    return Sweep(
        path=folder.path,
        plan=plan,
        records=found,
        curves={run_id: Curve(**columns) for run_id, columns in curves.items()},
        notes=notes,
    )
