"""Columns of points that were read, by the names that the table or the fit has: to filter and to group them."""

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.read.cells import Cells, Column
from harness.fit.read.in_memory import cells_of
from harness.fit.read.names import NUMBERS, listed
from harness.fit.read.table_columns import TableColumns
from harness.fit.read.where import rows_where
from harness.fit.table import Points, plain_name


def table_columns(points: Points) -> TableColumns:
    """The columns of ``points``; of text those that sort the runs into groups (:attr:`Points.text`)."""
    numbers = {name: value for name in NUMBERS if (value := getattr(points, name)) is not None}
    runs = cells_of({"run_id": list(points.run_id)}).columns[0]
    others = {**points.extra, **points.text}
    columns: tuple[Column, ...] = cells_of(others, "points").columns if others else ()
    renamed = [Column(header, numbers[name]) for name, header in points.read_as.items() if name in numbers]
    return TableColumns(Cells("points", (*columns, *renamed), np.arange(len(points))), numbers, runs)


def entries_where(points: Points, where: str) -> NDArray[np.bool_]:
    """The entries of ``points`` for which a filter holds (:mod:`harness.fit.read.where`), (n,).

    Raises:
        UserError: the filter is wrong, or names no column.
    """
    return rows_where(where, table_columns(points)).yes


def labels(points: Points, name: str) -> tuple[str, ...]:
    """The column ``name`` of ``points`` as text, (n,), "" where it is missing: what to group entries by.

    Raises:
        UserError: there is no such column.
    """
    table = table_columns(points)
    found = table.column(name) or table.column(plain_name(name))
    if found is None:
        has = listed(table.names())
        raise UserError(
            f"points: no column {name!r} (one of text with a single value is none); the table has {has}"
        )
    if found.numbers is not None:
        return tuple("" if value != value else _written(value) for value in found.numbers.tolist())
    assert found.column is not None, "a column has texts or numbers"
    return tuple(found.column.text())


def _written(value: float) -> str:
    """A number in so many digits as tell it from others."""
    short = f"{value:.12g}"
    return short if float(short) == value else repr(value)


def condition(points: Points, name: str, label: str) -> str:
    """The filter that keeps the entries whose column ``name`` is ``label`` (of :func:`labels`), and these alone.

    Raises:
        UserError: there is no such column, or no filter says that.
    """
    quoted = label.replace("\\", "\\\\").replace("'", "\\'")
    mine = np.array([one == label for one in labels(points, name)], dtype=bool)
    for value in (f"'{quoted}'", label):
        text = f"`{name}` == {value}"
        try:
            if (entries_where(points, text) == mine).all():
                return text
        except UserError:
            continue
    raise UserError(f"points: no filter says that column {name!r} is {label!r:.40}")
