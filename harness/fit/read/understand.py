"""Which columns of a table hold the numbers of a fit, and these numbers, in plain units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.read.cells import Cells
from harness.fit.read.decimals import Decimals
from harness.fit.read.describe import described, refuse_perplexity, unit_words
from harness.fit.read.header import SIZES, batches, refuse_missing
from harness.fit.read.names import MOST, NUMBERS, ColumnNames, Place, asked_for, bare, key_of, tiers
from harness.fit.read.notation import POINT
from harness.fit.table import Array
from harness.text import visible

# Two columns with numbers as near as this have the same, one of them rounded.
SAME = 1e-4
SUFFIXED = ("params", "tokens", "flops", "budget")
OPTIONS = {"params": "count", "flops": "compute", "loss": "loss"}
"""The fit's options that name columns."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Numbers:
    """The fit's numbers of a table of n rows.

    Attributes:
        values: by the fit's names, (n,) each; with all of N, D, C and L.
        places: which column each was read from; those that were derived are not in it.
        read_as: the table's names of those that it calls otherwise, as ``columns`` takes them.
        decimal: the sign before decimals in the columns that leave it open.
        words: by column, rows in which something else than a number stands, (n,) each.
        notes: how the table was understood, one line; or none.
    """

    values: dict[str, Array]
    places: dict[str, int]
    read_as: dict[str, str]
    decimal: str
    words: dict[int, Mask]
    notes: tuple[str, ...]

    def refuse_words(self, cells: Cells, rows: Mask) -> None:
        """Raises UserError where one of ``rows`` has something else than a number."""
        for i, bad in self.words.items():
            if not (wrong := bad & rows).any():
                continue
            row = int(np.flatnonzero(wrong)[0])
            cell = cells.columns[i].text(np.array([row]))[0]
            shown = cell if len(cell) <= 40 else cell[:37] + "..."
            name = visible(cells.header[i].strip())
            raise UserError(f"{cells.name}: row {cells.lines[row]}, column {name}: {shown!r} is not a number")


def understand(cells: Cells, columns: ColumnNames, preferred: Mapping[str, str], finished: Mask) -> Numbers:
    """Finds and reads the fit's numbers.

    A column that the user names is taken; else one with the fit's own name; else the first usual name; else what the
    fit's options name; else it is derived.

    Args:
        preferred: as in :func:`harness.fit.read.header.check_header`.
        finished: rows of runs that finished, (n,): of the others anything may be written where a number belongs.

    Raises:
        UserError: a column is missing, two that differ could each be the one, or numbers can be read in two ways.
    """
    return _Reading(cells, columns, preferred, finished).numbers()


