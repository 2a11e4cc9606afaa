"""Training curves as columns."""

import csv
import warnings
from pathlib import Path

import numpy as np

from harness.plan.plan import Plan
from harness.runs.folder import SweepFolder

COLUMNS = ("step", "tokens", "flops", "train_loss")


def read_curve(path: Path) -> dict[str, np.ndarray] | None:
    """``step``, ``tokens``, ``flops``, ``train_loss`` of a ``curve.csv``, each of shape (rows,); None without rows."""
    try:
        with path.open(encoding="utf-8") as file:
            header = file.readline().strip().split(",")
            columns = [header.index(name) for name in COLUMNS]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a header without rows
                data = np.loadtxt(file, delimiter=",", usecols=columns, ndmin=2)
    except (OSError, ValueError):
        return None
    return {name: data[:, i] for i, name in enumerate(COLUMNS)} if len(data) else None


def curve_rows(path: Path) -> list[dict[str, float]]:
    """Every column of a ``curve.csv``, one mapping a row; none where there is no such file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except OSError:
        return []


def read_curves(folder: SweepFolder, plan: Plan) -> dict[str, dict[str, np.ndarray]]:
    """The curves of the plan's cells that have one, by run id."""
    found = {cell.run_id: read_curve(folder.cell(cell.run_id).curve) for cell in plan.cells}
    return {run_id: columns for run_id, columns in found.items() if columns is not None}
