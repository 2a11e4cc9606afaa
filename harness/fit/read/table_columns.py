"""Columns of a table by name, as texts, numbers or switches: what filters and groupings look up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.read.cells import Cells, Column
from harness.fit.read.names import find
from harness.fit.read.notation import POINT
from harness.fit.read.run_states import FALSE, TRUE
from harness.fit.table import Array, plain_name

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TableColumns:
    """A table's columns by name, as filters and groupings look them up: the fit's own names come first.

    Attributes:
        cells: the table.
        numbers: the fit's columns as they were understood, (n,) each.
        runs: the column that names the runs, or None.
        decimal: the sign before decimals.
    """

    cells: Cells
    numbers: Mapping[str, Array]
    runs: Column | None = None
    decimal: str = POINT

    def names(self) -> list[str]:
        """All that can be named."""
        own = [one.header.strip() for one in self.cells.columns]
        fits = [name for name in self.numbers if name not in own]
        return [*own, *fits, *(["run_id"] if self.runs is not None and "run_id" not in own else [])]

    def column(self, name: str) -> "Values | None":
        """The column called ``name``, as written or in plain form; None where there is none."""
        if name in self.numbers:
            return Values(name, numbers=self.numbers[name])
        if name == "run_id" and self.runs is not None:
            return Values(name, column=self.runs)
        places = find(name, self.cells.header)
        if places:
            same = [i for i in places if self.cells.header[i] == self.cells.header[places[0]]]
            if len(same) > 1:
                raise UserError(
                    f"{self.cells.name}: {len(same)} columns are called {name!r}; rename all but one"
                )
            source = self.cells.columns[places[0]]
            rows = np.arange(len(source))
            text = source.has_text(rows, self.decimal)
            return Values(name, column=source, numbers=None if text else source.numbers(self.decimal)[0])
        plain = plain_name(name)
        return Values(name, numbers=self.numbers[plain]) if plain in self.numbers else None


@dataclass(frozen=True, eq=False)
class Values:
    """A column of n rows: its cells as text where it has any, and as numbers where all of them are."""

    name: str
    column: Column | None = None
    numbers: Array | None = None

    @property
    def missing(self) -> Mask:
        """Rows without a value, (n,)."""
        if self.numbers is not None:
            return np.isnan(self.numbers)
        assert self.column is not None, "a column has texts or numbers"
        return self.column.blank

    def by_word(self, holds: Callable[[str], bool]) -> Mask:
        """Rows whose text a test holds for, (n,)."""
        assert self.column is not None, "asked of text only"
        return np.array([holds(word) for word in self.column.words], dtype=bool)[self.column.codes]

    def switches(self) -> tuple[Mask, Mask] | None:
        """Rows that are true and rows that are false, (n,) each; None where the column has other words."""
        if self.column is None:
            return None
        words = self.column.few(len(TRUE | FALSE) * 8)
        if words is None or not {word.lower() for word in words} <= TRUE | FALSE | {"", "nan", "none"}:
            return None
        return self.by_word(lambda w: w.lower() in TRUE), self.by_word(lambda w: w.lower() in FALSE)
