"""A table that is in memory as the cells that a file's would be: a pandas DataFrame, or columns by name."""

import math
from collections.abc import Hashable, Iterable
from typing import Any, Protocol

from harness.errors import UserError
from harness.fit.columns import MAX_ROWS, Cells, too_many

# How pandas writes what is missing, beside what a file's blank cells hold.
MISSING = frozenset({"<NA>", "NaT"})


class Columns(Protocol):
    """Columns by name: a pandas DataFrame, or a dictionary of lists or arrays of equal length."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Pairs (name, values)."""


def cells_of(table: Columns) -> Cells:
    """The cells of ``table``, whose ``lines`` are the rows' positions, the first being 0.

    An index that has a name is a column too, as ``frame.set_index("run_id")`` leaves one.

    Raises:
        UserError: the columns are not of one length, there are none, or there are too many rows.
    """
    index = getattr(table, "index", None)
    if any(name is not None for name in getattr(index, "names", ())):
        table = table.reset_index()  # type: ignore[attr-defined]
    columns = [(_name(name), _listed(name, values)) for name, values in table.items()]
    lengths = {name: len(values) for name, values in columns}
    if not columns or not min(lengths.values()):
        raise UserError("table: no rows")
    if len(set(lengths.values())) > 1:
        raise UserError(f"table: its columns have different lengths: {lengths}")
    if (n := len(columns[0][1])) > MAX_ROWS:
        raise too_many("table")
    header, values = zip(*columns, strict=True)
    return Cells("table", header, tuple(range(n)), tuple(tuple(map(_cell, column)) for column in values))


def _name(name: Hashable) -> str:
    # of a DataFrame whose columns have two levels, as a pivot leaves them
    return " ".join(str(part) for part in name if part != "") if isinstance(name, tuple) else str(name)


def _listed(name: Hashable, values: Any) -> list[Any]:
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise UserError(f"table: column {_name(name)!r} is {values!r:.40}, not a list of values")
    return list(values)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = str(value).strip()
    return "" if text in MISSING else text
