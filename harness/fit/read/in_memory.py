"""A table that is in memory as the cells that a file's would be: a pandas DataFrame, or columns by name."""

import itertools
import math
from collections.abc import Hashable, Iterable, Mapping, Sized
from typing import Any, Protocol

import numpy as np

from harness.errors import UserError
from harness.fit.read.cells import Cells, Column, windows_text
from harness.fit.read.limits import MAX_ROWS, too_many

# How pandas writes what is missing, beside what a file's blank cells hold.
MISSING = frozenset({"<NA>", "NaT"})
NO_LISTS = (str, bytes, bytearray, memoryview, set, frozenset, Mapping)


class Columns(Protocol):
    """Columns by name: a pandas DataFrame, or a dictionary of lists or arrays of equal length."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Pairs (name, values)."""


def cells_of(table: Columns, name: str = "table", notes: tuple[str, ...] = ()) -> Cells:
    """The cells of ``table``, whose ``lines`` are the rows' positions, the first being 0.

    An index that has a name is a column too, as ``frame.set_index("run_id")`` leaves one; so is one of texts, called
    ``index``.

    Raises:
        UserError: the columns are not of one length, there are none, or there are too many rows.
    """
    index = getattr(table, "index", None)
    if any(one is not None for one in getattr(index, "names", ())):
        table = table.reset_index()  # type: ignore[attr-defined]
    elif _names_rows(index) and "index" not in table:  # type: ignore[operator]
        table = table.reset_index(names="index")  # type: ignore[attr-defined]
    columns = [(_name(one), _listed(name, one, values)) for one, values in table.items()]
    lengths = {one: len(values) for one, values in columns}
    if not columns or not min(lengths.values()):
        raise UserError(f"{name}: no rows")
    if len(set(lengths.values())) > 1:
        raise UserError(f"{name}: its columns have different lengths: {lengths!s:.300}")
    if (n := len(columns[0][1])) > MAX_ROWS:
        raise too_many(name)
    found = tuple(Column(one, _source(values)) for one, values in columns)
    return Cells(name, found, np.arange(n), notes)


def _names_rows(index: Any) -> bool:
    """Whether the index of a DataFrame is of texts, rather than of positions."""
    return isinstance(index, Sized) and len(index) > 0 and all(isinstance(label, str) for label in index)  # type: ignore[attr-defined]


def _name(name: Hashable) -> str:
    # of a DataFrame whose columns have two levels, as a pivot leaves them
    return " ".join(str(part) for part in name if part != "") if isinstance(name, tuple) else str(name)


def _listed(table: str, name: Hashable, values: Any) -> Any:
    """A column's values as something with a length."""
    if isinstance(values, NO_LISTS) or not hasattr(values, "__iter__"):
        shown = (
            f"{values!r:.40}"
            if isinstance(values, str | bytes) or not isinstance(values, Sized)
            else f"a {type(values).__name__}"
        )
        raise UserError(f"{table}: column {_name(name)!r} is {shown}, not a list of values")
    if not isinstance(values, Sized):
        return list(itertools.islice(values, MAX_ROWS + 1))
    return values


def _source(values: Any) -> Any:
    """Cells as :class:`Column` has them: numbers as they are, all else as text."""
    import pyarrow as pa  # by who reads a table only

    kind = getattr(getattr(values, "dtype", None), "kind", "")
    whole = kind in ("i", "u", "f") and not isinstance(values, np.ma.MaskedArray)
    array = np.asarray(values) if whole else None
    if array is not None and array.dtype.kind in "iuf" and array.ndim == 1:
        return array
    listed = values.tolist() if kind and hasattr(values, "tolist") else list(values)
    if (numbers := _numbers(listed)) is not None:
        return numbers
    return pa.array([_cell(value) for value in listed], pa.large_string())


def _numbers(listed: list[Any]) -> Any:
    """A list of Python's numbers as an array; None for other lists."""
    kinds = set(map(type, listed))
    try:
        if kinds == {int}:
            return np.array(listed, dtype=np.int64)
        if float in kinds and kinds <= {int, float, type(None)}:
            return np.array([math.nan if value is None else value for value in listed], dtype=float)
    except OverflowError:
        pass
    return None


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = (value if isinstance(value, str) else str(value)).strip()
    if text in MISSING:
        return ""
    return text if text.isascii() else windows_text(text)
