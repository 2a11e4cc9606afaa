"""Which rows of a table are a run's result.

A table may hold several rows of one run: the evaluations of a history export, or checkpoints. Of these only the last
is a model that has cooled down, so by default it is the run's result and the others are counted, not fitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.fit.read.cells import Codes
from harness.fit.table import Array, Excluded, Points, duplicate, fault, repeated
from harness.text import counted

# A run whose last loss lies before this share of its tokens has no loss of a model that has cooled down.
END = 0.95

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rowwise:
    """What is known of each row beside its numbers, (n,) each.

    Attributes:
        group: which run it is of, as a number.
        said: what it says of how its run ended; "" where it finished.
        silent: rows with an empty cell for the loss or without tokens: they are no result of a run that has other
            rows, for a history logs other things between evaluations. A loss that is written and no number is one: so
            ends a run that diverged.
        wanted: rows that a filter lets through.
        text: columns of text, as numbers of their different texts.
    """

    group: Rows
    said: NDArray[np.object_]
    silent: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    text: Mapping[str, Codes] = field(default_factory=dict)


def results(points: Points, rowwise: Rowwise, every: bool) -> tuple[Points, Rows]:
    """The rows to fit of a table as it was read, and which these are.

    A row's place in its run is by tokens, of equal ones by line; a row without tokens follows the one before it. A run
    is left out whole where its last row says that it did not finish or, unless every row is asked for, where it has no
    loss near its end. Where its end is, all its rows say, also those that a filter keeps out. Every row that is not
    returned is kept out by the filter, in ``excluded``, or counted in a note.

    Args:
        points: every row, shape (n,), with its line.
        every: all rows of a run, not its last alone.
    """
    sorting = _Sorting(points, rowwise, every)
    group = rowwise.group
    reached = _progress(points.tokens, group)
    order = np.lexsort((np.arange(len(group)), reached, group))
    sorting.reached = reached
    usable = order[(rowwise.said[order] == "") & rowwise.wanted[order]]
    sorting.again = repeated(points, usable)
    sorting.repeats[list(sorting.again)] = True
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(begins, append=len(order))
    alone = order[begins[sizes == 1]]
    sorting.singles(np.sort(alone))
    for begin, size in zip(begins[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
        sorting.run(order[begin : begin + size])
    kept = np.sort(np.concatenate([*sorting.kept, np.empty(0, dtype=np.int64)]).astype(np.int64))
    excluded = sorted(sorting.excluded, key=lambda gone: gone.row or 0)
    found = replace(
        points.select(kept),
        excluded=points.excluded + tuple(excluded),
        notes=(*points.notes, *sorting.notes()),
        earlier_rows=sum(sorting.earlier),
    )
    return found, kept


@dataclass
class _Sorting:
    """Sorts the rows of one run after another.

    Attributes:
        reached: how far a row's run had come, in tokens, (n,).
        again, repeats: rows that repeat another exactly, and that one; the same as a mask, (n,).
        kept: rows to fit.
        excluded: those left out with a reason.
        earlier: by run that has any, how many rows were left out for a later one.
        unsaid: by run that has any, how many silent rows were left out.
        tied: by run of which several rows have the most tokens, those rows.
    """

    points: Points
    rowwise: Rowwise
    every: bool
    again: dict[int, int] = field(default_factory=dict)
    kept: list[Rows] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    earlier: list[int] = field(default_factory=list)
    unsaid: list[int] = field(default_factory=list)
    tied: list[Rows] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reached = np.zeros(len(self.points))
        self.repeats = np.zeros(len(self.points), dtype=bool)
        self.unfinished = self.rowwise.said != ""

    def singles(self, rows: Rows) -> None:
        """Runs with one row each."""
        rows = rows[self.rowwise.wanted[rows]]
        gone = self.unfinished[rows]
        for i in rows[gone].tolist():
            self._exclude(np.array([i]), self.rowwise.said[i])
        self.kept.append(rows[~gone])

    def run(self, mine: Rows) -> None:
        """A run's rows, in the order in which it went through them."""
        last = int(mine[-1])
        end = self.reached[last]
        mine = mine[self.rowwise.wanted[mine]]
        if not len(mine):
            return
        if self.unfinished[last]:
            self._exclude(mine, self.rowwise.said[last])
            return
        left = self._distinct(self._finished(mine))
        spoken = left[~self.rowwise.silent[left]]
        if not len(left):
            return
        if not len(spoken):
            self._exclude(left, fault(self.points, int(left[-1])))
            return
        unsaid = len(left) - len(spoken)
        final = int(spoken[-1])
        if self.every:
            self.kept.append(spoken)
        elif self.reached[final] < END * end:
            share = self.reached[final] / end
            # of a run that goes on after its last loss the row that says so; where a filter ends it, its last
            shown = left[-1:]
            self._exclude(shown, f"no loss at its end: its last is at {share:.0%} of its tokens")
            others = len(spoken) - (1 if shown[0] == final else 0)
            if others:
                self.earlier.append(others)
            unsaid -= 0 if shown[0] == final else 1
        else:
            self.kept.append(spoken[-1:])
            if len(spoken) > 1:
                self.earlier.append(len(spoken) - 1)
            tied = spoken[self.reached[spoken] == self.reached[final]]
            if len(tied) > 1:
                self.tied.append(tied)
        if unsaid:
            self.unsaid.append(unsaid)

    def _finished(self, mine: Rows) -> Rows:
        """The rows that say nothing of an end before its time; of a run that was tried again the earlier ones may."""
        gone = self.unfinished[mine]
        if not gone.any():
            return mine
        by_reason: dict[str, list[int]] = {}
        for i in mine[gone].tolist():
            by_reason.setdefault(self.rowwise.said[i], []).append(i)
        for reason, rows in by_reason.items():
            self._exclude(np.array(rows), reason)
        return mine[~gone]

    def _distinct(self, mine: Rows) -> Rows:
        """The rows without exact repetitions of others."""
        repeats = self.repeats[mine]
        for i in mine[repeats].tolist():
            self._exclude(np.array([i]), duplicate(self.points, self.again[i]))
        return mine[~repeats]

    def _exclude(self, rows: Rows, reason: str) -> None:
        gone = self.points.left_out(int(rows[-1]), reason)
        self.excluded.append(gone if len(rows) == 1 else replace(gone, rows=len(rows)))

    def notes(self) -> list[str]:
        """What was left out without being excluded, for people."""
        found = []
        if self.earlier:
            note = (
                f"{counted(sum(self.earlier), 'earlier row')} of {counted(len(self.earlier), 'run')} left out: "
                "a run's result is its last row; analysis.rows=all fits all rows, clustered by run"
            )
            if self.tied:
                ties = counted(len(self.tied), "run")
                note += f"; of {ties} several rows have the most tokens, and the later one was taken"
                if differ := self._differ():
                    note += f": they differ in {', '.join(differ)}"
            found.append(note)
        if self.unsaid:
            found.append(
                f"{counted(sum(self.unsaid), 'row')} without a loss or tokens left out, "
                f"of {counted(len(self.unsaid), 'run')} with other rows"
            )
        return found

    def _differ(self) -> list[str]:
        """The text columns in which rows differ that are of one run and have the most tokens."""
        rows = np.concatenate(self.tied)
        first = np.repeat([tied[0] for tied in self.tied], list(map(len, self.tied)))
        return [name for name, codes in self.rowwise.text.items() if (codes[rows] != codes[first]).any()]


def _progress(tokens: Array, group: Rows) -> Array:
    """Tokens that a row's run had seen, (n,): where it has none, those of the row before in the table; 0 before any."""
    order = np.argsort(group, kind="stable")
    inner = group[order]
    place = np.arange(len(order))
    begins = np.maximum.accumulate(np.where(np.diff(inner, prepend=-1) != 0, place, 0))
    known = np.isfinite(tokens[order]) & (tokens[order] > 0)
    last = np.maximum.accumulate(np.where(known, place, -1))
    reached = np.empty(len(tokens))
    reached[order] = np.where(last >= begins, tokens[order][np.maximum(last, 0)], 0.0)
    return reached
