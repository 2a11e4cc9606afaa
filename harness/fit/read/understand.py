"""Which columns of a table hold the numbers of a fit, and these numbers, in plain units."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.read.cells import Cells
from harness.fit.read.names import (
    BATCH_SIZE,
    BATCH_TOKENS,
    BITS_PER_BYTE,
    MOST,
    NUMBERS,
    PARTS_OF_A_BATCH,
    SEQ_LEN,
    SMOOTHED,
    STEPS,
    TRAINING,
    WITHOUT_EMBEDDING,
    WORDS,
    ColumnNames,
    Place,
    asked_for,
    bare,
    key_of,
    listed,
    may_be_meant,
    tiers,
)
from harness.fit.read.notation import COMMA, POINT, Evidence, decimal_sign, evidence
from harness.fit.table import Array
from harness.text import visible

SIZES = ("params", "tokens", "flops")
"""N, D and C: any one of them follows from the others."""
# Two columns with numbers as near as this have the same, one of them rounded.
SAME = 1e-4
SUFFIXED = ("params", "tokens", "flops", "budget")


@dataclass(frozen=True, eq=False)
class Numbers:
    """The fit's numbers of a table of n rows.

    Attributes:
        values: by the fit's names, (n,) each; with all of N, D, C and L.
        places: which column each was read from; those that were derived are not in it.
        read_as: the table's names of those that it calls otherwise, as ``columns`` takes them.
        decimal: the sign before decimals in the columns that leave it open.
        notes: how the table was understood, one line; or none.
    """

    values: dict[str, Array]
    places: dict[str, int]
    read_as: dict[str, str]
    decimal: str
    notes: tuple[str, ...] = field(default=())


def check_header(
    header: Sequence[str], columns: ColumnNames, preferred: Mapping[str, str], table: str
) -> None:
    """Refuse a table whose names of columns say that no fit can be made of it, before its rows are read.

    Args:
        preferred: names that the fit's options give for ``params``, ``flops`` or ``loss``, where a table has no column
            that is usually called so.

    Raises:
        UserError: it is a tracker's export of curves, or the loss or two of N, D and C are missing.
    """
    _refuse_curves(header, columns, table)
    named = columns.named()
    places = {column: asked_for(column, name, header, table) for column, name in named.items()}
    found = {column for column in NUMBERS if column in places or any(tiers(column, header, table))}
    found |= {column for column, name in preferred.items() if name}
    if len(found & set(SIZES)) < 2 and "budget" in found:
        found.add("flops")
    if len(found & set(SIZES)) < 2 and batches(header):
        found.add("tokens")
    refuse_missing(found, header, table)


def refuse_missing(found: set[str], header: Sequence[str], table: str) -> None:
    """Raises UserError unless the loss and two of N, D and C are found: the columns to name, and how."""
    sizes = [column for column in SIZES if column not in found]
    wanted = []
    if "loss" not in found:
        wanted.append(("column loss", "loss"))
    if len(sizes) == 2:
        wanted.append((f"column {sizes[0]} or {sizes[1]}", sizes[0]))
    if len(sizes) == 3:
        wanted.append(("two of the columns params, tokens and flops", "params"))
    if not wanted:
        return
    lacking = " and ".join(words for words, _ in wanted)
    keys = " ".join(f"columns.{column}=NAME" for _, column in wanted)
    sounding = [may_be_meant(column, header) for _, column in wanted]
    perhaps = f", perhaps {alike}" if (alike := next(filter(None, sounding), "")) else ""
    raise UserError(
        f"{table}: missing {lacking}; it has {listed(header)}; name one that is called otherwise with {keys}{perhaps}"
    )


def _refuse_curves(header: Sequence[str], columns: ColumnNames, table: str) -> None:
    plain = [re.sub(r"[^a-z]+", "_", one.strip().lower()).strip("_") for one in header]
    if plain == ["wall_time", "step", "value"]:
        raise UserError(
            f"{table}: TensorBoard's export of one run's curve, not a table of runs; write one row a run with its N "
            "(params), D (tokens) and last value (loss)"
        )
    charted = [one.strip() for one in header if re.search(r".\s-\s.*\w", one)]
    if plain and plain[0] in (
        "step",
        "global_step",
        "relative_time_process",
        "relative_time_wall",
        "wall_time",
    ):
        runs = dict.fromkeys(one.rpartition(" - ")[0] for one in charted)
        if charted and len(charted) >= len(header) - 1 and not columns.named():
            raise UserError(
                f"{table}: W&B's export of a chart, with curves of {len(runs)} runs and neither N nor D; export the "
                "table of runs instead, with the columns of N, D and the loss, or read the project itself: "
                "'isoflop fit source=wandb project=ENTITY/PROJECT group=NAME'"
            )


def understand(
    cells: Cells, columns: ColumnNames, preferred: Mapping[str, str], finished: NDArray[np.bool_]
) -> Numbers:
    """Finds and reads the fit's numbers.

    A column that the user names is taken; else one with the fit's own name; else the first usual name; else what the
    fit's options name; else it is derived.

    Args:
        preferred: as in :func:`check_header`.
        finished: rows of runs that finished, (n,): of the others anything may be written where a number belongs.

    Raises:
        UserError: a column is missing, two that differ could each be the one, or a cell is no number.
    """
    return _Reading(cells, columns, preferred, finished).numbers()


class _Reading:
    """One table while it is understood."""

    def __init__(
        self, cells: Cells, columns: ColumnNames, preferred: Mapping[str, str], finished: NDArray[np.bool_]
    ) -> None:
        self.cells, self.columns, self.preferred, self.finished = cells, columns, preferred, finished
        self.seen: dict[int, Evidence] = {}
        self.read: dict[tuple[int, str, bool, float], tuple[Array, NDArray[np.bool_]]] = {}
        self.places: dict[str, Place] = {}
        self.derived: dict[str, str] = {}

    def numbers(self) -> Numbers:
        named = self.columns.named()
        header, name = self.cells.header, self.cells.name
        for column in NUMBERS:
            if column in named:
                self.places[column] = asked_for(column, named[column], header, name)
            elif column != "loss_se" and (place := self._chosen(column)) is not None:
                self.places[column] = place
        if (error := self._error_of_loss()) is not None:
            self.places.setdefault("loss_se", error)
        values = {column: self._read(column, place) for column, place in self.places.items()}
        self._derive(values)
        refuse_missing(set(values), header, name)
        for column in SIZES:
            if column not in values:
                values[column] = _from_6nd(column, values)
                self.derived[column] = "from 6 x params x tokens" if column == "flops" else "from flops = 6ND"
        return Numbers(
            values,
            {column: place.index for column, place in self.places.items()},
            self._read_as(),
            self._open_decimal(),
            self._notes(),
        )

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
        return asked_for(column, wanted, header, name, f"analysis.{_OPTION[column]}") if wanted else empty

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

    def _evidence(self, i: int) -> Evidence:
        if i not in self.seen:
            column = self.cells.columns[i]
            self.seen[i] = Evidence() if column.is_numeric else evidence(column.words)
        return self.seen[i]

    def _decimal(self, i: int) -> str | None:
        """The sign before decimals in a column; None where that is not known."""
        if self.columns.decimal != "auto":
            return self.columns.decimal
        others = {place.index for place in self.places.values()} | {
            place.index
            for column in ("loss", *SIZES, "budget")
            for candidates in tiers(column, self.cells.header, self.cells.name)
            for place in candidates
        }
        return decimal_sign(self._evidence(i), [self._evidence(other) for other in others - {i}])

    def _open_decimal(self) -> str:
        """For columns that leave it open: what the fit's columns have."""
        if self.columns.decimal != "auto":
            return self.columns.decimal
        found = [self._evidence(place.index) for place in self.places.values()]
        return COMMA if any(one.comma for one in found) and not any(one.point for one in found) else POINT

    def _parsed(self, column: str, place: Place) -> tuple[Array, NDArray[np.bool_]]:
        asked = (place.index, self._decimal(place.index) or POINT, column in SUFFIXED, place.factor)
        if asked not in self.read:
            self.read[asked] = self.cells.columns[asked[0]].numbers(*asked[1:])
        return self.read[asked]

    def _read(self, column: str, place: Place) -> Array:
        """The column's numbers. Raises UserError where a row whose run finished has something else there."""
        cells, header = self.cells, visible(self.cells.header[place.index].strip())
        if self._decimal(place.index) is None:
            seen = self._evidence(place.index)
            comma, point = seen.comma or seen.doubtful_comma, seen.point or seen.doubtful_point
            if comma and point:
                raise UserError(
                    f"{cells.name}: column {header!r} has commas and points before decimals ({comma!r} and {point!r}), "
                    "or between thousands; write one way, or say it with columns.decimal=point or columns.decimal=comma"
                )
            number = comma.replace(",", "")
            raise UserError(
                f"{cells.name}: column {header!r} has numbers such as {comma!r}, which can be {number} or "
                f"{comma.replace(',', '.')}; say what stands before decimals: columns.decimal=point or "
                "columns.decimal=comma"
            )
        values, bad = self._parsed(column, place)
        if (wrong := bad & self.finished).any():
            row = int(np.flatnonzero(wrong)[0])
            cell = cells.columns[place.index].text(np.array([row]))[0]
            shown = cell if len(cell) <= 40 else cell[:37] + "..."
            raise UserError(
                f"{cells.name}: row {cells.lines[row]}, column {header}: {shown!r} is not a number"
            )
        known = values[np.isfinite(values)]
        if place.factor != 1 and len(known) and known.max() > MOST.get(column, np.inf):
            plain = header.partition(" * ")[0]
            raise UserError(
                f"{cells.name}: column {header!r} has {known.max() / place.factor:g} {_unit(place.factor)}, which "
                f"no run has; if its numbers are plain: {key_of(column)}='{plain} * 1'"
            )
        return values

    def _derive(self, values: dict[str, Array]) -> None:
        """C from the budget, or D from steps and batch, where N, D and C do not follow otherwise."""
        if sum(column in values for column in SIZES) < 2 and "flops" not in values and "budget" in values:
            values["flops"] = values["budget"]
            self.derived["flops"] = "are the budget"
        factors = batches(self.cells.header) if "tokens" not in values else []
        if factors and sum(column in values for column in SIZES) < 2:
            values["tokens"] = np.prod([self._read("steps", Place(i)) for i in factors], axis=0)
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
                continue
            if column not in self.places:
                continue
            place = self.places[column]
            source = self.cells.columns[place.index]
            traits = self._traits(column, place)
            if source.plain != column or traits:
                said.append(f"{column} = '{visible(source.header.strip())}'" + "".join(traits))
        if any(self._writes_commas(place.index) for place in self.places.values()):
            said.append("numbers with decimal commas")
        if not said:
            return ()
        return ("read as: " + ", ".join(said),)

    def _writes_commas(self, i: int) -> bool:
        """Whether a column has numbers with commas before decimals."""
        seen = self._evidence(i)
        return bool(seen.comma or seen.doubtful_comma) and self._decimal(i) == COMMA

    def _traits(self, column: str, place: Place) -> list[str]:
        """What is to be said of a column beside its name."""
        source = self.cells.columns[place.index]
        name = bare(source.header)
        found = []
        if place.factor != 1:
            found.append(f" in {_unit(place.factor)}")
        if column == "loss":
            if name in BITS_PER_BYTE or re.search(r"(^|_)(bpb|bits_per_byte|bits_byte)(_|$)", name):
                found.append(" in bits per byte, not nats per token (so is every loss of the fit)")
            elif re.search(r"(^|_)(bits_per_token|bits)(_|$)", name):
                found.append(" in bits, not nats per token (so is every loss of the fit)")
            elif re.search(r"(^|_)(ppl|perplexity)(_|$)", name):
                raise UserError(
                    f"{self.cells.name}: column {source.header.strip()!r} is a perplexity; the laws are of its natural "
                    "logarithm: add a column with it"
                )
            elif name in SMOOTHED:
                found.append(" (a smoothed training loss)")
            elif name in TRAINING:
                found.append(" (a training loss)")
        if column == "params" and name in WITHOUT_EMBEDDING:
            found.append(" (without embeddings)")
        return found


_OPTION = {"params": "count", "flops": "compute", "loss": "loss"}


def batches(header: Sequence[str]) -> list[int]:
    """The columns whose product is the tokens of a run: steps and tokens of a batch, or its sequences and their length.

    None where a batch may be of one device alone.
    """
    names = list(map(bare, header))

    def first(known: tuple[str, ...]) -> list[int]:
        return [names.index(name) for name in known if name in names][:1]

    steps, tokens, size, length = first(STEPS), first(BATCH_TOKENS), first(BATCH_SIZE), first(SEQ_LEN)
    if steps and tokens:
        return steps + tokens
    whole = bool(size) and (names[size[0]] != "batch_size" or not any(map(PARTS_OF_A_BATCH.search, names)))
    return steps + size + length if steps and length and whole else []


def _unit(factor: float) -> str:
    return WORDS.get(factor, f"units of {factor:g}")


def _from_6nd(column: str, known: Mapping[str, Array]) -> Array:
    """N, D or C by C = 6ND (Hoffmann et al. 2022, section 3.3), (n,)."""
    with np.errstate(all="ignore"):
        if column == "flops":
            return 6 * known["params"] * known["tokens"]
        return known["flops"] / (6 * known["tokens" if column == "params" else "params"])
