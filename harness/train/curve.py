"""The training curve: a CSV that grows while a run trains and is cut back to its checkpoint on resume."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.plan.cell import Cell
from harness.runs.files import write_atomic

COLUMNS = ("step", "tokens", "flops", "lr", "train_loss", "grad_norm")


def curve_row(cell: Cell, step: int, loss: float, grad_norm: float) -> tuple[float, ...]:
    """The values of :data:`COLUMNS` after ``step`` steps of ``cell``."""
    spec = cell.spec
    rate = spec.optimizer.lr * spec.schedule.factor(step)
    return step, step * spec.batch_tokens, cell.flops * step / spec.steps, rate, loss, grad_norm


def write_curve(path: Path, rows: Iterable[tuple[float, ...]]) -> None:
    """Write a whole curve, atomically."""
    write_atomic(path, _text([COLUMNS, *(map(repr, row) for row in rows)]))


class Curve:
    """Appends rows of :data:`COLUMNS`; ``train_loss`` is the mean since the row before, nats per token."""

    def __init__(self, path: Path, step: int) -> None:
        """Open ``path``, keeping the rows up to ``step`` (0 starts anew)."""
        kept = [row for row in _complete_rows(path) if int(row[0]) <= step] if step else []
        self.kept = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in kept]
        write_atomic(path, _text([COLUMNS, *kept]))
        self._file = path.open("a", encoding="utf-8")

    def append(self, *values: float) -> None:
        """Add one row; it is on its way to the disk when this returns."""
        self._file.write(_text([map(repr, values)]))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _text(rows: Iterable[Iterable[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)


def _complete_rows(path: Path) -> Iterator[list[str]]:
    """Rows of ``path`` but the header; a last line cut by a kill is dropped."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for row in csv.reader(line for line in lines[1:] if line.endswith("\n")):
        if len(row) == len(COLUMNS):
            yield row
