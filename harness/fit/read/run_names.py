"""Which column of a table names the runs, and what the columns are that hold nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.read.aliases import ALIASES, GENERIC_NAMES, REASON, RUN_NAMES
from harness.fit.read.cells import Cells, Codes, Column
from harness.fit.read.names import asked_for
from harness.fit.table import UNNAMED, Array
from harness.text import visible

# Of one run's parameters or budget over its rows: further apart is another model, not another rounding.
ROUNDING = 0.01


@dataclass(frozen=True, eq=False)
class RunNames:
    """Every row's run.

    Attributes:
        column: the names, "" where a row has none; None where the table names no runs.
        group: a number for each run, (n,); a row without a name is a run of its own.
        columns: columns of names of runs.
        read_as: the name of the column, where it is not ``run_id``.
    """

    column: Column | None
    group: NDArray[np.int64]
    columns: frozenset[int]
    read_as: str
    notes: tuple[str, ...]

    def labels(self, lines: NDArray[np.int64]) -> tuple[str, ...]:
        """The runs of all rows: their names, or ``row 7``."""
        if self.column is None:
            return tuple(f"row {line}" for line in lines.tolist())
        return tuple(
            label or f"row {line}" for label, line in zip(self.column.text(), lines.tolist(), strict=True)
        )


def run_names(cells: Cells, numbers: Mapping[str, Array], wanted: str | None = None) -> RunNames:
    """Which column names the runs.

    A column of which two rows have one name but different parameters, budgets or seeds names no run: it is not
    used, and a note says so.

    Args:
        numbers: the fit's columns, each (n,).
        wanted: the column that the user names.

    Raises:
        UserError: there is no such column, or it names no runs.
    """
    notes: list[str] = []
    names: list[int] = []
    if wanted is not None:
        place = asked_for("run_id", wanted, cells.header, cells.name).index
        if difference := _difference(cells.columns[place], numbers):
            raise UserError(f"columns.run: {wanted!r} names no runs: {difference}")
        names.append(place)
    for i in cells.called(RUN_NAMES):
        if i in names or cells.columns[i].blank.all():
            continue
        difference = _difference(cells.columns[i], numbers)
        if not difference:
            names.append(i)
        elif not names:
            notes.append(f"column {cells.header[i].strip()!r} names no runs: {difference}")
    for i in cells.called(GENERIC_NAMES):
        blank = cells.columns[i].blank
        if i in names or blank.all():
            continue
        if np.bincount(cells.columns[i].codes[~blank]).max() == 1:
            names.append(i)
        elif not names:
            notes.append(
                f"column {cells.header[i].strip()!r} repeats its names, so every row is a run of its own; "
                f"if it names runs: columns.run='{visible(cells.header[i].strip())}'"
            )
    if not names:
        return RunNames(None, np.arange(len(cells.lines)), frozenset(), "", tuple(notes))
    column = cells.columns[names[0]]
    read_as = "" if column.plain == RUN_NAMES[0] else column.header.strip()
    if read_as:
        notes.append(f"run_id is column {read_as!r}")
    return RunNames(column, _groups(column), frozenset(names), read_as, tuple(notes))


def may_name_runs(plain: Sequence[str], wanted: str | None) -> bool:
    """Whether a column can name the runs, by its name alone."""
    return wanted is not None or any(name in (*RUN_NAMES, *GENERIC_NAMES) for name in plain)


def _groups(column: Column) -> NDArray[np.int64]:
    alone = np.array([not word or bool(UNNAMED.fullmatch(word)) for word in column.words], dtype=bool)
    group = column.codes.astype(np.int64)
    rows = np.flatnonzero(alone[column.codes])
    group[rows] = len(alone) + np.arange(len(rows))
    return group


def _difference(column: Column, numbers: Mapping[str, Array]) -> str:
    """Where rows of one label are not of one run: which label and how they differ; "" where all are."""
    rows = np.flatnonzero(~column.blank)
    codes = column.codes[rows]
    worst: tuple[int, int, str] | None = None
    for order, (name, rounding) in enumerate((("params", ROUNDING), ("budget", ROUNDING), ("seed", 0.0))):
        if name not in numbers:
            continue
        values = numbers[name][rows]
        known = np.isfinite(values)
        low = np.full(int(codes.max(initial=0)) + 1, np.inf)
        high = np.full(len(low), -np.inf)
        np.minimum.at(low, codes[known], values[known])
        np.maximum.at(high, codes[known], values[known])
        with np.errstate(invalid="ignore"):
            apart = (high > low) & (high - low > rounding * np.abs(high))
        if (off := apart[codes]).any():
            first = int(np.flatnonzero(off)[0])
            code = codes[first]
            begins = int(np.flatnonzero(codes == code)[0])
            said = f"rows of {column.text(rows[[first]])[0]!r} differ in {name} ({low[code]:g} and {high[code]:g})"
            worst = min(worst, (begins, order, said)) if worst else (begins, order, said)
    return worst[2] if worst else ""


@dataclass(frozen=True, eq=False)
class Others:
    """Columns that hold none of the fit's numbers: places of those of numbers and of text, by plain name."""

    numbers: dict[str, int]
    text: dict[str, int]
    decimal: str

    def values(self, cells: Cells, rows: NDArray[np.int64], suffixed: Iterable[str]) -> dict[str, Array]:
        """The numbers of ``rows``, NaN where empty, (rows,) each.

        Args:
            suffixed: columns in which ``23M`` is a number.
        """
        return {
            name: cells.columns[i].numbers(self.decimal, name in suffixed)[0][rows]
            for name, i in self.numbers.items()
        }


def other_columns(
    cells: Cells,
    taken: Iterable[int],
    finished: NDArray[np.bool_],
    decimal: str,
    suffixed: Iterable[str] = (),
) -> Others:
    """What the columns hold that are none of the fit's.

    Args:
        taken: columns that hold something else.
        finished: rows that decide which it is, (n,); of the others anything may be written.
        decimal: the sign before decimals.
        suffixed: columns in which ``23M`` is a number: those that the fit's options name.
    """
    numbers: dict[str, int] = {}
    text: dict[str, int] = {}
    rows = np.flatnonzero(finished)
    used = {*taken, *cells.called([REASON])}
    for i, column in enumerate(cells.columns):
        name = column.plain
        if i in used or not name or name in ALIASES or name in numbers or name in text:
            continue
        if column.has_text(rows, decimal, name in suffixed):
            text[name] = i
        elif np.isfinite(column.numbers(decimal, name in suffixed)[0][rows]).any():
            numbers[name] = i
    return Others(numbers, text, decimal)


def codes_of(cells: Cells, places: Mapping[str, int]) -> dict[str, Codes]:
    """The columns' cells as numbers of their different texts, (n,) each."""
    return {name: cells.columns[i].codes for name, i in places.items()}


def telling(text: Mapping[str, Sequence[str]], runs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The text columns that sort runs into groups: more than one value, and fewer than there are runs.

    Args:
        runs: every row's run, (rows,).
    """
    most = len(set(runs))
    return {name: tuple(column) for name, column in text.items() if 1 < len(set(column)) < most}
