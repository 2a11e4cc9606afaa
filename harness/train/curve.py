"""The training curve: a CSV that grows while a run trains and is cut back to its checkpoint on resume."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.plan.cell import Cell
from harness.runs.files import write_atomic

COLUMNS = ("step", "tokens", "flops", "lr", "train_loss", "grad_norm")


def curve_row(cell: Cell, step: int, loss: float, grad_norm: float) -> dict[str, float]:
    """A row of the curve of ``cell``, a value a column."""
    spec = cell.spec
    return {
        "step": step,
        "tokens": step * spec.batch_tokens,
        "flops": cell.flops * step / spec.steps,
        "lr": spec.optimizer.lr * spec.schedule.factor(step),
        "train_loss": loss,
        "grad_norm": grad_norm,
    }


def write_curve(path: Path, rows: Iterable[Mapping[str, float]]) -> None:
    """Write a whole curve, atomically."""
    write_atomic(path, "".join([",".join(COLUMNS) + "\n", *map(_line, rows)]))


def _line(row: Mapping[str, float]) -> str:
    return ",".join(repr(row[name]) for name in COLUMNS) + "\n"


class Curve:
    """Appends rows of :data:`COLUMNS`; ``train_loss`` is the mean since the row before, nats per token.

    Attributes:
        kept: the rows of earlier attempts that are still true.
    """

    def __init__(self, path: Path, step: int) -> None:
        """Open ``path``, keeping the rows up to ``step`` (0 starts anew)."""
        kept = [row for row in _complete_rows(path) if int(row[0]) <= step] if step else []
        write_atomic(path, "".join(",".join(row) + "\n" for row in [COLUMNS, *kept]))
        self.kept = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in kept]
        self._file = path.open("a", encoding="utf-8")

    def append(self, row: Mapping[str, float]) -> None:
        """Add one row, a value a column; it is on its way to the disk when this returns."""
        self._file.write(_line(row))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _complete_rows(path: Path) -> Iterator[list[str]]:
    """Rows of ``path`` but the header; a last line cut by a kill is dropped."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for row in csv.reader(line for line in lines[1:] if line.endswith("\n")):
        if len(row) == len(COLUMNS):
            yield row
