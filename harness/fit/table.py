"""What every fit starts from: the table of runs, what was left out of it and why, and the runs' training curves."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.text import counted

Array = NDArray[np.float64]

# A measured count lies within a factor of a few of 6ND even for tiny models with long contexts; a factor of
# ten is a mistaken unit or a mistaken column.
INCONSISTENT_FACTOR = 10.0
# Fewer are no language model: they are millions of parameters and billions of tokens.
LEAST_PARAMS, LEAST_TOKENS = 100, 1000
# Of D/N. What lies beyond has one of the two, or the FLOPs that the other was derived from, in another unit.
LEAST_RATIO, MOST_RATIO = 1e-6, 1e11
NO_UNITS = "write plain numbers, not millions or billions"
# Numbers of one table that are fewer times apart are in one unit.
ONE_UNIT = 1e3
# The label of an entry whose table names no runs.
UNNAMED = re.compile(r"row \d+")


def plain_name(header: str) -> str:
    """``Run ID`` and ``run.id`` → ``run_id``; ``_step`` → ``step``."""
    return re.sub(r"[^a-z0-9]+", "_", header.strip().lower()).strip("_")


@dataclass(frozen=True)
class Excluded:
    """A run, or a row of one, that takes no part in the fit.

    Attributes:
        run: its ``run_id``, or ``row 7`` where the table has no ids.
        reason: why, in words.
        row: its line in the file (the header is line 1), or its position from 0 in a table that came from no file, or
            from one without lines; of several rows the last. None where neither is known.
        rows: how many rows of the table this stands for.
    """

    run: str
    reason: str
    row: int | None = None
    rows: int = 1


@dataclass(frozen=True, eq=False, repr=False)
class Points:
    """Finished runs as columns, all of the same length n: one entry a run, or several, where ``run_id`` repeats.

    The entries of one run are its checkpoints or evaluations: they share its luck, so they are no independent
    measurements.

    Attributes:
        params: N, parameters, under the convention the fit uses.
        tokens: D, training tokens.
        flops: C, training FLOPs.
        loss: final validation loss, nats per token.
        run_id: the run of every entry.
        budget: the planned FLOPs a run belongs to, or None where the table does not say.
        seed: the run's seed, or None.
        loss_se: standard error of the loss, or None; NaN where a run has none.
        extra: further numeric columns by name (other counts of parameters and FLOPs); NaN where empty.
        excluded: runs that were read and left out.
        notes: what the reader did that a user should know (a derived column, a renamed one).
        text: columns of text by name, that sort the rows into groups (``dataset``, ``recipe``); "" where empty.
        lines: the line of each entry in its file (the header is line 1), or its position from 0 in a table that came
            from no file, or from one without lines; None where neither is known.
        earlier_rows: rows that were left out because a run's result is its last row (``analysis.rows=all`` has
            them).
        read_as: the table's own names of those columns above that it calls otherwise: ``{"params": "N (M)"}``; with
            ``columns=`` these the table is read in the same way again.
        where: the filter that its rows were read with, or "".
    """

    params: Array
    tokens: Array
    flops: Array
    loss: Array
    run_id: tuple[str, ...] = ()
    budget: Array | None = None
    seed: Array | None = None
    loss_se: Array | None = None
    extra: Mapping[str, Array] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[str, ...] = ()
    text: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lines: tuple[int, ...] | None = None
    earlier_rows: int = 0
    read_as: Mapping[str, str] = field(default_factory=dict)
    where: str = ""

    def __post_init__(self) -> None:
        n = len(np.atleast_1d(self.params))
        for name in ("params", "tokens", "flops", "loss", "budget", "seed", "loss_se"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _column(name, value, n))
        object.__setattr__(self, "extra", {k: _column(k, v, n) for k, v in self.extra.items()})
        if not self.run_id:
            object.__setattr__(self, "run_id", tuple(f"row {i + 1}" for i in range(n)))
        if len(self.run_id) != n:
            raise UserError(f"points: {len(self.run_id)} run ids for {n} runs")
        for name, column in (
            *self.text.items(),
            *([("lines", self.lines)] if self.lines is not None else []),
        ):
            if len(column) != n:
                raise UserError(f"points: column {name!r} has {len(column)} entries for {n} runs")

    def __len__(self) -> int:
        return len(self.params)

    def __repr__(self) -> str:
        left_out = f", {counted(len(self.excluded), 'run')} left out" if self.excluded else ""
        reach = f", C from {self.flops.min():.3g} to {self.flops.max():.3g} FLOPs" if len(self) else ""
        return f"<Points: {counted(len(set(self.run_id)), 'run')}{reach}{left_out}>"

    def column(self, name: str) -> Array:
        """The numeric column ``name``, as the table or this class calls it, shape (n,).

        Raises UserError, naming those there are.
        """
        plain = plain_name(name)
        own = {plain_name(header.partition(" * ")[0]): column for column, header in self.read_as.items()}
        for one in (name, plain, own.get(plain, "")):
            if one in ("params", "tokens", "flops", "loss", "budget", "seed", "loss_se"):
                value = getattr(self, one)
                if value is not None:
                    return value
            elif one in self.extra:
                return self.extra[one]
            elif one in self.text:
                raise UserError(f"points: column {name!r} is text, not numbers")
        known = ["params", "tokens", "flops", "loss", *self.extra]
        close = difflib.get_close_matches(plain, [*known, *own], n=1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise UserError(f"points: no column {name!r}; the table has {', '.join(known)}{meant}")

    def select(self, keep: Sequence[int] | NDArray[np.generic]) -> "Points":
        """The runs that a boolean mask of shape (n,) or a list of indices picks, in that order."""
        index = np.arange(len(self))[np.asarray(keep if len(keep) else [], dtype=None if len(keep) else int)]

        def take(column: Array | None) -> Array | None:
            return None if column is None else column[index]

        return replace(
            self,
            params=self.params[index],
            tokens=self.tokens[index],
            flops=self.flops[index],
            loss=self.loss[index],
            run_id=tuple(self.run_id[i] for i in index),
            budget=take(self.budget),
            seed=take(self.seed),
            loss_se=take(self.loss_se),
            extra={name: column[index] for name, column in self.extra.items()},
            text={name: tuple(column[i] for i in index) for name, column in self.text.items()},
            lines=None if self.lines is None else tuple(self.lines[i] for i in index),
        )

    def without(self, drop: NDArray[np.bool_], reason: str) -> "Points":
        """The table without the runs of a boolean mask (n,), which join ``excluded`` for ``reason``."""
        if not drop.any():
            return self
        gone = tuple(self.left_out(i, reason) for i in np.flatnonzero(drop).tolist())
        return replace(self.select(~drop), excluded=self.excluded + gone)

    def left_out(self, i: int, reason: str) -> Excluded:
        """Entry ``i`` as one that takes no part."""
        return Excluded(self.run_id[i], reason, None if self.lines is None else self.lines[i])

    def named(self, i: int) -> bool:
        """Whether the table names the run of entry ``i``, rather than its row."""
        return not UNNAMED.fullmatch(self.run_id[i])

    def identity(self, i: int) -> tuple[object, ...]:
        """What an exact duplicate of entry ``i`` shares with it: run, N, D, C, loss and seed.

        Without a run's name of its own, that is by values alone.
        """
        run = self.run_id[i] if self.named(i) else ""
        values = (self.params[i], self.tokens[i], self.flops[i], self.loss[i])
        # A seed that is missing is none, and the same as another missing one.
        seed = None if self.seed is None or np.isnan(self.seed[i]) else self.seed[i]
        return (run, *values, seed)

    def counted(self, count: str = "params", compute: str = "flops") -> "Points":
        """The table with N read from the column ``count`` and C from ``compute``.

        Runs where either is missing or not positive are excluded. A budget is the same runs then, and in FLOPs the
        geometric mean of theirs: it was planned as another column counts. Raises UserError where a column is absent.
        """
        if count == "params" and compute == "flops":
            return self
        changed = replace(self, params=self.column(count), flops=self.column(compute))
        for name in (count, compute):
            column = changed.params if name == count else changed.flops
            changed = changed.without(
                ~(np.isfinite(column) & (column > 0)), f"{name} is missing or not positive"
            )
        if compute == "flops" or changed.budget is None:
            return changed
        counted = np.full(len(changed), np.nan)
        for planned in np.unique(changed.budget[np.isfinite(changed.budget)]):
            mine = changed.budget == planned
            counted[mine] = np.exp(np.mean(np.log(changed.flops[mine])))
        return replace(changed, budget=counted)

    def scored(self, loss: str = "loss") -> "Points":
        """The table with L read from the column ``loss``, and its standard error from ``<loss>_se`` where there is one.

        Runs without it are excluded. Raises UserError where the column is absent.
        """
        if loss == "loss":
            return self
        column = self.column(loss)
        changed = replace(self, loss=column, loss_se=self.extra.get(f"{loss}_se"))
        return changed.without(~(np.isfinite(column) & (column > 0)), f"{loss} is missing or not positive")


@dataclass(frozen=True, eq=False)
class Curve:
    """One run's training loss along the way; every array has shape (points of the curve,).

    Attributes:
        step: optimizer steps done.
        tokens: tokens seen.
        flops: training FLOPs spent so far.
        train_loss: training loss at that step, nats per token.
    """

    step: Array
    tokens: Array
    flops: Array
    train_loss: Array


def clean(points: Points) -> Points:
    """Leaves out NaN, non-positive, inconsistent and exactly repeated entries of a table, each with its reason.

    Entries of one run that differ stay: which of a run's rows are its result is decided where a file is read.
    """
    reasons = {i: fault(points, i) for i in np.flatnonzero(_suspect(points)).tolist()}
    reasons = same_unit(points, {i: reason for i, reason in reasons.items() if reason})
    sound = np.ones(len(points), dtype=bool)
    sound[list(reasons)] = False
    for i, first in repeated(points, np.flatnonzero(sound)).items():
        reasons[i] = duplicate(points, first)
        sound[i] = False
    gone = tuple(points.left_out(i, reasons[i]) for i in sorted(reasons))
    return replace(points.select(sound), excluded=points.excluded + gone)


def same_unit(points: Points, reasons: Mapping[int, str]) -> dict[int, str]:
    """``reasons`` to leave out entries, and those in the same unit as one found to be in millions or billions.

    A table whose N is in millions has models of 70 and of 400: without this the larger half would be fitted.
    """
    found = dict(reasons)
    for name in ("params", "tokens"):
        column = getattr(points, name)
        # A run of some hundred tokens is a test, of no use and in no other unit.
        small = [i for i, reason in found.items() if NO_UNITS in reason and column[i] < LEAST_PARAMS]
        if not small:
            continue
        largest = max(small, key=lambda i: (column[i], -i))
        for i in np.flatnonzero(column < ONE_UNIT * column[largest]).tolist():
            if i not in found:
                found[i] = (
                    f"{name} {column[i]:g} in the same unit as {column[largest]:g} of {points.run_id[largest]}: "
                    f"{NO_UNITS}"
                )
    return found


def repeated(points: Points, entries: NDArray[np.int64]) -> dict[int, int]:
    """Of ``entries``, in their order, those that repeat an earlier one exactly, and that one.

    Only entries whose numbers are those of another are compared one by one, so a million rows take no longer than
    sorting them.
    """
    mixed = np.zeros(len(entries), dtype=np.uint64)
    known = np.ones(len(entries), dtype=bool)
    for name in ("params", "tokens", "flops", "loss"):
        values = getattr(points, name)[entries] + 0.0  # of zeros there are two
        known &= values == values  # what is missing is equal to nothing
        mixed = (mixed ^ values.view(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    entries, mixed = entries[known], mixed[known]
    _, which, times = np.unique(mixed, return_inverse=True, return_counts=True)
    first: dict[tuple[object, ...], int] = {}
    again: dict[int, int] = {}
    for i in entries[times[which] > 1].tolist():
        if (earlier := first.setdefault(points.identity(i), i)) != i:
            again[i] = earlier
    return again


def duplicate(points: Points, first: int) -> str:
    """The reason to leave out an entry that repeats ``first``."""
    where = f" in row {points.lines[first]}" if points.lines is not None and points.named(first) else ""
    return f"duplicate of {points.run_id[first]}{where}"


def _suspect(points: Points) -> NDArray[np.bool_]:
    """Entries for which :func:`fault` may find something, (n,)."""
    n, d, c = points.params, points.tokens, points.flops
    with np.errstate(all="ignore"):
        sound = (n >= LEAST_PARAMS) & (d >= LEAST_TOKENS) & np.isfinite(n) & np.isfinite(d)
        sound &= (d / n >= LEAST_RATIO) & (d / n <= MOST_RATIO)
        ratio = c / (6 * n * d)
        sound &= (ratio >= 1 / INCONSISTENT_FACTOR) & (ratio <= INCONSISTENT_FACTOR)
        sound &= np.isfinite(c) & np.isfinite(points.loss) & (points.loss > 0)
    return ~sound


def fault(points: Points, i: int) -> str:
    """Why entry ``i`` cannot be fitted; "" where it can."""
    for name in ("params", "tokens", "flops", "loss"):
        value = getattr(points, name)[i]
        if np.isnan(value):
            return f"{name} is missing"
        if not np.isfinite(value):
            return f"{name} is not finite"
        if value <= 0:
            return f"{name} is not positive ({value:g})"
    if points.params[i] < LEAST_PARAMS or points.tokens[i] < LEAST_TOKENS:
        said = f"{points.params[i]:g} parameters on {points.tokens[i]:g} tokens"
        return f"{said}: {NO_UNITS}"
    if not LEAST_RATIO <= points.tokens[i] / points.params[i] <= MOST_RATIO:
        return f"{points.tokens[i] / points.params[i]:.3g} tokens a parameter: {NO_UNITS}"
    ratio = points.flops[i] / (6 * points.params[i] * points.tokens[i])
    if not 1 / INCONSISTENT_FACTOR <= ratio <= INCONSISTENT_FACTOR:
        return f"inconsistent: flops is {ratio:.3g} times 6 x params x tokens"
    return ""


def _column(name: str, value: object, n: int) -> Array:
    try:
        column = np.array(value, dtype=np.float64, ndmin=1)
    except (TypeError, ValueError):
        raise UserError(f"points: column {name!r} is not all numbers") from None
    if column.shape != (n,):
        raise UserError(f"points: column {name!r} has shape {column.shape}, expected ({n},)")
    column.flags.writeable = False
    return column
