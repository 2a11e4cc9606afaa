"""A table as it was read: columns of cells, each cell once as text and once, where it can be, as a number."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.fit.read.notation import POINT, number
from harness.fit.table import Array, plain_name

Codes = NDArray[np.int32]

# pyarrow is imported where it is used: a command that reads no table starts sooner without it.
# Cells that become one array at a time: their Python texts are in memory only so long.
BLOCK = 16_384
SAMPLE = 200


HeaderCheck = Callable[[list[str], str], bool]
"""Asked with the header and the table's name before the rows are read: refuses a hopeless table, and says whether its
rows may be evaluations of fewer runs."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of n rows.

    Attributes:
        header: its name as written.
        source: the cells: texts without space around them, "" where nothing stands, as pyarrow keeps them; or numbers
            of any kind, NaN where there is none, (n,).
    """

    header: str
    source: Any

    @property
    def is_numeric(self) -> bool:
        """Whether the cells were numbers where they came from, as in a DataFrame."""
        return isinstance(self.source, np.ndarray)

    def __len__(self) -> int:
        return len(self.source)

    @cached_property
    def plain(self) -> str:
        """The name in small letters, digits and "_"."""
        return plain_name(self.header)

    @cached_property
    def _encoded(self) -> tuple[Any, Codes]:
        import pyarrow as pa

        if self.is_numeric:
            different, codes = np.unique(self.source, return_inverse=True)
            words = pa.array(
                ["" if one != one else str(one) for one in different.tolist()], pa.large_string()
            )
            return words, codes.astype(np.int32)
        encoded = self.source.dictionary_encode()
        return encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)

    @property
    def words(self) -> list[str]:
        """Its different texts."""
        return list(self._encoded[0].to_pylist())

    @property
    def codes(self) -> Codes:
        """Which of :attr:`words` each cell is, (n,)."""
        return self._encoded[1]

    def few(self, most: int) -> list[str] | None:
        """Its different texts; None where there are more than ``most``."""
        if self.is_numeric and len(np.unique(self.source[: 2 * most + 2])) > most:
            return None
        return self.words if len(self._encoded[0]) <= most else None

    @cached_property
    def blank(self) -> NDArray[np.bool_]:
        """Which cells have no text, (n,)."""
        if self.is_numeric:
            return np.asarray(self.source != self.source)
        words = self.words
        return np.array([not word for word in words], dtype=bool)[self.codes]

    def text(self, rows: NDArray[np.int64] | None = None) -> list[str]:
        """The cells as text, of all rows or of ``rows``."""
        codes = self.codes if rows is None else self.codes[rows]
        return list(np.array(self.words, dtype=object)[codes])

    def numbers(
        self, decimal: str = POINT, suffixes: bool = False, factor: float = 1.0
    ) -> tuple[Array, NDArray[np.bool_]]:
        """The cells as numbers, NaN where there is none, and which cells are neither numbers nor blank; (n,) each.

        Args:
            decimal, suffixes: as :func:`harness.fit.read.notation.number` has them.
            factor: of numbers without a suffix of their own.
        """
        if self.is_numeric:
            return self.source.astype(float) * factor, np.zeros(len(self), dtype=bool)
        words = self.words
        bad = np.zeros(len(words), dtype=bool)
        if decimal == POINT:
            try:
                return np.array([float(word or "nan") for word in words])[self.codes] * factor, bad[
                    self.codes
                ]
            except ValueError:  # not all of them are as Python writes numbers
                pass
        values = np.empty(len(words))
        for i, word in enumerate(words):
            found = number(word, decimal, suffixes)
            if found is None:
                bad[i], found = True, np.nan
            values[i] = found if factor == 1.0 or word[-1:].isalpha() else found * factor
        return values[self.codes], bad[self.codes]

    def has_text(self, rows: NDArray[np.int64], decimal: str = POINT, suffixes: bool = False) -> bool:
        """Whether a cell of ``rows`` is neither a number nor blank; of a long column of texts the first ones tell."""
        import pyarrow as pa

        if self.is_numeric:
            return False
        dictionary, codes = self._encoded
        first = dictionary.take(pa.array(np.unique(codes[rows[:SAMPLE]]))).to_pylist()
        if any(number(word, decimal, suffixes) is None for word in first):
            return True
        return len(rows) > SAMPLE and bool(self.numbers(decimal, suffixes)[1][rows].any())


@dataclass(frozen=True, eq=False)
class Cells:
    """A table of n rows.

    Attributes:
        name: the file's, for messages.
        columns: in the table's order.
        lines: each row's line in its file (the header is line 1), or its position from 0 where it is in none; (n,).
        notes: what was done to read it.
    """

    name: str
    columns: tuple[Column, ...]
    lines: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    @property
    def header(self) -> tuple[str, ...]:
        """The columns' names as written."""
        return tuple(column.header for column in self.columns)

    @property
    def plain(self) -> tuple[str, ...]:
        """The columns' names in small letters, digits and "_"."""
        return tuple(column.plain for column in self.columns)

    def called(self, names: Iterable[str]) -> list[int]:
        """The columns with one of these plain names, in the names' order."""
        return [i for name in names for i, h in enumerate(self.plain) if h == name]


