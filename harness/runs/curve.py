"""The training curve of a run: a CSV that grows while it trains, is cut back to its checkpoint on resume, and is read.

A row is written every so many steps (``train.log_points``): ``train_loss`` is the mean since the row before, in nats
per token, ``grad_norm`` that of the row's last step before clipping, ``lr`` its learning rate.
"""

import csv
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from harness.plan.cell import Cell
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder, write_atomic

COLUMNS = ("step", "tokens", "flops", "lr", "train_loss", "grad_norm")
READ_COLUMNS = ("step", "tokens", "flops", "train_loss")


def curve_row(cell: Cell, step: int, loss: float, grad_norm: float) -> dict[str, float]:
    """A row of the curve of ``cell``, a value for each column."""
    spec = cell.spec
    return {
        "step": step,
        "tokens": step * spec.batch_tokens,
        "flops": cell.flops * step / spec.steps,
        "lr": spec.optimizer.lr * spec.schedule.factor(step),
        "train_loss": loss,
        "grad_norm": grad_norm,
    }


class CurveWriter:
    """Appends rows of :data:`COLUMNS` to a curve.

    Attributes:
        kept: the rows of earlier attempts up to the step that the run resumes from.
    """

    def __init__(self, path: Path, step: int) -> None:
        """Open ``path``, keeping the rows up to ``step`` (0 starts anew)."""
        kept = [row for row in _complete_rows(path) if int(row[0]) <= step] if step else []
        write_atomic(path, "".join(",".join(row) + "\n" for row in [COLUMNS, *kept]))
        self.kept = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in kept]
        self._file = path.open("a", encoding="utf-8")

    def append(self, row: Mapping[str, float]) -> None:
        """Add one row, a value for each column; a process that is killed after this returns does not lose it."""
        self._file.write(_line(row))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_curve(path: Path, rows: Iterable[Mapping[str, float]]) -> None:
    """Write a whole curve, atomically."""
    write_atomic(path, "".join([",".join(COLUMNS) + "\n", *map(_line, rows)]))


def read_curves(folder: SweepFolder, plan: Plan) -> dict[str, dict[str, np.ndarray]]:
    """The curves of the plan's cells that have one, by run id."""
    found = {cell.run_id: read_curve(folder.cell(cell.run_id).curve) for cell in plan.cells}
    return {run_id: columns for run_id, columns in found.items() if columns is not None}


def read_curve(path: Path) -> dict[str, np.ndarray] | None:
    """``step``, ``tokens``, ``flops``, ``train_loss`` of a ``curve.csv``, each of shape (rows,); None without rows."""
    try:
        with path.open(encoding="utf-8") as file:
            header = file.readline().strip().split(",")
            columns = [header.index(name) for name in READ_COLUMNS]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a header without rows
                data = np.loadtxt(file, delimiter=",", usecols=columns, ndmin=2)
    except (OSError, ValueError):
        return None
    return {name: data[:, i] for i, name in enumerate(READ_COLUMNS)} if len(data) else None


def curve_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a ``curve.csv`` with every column; none where there is no such file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except OSError:
        return []


def _line(row: Mapping[str, float]) -> str:
    return ",".join(repr(row[name]) for name in COLUMNS) + "\n"


def _complete_rows(path: Path) -> Iterator[list[str]]:
    """Rows of ``path`` but the header; a last line cut by a kill is dropped."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for row in csv.reader(line for line in lines[1:] if line.endswith("\n")):
        if len(row) == len(COLUMNS):
            yield row
