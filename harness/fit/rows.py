"""Which rows of a table are a run's result.

A table may hold several rows of one run: the evaluations of a history export, or checkpoints. Of these only the last
is a model that has cooled down, so by default it is the run's result and the others are counted, not fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.fit.table import Excluded, Points, duplicate, fault
from harness.text import counted

# A run whose last loss lies before this share of its tokens has no loss of a model that has cooled down.
END = 0.95


def results(points: Points, said: Sequence[str], silent: Sequence[bool], every: bool) -> Points:
    """The rows to fit of a table as it was read.

    A row's place in its run is by tokens, of equal ones by line; a row without tokens follows the one before it. A run
    is left out whole where its last row says that it did not finish or, unless every row is asked for, where it has no
    loss near its end. Every row that is not returned is in ``excluded`` or counted in a note.

    Args:
        points: every row, shape (n,), with its line.
        said: what a row says of how its run ended, (n,); "" where it finished.
        silent: rows with an empty cell for the loss or without tokens, (n,): they are no result of a run that has other
            rows, for a history logs other things between evaluations. A loss that is written and no number is one: so
            ends a run that diverged.
        every: all rows of a run, not its last alone.
    """
    runs: dict[object, list[int]] = {}
    for i, run in enumerate(points.run_id):
        runs.setdefault(run if points.named(i) else i, []).append(i)
    sorting = _Sorting(points, said, silent, every)
    for mine in runs.values():
        if len(mine) == 1:
            sorting.single(mine[0])
        else:
            sorting.run(mine)
    excluded = sorted(sorting.excluded, key=lambda gone: gone.row or 0)
    return replace(
        points.select(np.array(sorted(sorting.kept), dtype=int)),
        excluded=points.excluded + tuple(excluded),
        notes=(*points.notes, *sorting.notes()),
        earlier_rows=sum(sorting.earlier),
    )


@dataclass
class _Sorting:
    """Sorts the rows of one run after another.

    Attributes:
        kept: rows to fit.
        excluded: those left out with a reason.
        earlier: by run that has any, how many rows were left out for a later one.
        unsaid: by run that has any, how many silent rows were left out.
        tied: by run of which several rows have the most tokens, those rows.
    """

    points: Points
    said: Sequence[str]
    silent: Sequence[bool]
    every: bool
    kept: list[int] = field(default_factory=list)
    excluded: list[Excluded] = field(default_factory=list)
    earlier: list[int] = field(default_factory=list)
    unsaid: list[int] = field(default_factory=list)
    tied: list[list[int]] = field(default_factory=list)

    def single(self, i: int) -> None:
        """A run with one row."""
        if self.said[i]:
            self._exclude([i], self.said[i])
        else:
            self.kept.append(i)

    def run(self, mine: list[int]) -> None:
        """A run's rows, in the table's order."""
        tokens = _progress(self.points.tokens[mine])
        reached = dict(zip(mine, tokens, strict=True))
        mine = sorted(mine, key=lambda i: (reached[i], i))
        if self.said[mine[-1]]:
            self._exclude(mine, self.said[mine[-1]])
            return
        left = self._distinct(self._finished(mine))
        spoken = [i for i in left if not self.silent[i]]
        if not spoken:
            self._exclude(left, fault(self.points, left[-1]))
            return
        unsaid = len(left) - len(spoken)
        if self.every:
            self.kept += spoken
        elif reached[spoken[-1]] < END * reached[left[-1]]:
            share = reached[spoken[-1]] / reached[left[-1]]
            self._exclude(left[-1:], f"no loss at its end: its last is at {share:.0%} of its tokens")
            self.earlier.append(len(spoken))
            unsaid -= 1
        else:
            self.kept.append(spoken[-1])
            if len(spoken) > 1:
                self.earlier.append(len(spoken) - 1)
            last = [i for i in spoken if reached[i] == reached[spoken[-1]]]
            if len(last) > 1:
                self.tied.append(last)
        if unsaid:
            self.unsaid.append(unsaid)

    def _finished(self, mine: list[int]) -> list[int]:
        """The rows that say nothing of an end before its time; of a run that was tried again the earlier ones may."""
        by_reason: dict[str, list[int]] = {}
        for i in mine:
            by_reason.setdefault(self.said[i], []).append(i)
        for reason, rows in by_reason.items():
            if reason:
                self._exclude(rows, reason)
        return by_reason[""]

    def _distinct(self, mine: list[int]) -> list[int]:
        """The rows without exact repetitions of others."""
        first: dict[tuple[object, ...], int] = {}
        for i in mine:
            if (earlier := first.setdefault(self.points.identity(i), i)) != i:
                self._exclude([i], duplicate(self.points, earlier))
        return list(first.values())

    def _exclude(self, rows: list[int], reason: str) -> None:
        self.excluded.append(replace(self.points.left_out(rows[-1], reason), rows=len(rows)))

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
        return [
            name
            for name, column in self.points.text.items()
            if any(len({column[i] for i in rows}) > 1 for rows in self.tied)
        ]


def _progress(tokens: np.ndarray) -> list[float]:
    """Tokens of a run's rows in the table's order, those of the row before where a row has none; 0 before the first."""
    reached, last = [], 0.0
    for value in tokens.tolist():
        last = value if np.isfinite(value) and value > 0 else last
        reached.append(last)
    return reached