class Gathered:
    """Rows of text that become columns, a block of rows at a time."""

    def __init__(self, header: Sequence[str]) -> None:
        self.header = list(header)
        self._places = {name: place for place, name in enumerate(header)}
        self._lines: list[int] = []
        self._rows: list[list[str]] = []
        self._blocks: list[list[Any]] = [[] for _ in header]
        self._found: list[NDArray[np.int64]] = []
        self.mended = 0

    def add(self, line: int, row: list[str]) -> None:
        """A row of as many cells as there are names, in the names' order."""
        self.extend([line], [row])

    def extend(self, lines: list[int], rows: list[list[str]]) -> None:
        """Several such rows."""
        self._rows += rows
        self._lines += lines
        if len(self._rows) >= BLOCK:
            self._flush()

    def add_record(self, line: int, record: Mapping[str, str]) -> None:
        """A row by the columns' names; what it alone has is a new column."""
        import pyarrow as pa

        if new := record.keys() - self._places.keys():
            self._flush()
            for name in record:
                if name in new:
                    self._places[name] = len(self.header)
                    self.header.append(name)
                    self._blocks.append(
                        [pa.array([""] * len(block), pa.large_string()) for block in self._found]
                    )
        self.add(line, [record.get(name, "") for name in self.header])

    def _flush(self) -> None:
        import pyarrow.compute as pc

        if not self._rows:
            return
        for blocks, cells in zip(self._blocks, zip(*self._rows, strict=True), strict=True):
            blocks.append(pc.utf8_trim_whitespace(self._texts(cells)))
        self._found.append(np.array(self._lines, dtype=np.int64))
        self._rows, self._lines = [], []

    def _texts(self, cells: Sequence[str]) -> Any:
        import pyarrow as pa

        try:
            return pa.array(cells, pa.large_string())
        except UnicodeEncodeError:  # bytes that were no UTF-8
            mended = [windows_text(cell) for cell in cells]
            self.mended += sum(a != b for a, b in zip(cells, mended, strict=True))
            return pa.array(mended, pa.large_string())

    def __len__(self) -> int:
        return len(self._lines) + sum(map(len, self._found))

    def cells(self, name: str) -> Cells:
        """The table of all rows; there must be some."""
        import pyarrow as pa

        self._flush()
        columns = []
        for place, header in enumerate(self.header):
            columns.append(Column(header, pa.chunked_array(self._blocks[place]).combine_chunks()))
            self._blocks[place] = []
        notes = (f"{name} is not in UTF-8: read as Windows-1252",) if self.mended else ()
        return Cells(name, tuple(columns), np.concatenate(self._found), notes)


def windows_text(cell: str) -> str:
    """A text with bytes that were no UTF-8, as Windows-1252 has them, or Latin-1."""
    try:
        raw = cell.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a character of UTF-16, as JSON can have it
        return cell.encode("utf-8", "replace").decode()
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")
