"""What W&B holds of a run, both ways: what is written there, and what a run read back from there becomes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.plan.cell import Cell
from harness.runs.curve import COLUMNS
from harness.runs.folder import SweepFolder
from harness.runs.record import Record, parse_record

RECORD = "record"  # key of a summary: the record as JSON text, which no server rounds
POSITION = "position"  # key of a configuration: the run's place in the plan; none for runs beside it


@dataclass(frozen=True)
class Mirrored:
    """A run as W&B holds it.

    Attributes:
        history: one mapping a logged step, with ``_step``.
    """

    run_id: str
    group: str
    job_type: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]

    @property
    def record(self) -> Record | None:
        """The run's record; None while it has not ended, or where it is not one of ours."""
        text = self.summary.get(RECORD)
        return parse_record(text, self.run_id) if isinstance(text, str) else None

    @property
    def position(self) -> int | None:
        """Where the run stands in its plan; None for a run beside the plan."""
        place = self.config.get(POSITION)
        return int(place) if isinstance(place, int | float) else None

    def curve(self) -> dict[str, np.ndarray] | None:
        """``step``, ``tokens``, ``flops``, ``train_loss``, each of shape (rows,); None without rows."""
        rows = {int(row["_step"]): row for row in self.history if row.get("train_loss") is not None}
        if not rows:
            return None
        steps = sorted(rows)
        # W&B spells what is no number ("NaN", "Infinity") as Python reads it
        columns = {name: np.array([float(rows[step][name]) for step in steps]) for name in COLUMNS[1:]}
        return {"step": np.array(steps, dtype=np.float64), **columns}


def run_name(cell: Cell) -> str:
    """What people see a run called; its id is the run's."""
    return f"{cell.spec.shape.label} C={cell.budget:.2g} seed {cell.spec.seed}"


def config_values(sweep: SweepFolder, sweep_name: str, cell: Cell) -> dict[str, Any]:
    """A run's configuration: its cell, its sweep and its place in the frozen plan."""
    return {"sweep": sweep_name, POSITION: _position(sweep.plan, cell.run_id), **cell.to_json()}


def summary_values(record: Record) -> dict[str, Any]:
    """A run's summary: the record's fields, to look at and to filter by, and the record itself."""
    fields = record.to_json()
    del fields["spec"]  # the configuration has it
    return {**fields, RECORD: json.dumps(record.to_json())}


def _position(plan: Path, run_id: str) -> int | None:
    try:
        cells = json.loads(plan.read_text(encoding="utf-8"))["cells"]
        return [cell["run_id"] for cell in cells].index(run_id)
    except (OSError, ValueError, KeyError, TypeError):
        return None