class _Reading:
    """One table while it is understood."""

    def __init__(
        self, cells: Cells, columns: ColumnNames, preferred: Mapping[str, str], finished: Mask
    ) -> None:
        self.cells, self.columns, self.preferred, self.finished = cells, columns, preferred, finished
        self.decimals = Decimals(cells, columns.decimal, self._candidates)
        self.read: dict[tuple[int, str, bool, float], tuple[Array, Mask]] = {}
        self.places: dict[str, Place] = {}
        self.derived: dict[str, str] = {}
        self.words: dict[int, Mask] = {}

    def numbers(self) -> Numbers:
        """The whole."""
        named = self.columns.named()
        header, name = self.cells.header, self.cells.name
        for column in NUMBERS:
            if column in named:
                self.places[column] = asked_for(column, named[column], header, name)
            elif column != "loss_se" and (place := self._chosen(column)) is not None:
                self.places[column] = place
        if (error := self._error_of_loss()) is not None:
            self.places.setdefault("loss_se", error)
        if "loss" in self.places:
            refuse_perplexity(self.cells.columns[self.places["loss"].index], name)
        values = {column: self._values(column, place) for column, place in self.places.items()}
        self._derive(values)
        refuse_missing(set(values), header, name)
        for column in SIZES:
            if column not in values:
                values[column] = _from_6nd(column, values)
                self.derived[column] = "from 6 x params x tokens" if column == "flops" else "from flops = 6ND"
        places = {column: place.index for column, place in self.places.items()}
        decimal = self.decimals.of_the_rest(places.values())
        return Numbers(values, places, self._read_as(), decimal, self.words, self._notes())

    def _candidates(self) -> set[int]:
        """All columns that are one of the fit's, or may be."""
        named = self.columns.named()
        return {place.index for place in self.places.values()} | {
            place.index
            for column in ("loss", *SIZES, "budget")
            if column not in named
            for candidates in tiers(column, self.cells.header, self.cells.name)
            for place in candidates
        }

    def _chosen(self, column: str) -> Place | None:
        """The column that holds ``column`` by its name, or by the fit's options; None where there is none."""
        header, name = self.cells.header, self.cells.name
        wanted, empty = self.preferred.get(column), None
        for candidates in tiers(column, header, name):
            if self.cells.columns[candidates[0].index].plain == column:
                return candidates[0]
            usable = [place for place in candidates if self._has_numbers(column, place)]
            if len(usable) > 1 and (differing := self._differing(column, usable)):
                if wanted:
                    break
                raise UserError(self._ambiguous(column, *differing))
            if usable:
                return usable[0]
            empty = empty or candidates[0]
        return asked_for(column, wanted, header, name, f"analysis.{OPTIONS[column]}") if wanted else empty

    def _error_of_loss(self) -> Place | None:
        """The standard error of the column that the loss is, not of another."""
        header, loss = self.cells.header, self.places.get("loss")
        if loss is None:
            return None
        own = bare(header[loss.index])
        for i, one in enumerate(header):
            if bare(one) in (f"{own}_se", f"{own}_stderr", f"{own}_sem") and own != "loss":
                return Place(i)
        if own != "loss" and "loss" in self.cells.plain:
            return None
        return self._chosen("loss_se")

    def _has_numbers(self, column: str, place: Place) -> bool:
        values, _ = self._parsed(column, place)
        return bool(np.isfinite(values[self.finished]).any())

    def _differing(self, column: str, places: Sequence[Place]) -> tuple[Place, Place, int] | None:
        """Two of ``places`` with different numbers, and a row where they are; None where all have the same."""
        first, _ = self._parsed(column, places[0])
        for other in places[1:]:
            theirs, _ = self._parsed(column, other)
            both = np.isfinite(first) & np.isfinite(theirs) & self.finished
            off = both & (np.abs(first - theirs) > SAME * np.abs(first))
            if off.any() or not both.any():
                rows = np.flatnonzero(off if off.any() else np.isfinite(theirs))
                return places[0], other, int(rows[0])
        return None

    def _ambiguous(self, column: str, one: Place, other: Place, row: int) -> str:
        names = [self.cells.header[place.index].strip() for place in (one, other)]
        cells = [self.cells.columns[place.index].text(np.array([row]))[0] for place in (one, other)]
        said = " and ".join(f"{visible(name)!r}" for name in names)
        key = key_of(column)
        return (
            f"{self.cells.name}: {said} can each be the column {column}, and differ (row {self.cells.lines[row]}: "
            f"{cells[0] or 'empty'} and {cells[1] or 'empty'}); say which: {key}='{visible(names[0])}' or "
            f"{key}='{visible(names[1])}'"
        )

    def _parsed(self, column: str, place: Place) -> tuple[Array, Mask]:
        decimal = self.decimals.sign(place.index, is_loss=column == "loss") or POINT
        asked = (place.index, decimal, column in SUFFIXED, place.factor)
        if asked not in self.read:
            self.read[asked] = self.cells.columns[asked[0]].numbers(*asked[1:])
        return self.read[asked]

    def _values(self, column: str, place: Place) -> Array:
        """The column's numbers, (n,), NaN where there is none; what is no number is kept in ``words``."""
        if self.decimals.sign(place.index, is_loss=column == "loss") is None:
            raise self.decimals.unknown(place.index)
        values, self.words[place.index] = self._parsed(column, place)
        known = values[np.isfinite(values)]
        if place.factor != 1 and len(known) and known.max() > MOST.get(column, np.inf):
            header = visible(self.cells.header[place.index].strip())
            raise UserError(
                f"{self.cells.name}: column {header!r} has {known.max() / place.factor:g} {unit_words(place.factor)}, "
                f"which no run has; if its numbers are plain: {key_of(column)}='{header} * 1'"
            )
        return values

    def _derive(self, values: dict[str, Array]) -> None:
        """C from the budget, or D from steps and batch, where N, D and C do not follow otherwise."""
        if sum(column in values for column in SIZES) < 2 and "flops" not in values and "budget" in values:
            values["flops"] = values["budget"]
            self.derived["flops"] = "are the budget"
        factors = batches(self.cells.header) if "tokens" not in values else []
        if factors and sum(column in values for column in SIZES) < 2:
            values["tokens"] = np.prod([self._values("steps", Place(i)) for i in factors], axis=0)
            names = " x ".join(f"'{visible(self.cells.header[i].strip())}'" for i in factors)
            self.derived["tokens"] = f"= {names}"

    def _read_as(self) -> dict[str, str]:
        named = self.columns.named()
        found = {}
        for column, place in self.places.items():
            if column in named:
                found[column] = named[column].strip()
            elif self.cells.columns[place.index].plain != column:
                found[column] = self.cells.header[place.index].strip()
        if self.columns.decimal != "auto":
            found["decimal"] = self.columns.decimal
        return found

    def _notes(self) -> tuple[str, ...]:
        said = []
        for column in NUMBERS:
            if column in self.derived:
                said.append(f"{column} {self.derived[column]}")
            elif column in self.places:
                place = self.places[column]
                said.append(described(column, self.cells.columns[place.index], place))
        if any(self.decimals.writes_commas(place.index) for place in self.places.values()):
            said.append("numbers with decimal commas")
        told = ", ".join(filter(None, said))
        return (f"read as: {told}",) if told else ()


def _from_6nd(column: str, known: Mapping[str, Array]) -> Array:
    """N, D or C by C = 6ND (Hoffmann et al. 2022, section 3.3), (n,)."""
    with np.errstate(all="ignore"):
        if column == "flops":
            return 6 * known["params"] * known["tokens"]
        return known["flops"] / (6 * known["tokens" if column == "params" else "params"])
