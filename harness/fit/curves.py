"""Training curves of anyone's runs: rows (run, step or tokens, loss) joined to the table of the runs.

A step says nothing of compute by itself. Tokens come from the curve where it has them; else from the steps, by the
steps or the tokens of a batch that the table gives; else by the curves' own last steps, where these agree on one batch.
What does not fit together is left out and said, or refused where nothing else would be left.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.read.aliases import BATCH_TOKENS, STEPS
from harness.fit.table import Array, Curve, Points
from harness.text import counted, visible

Mask = NDArray[np.bool_]
Index = NDArray[np.intp]

# Of a run's tokens: tables round, and the last logged step falls a little short of the last one.
TOLERANCE = 0.05
# Shares of their runs at which curves end, or tokens of a batch, within this of each other are the same.
ALIKE = 1.02
# Of a run's tokens: no curve of it ends before.
LEAST_SHARE = 0.01
# Fewer curves than this show no pattern.
PATTERN = 3
# Of the last losses of curves and the losses of their runs, in the middle: beyond it they are not of one kind.
MOST_APART = 1.25
NAMED = 3


@dataclass(frozen=True, eq=False)
class CurveRows:
    """Rows of training curves as they were read; n of them, in the order of their files.

    Attributes:
        names: the different names of runs.
        run: which of them each row is of, (n,); -1 where a row has none.
        step, tokens, loss: (n,) each; NaN where a row has none.
        notes: what was done to read them.
    """

    names: tuple[str, ...]
    run: Index
    step: Array
    tokens: Array
    loss: Array
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Curves(Mapping[str, Curve]):
    """Training curves by ``run_id``, as :func:`harness.fit.fit_points` takes them.

    Attributes:
        notes: what was understood and what was left out; the fit keeps them among its own.
    """

    by_run: Mapping[str, Curve]
    notes: tuple[str, ...] = ()

    def __getitem__(self, run: str) -> Curve:
        return self.by_run[run]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_run)

    def __len__(self) -> int:
        return len(self.by_run)

    def __repr__(self) -> str:
        rows = sum(len(curve.step) for curve in self.by_run.values())
        return f"<Curves: {counted(len(self), 'run')}, {counted(rows, 'row')}>"


def join_curves(rows: CurveRows, points: Points) -> Curves:
    """The curves of the runs of ``points``, whose FLOPs at a step are the run's times the share of its tokens.

    Raises UserError where no run has a usable curve, or where tokens neither stand there nor follow.
    """
    return _Joining(rows, points).curves()


@dataclass(eq=False)
class _Joining:
    """One set of curves while it is joined: ``entry`` is each kept row's run, an index of the table, (n,)."""

    rows: CurveRows
    points: Points
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def curves(self) -> Curves:
        """The whole."""
        self._match()
        self._drop_unusable()
        self._order()
        self._find_tokens()
        self._drop_inconsistent()
        self._check_ends()
        return self._made()

    def _match(self) -> None:
        """Rows of the table's runs; a run with several rows has one curve, up to the one with the most tokens."""
        points, rows = self.points, self.rows
        by_tokens = np.argsort(points.tokens, kind="stable").tolist()
        last = {points.run_id[i]: i for i in by_tokens if points.named(i)}
        gone = {one.run for one in points.excluded} - last.keys()
        if not last:
            raise UserError(
                "curves: are joined by the names of runs, and the table names none; "
                "give it a column run_id, or say which one it is with columns.run=NAME"
            )
        place = np.array([last.get(name, -1) for name in rows.names] + [-1], dtype=np.intp)
        entry = place[rows.run]
        used = {name for name in rows.names if name in last}
        if not used:
            raise UserError(
                f"curves: no run of theirs is in the table: they are of {_some(rows.names)}; "
                f"the table has {_some(sorted(last))}"
            )
        if nameless := int((rows.run < 0).sum()):
            self._leave(f"{counted(nameless, 'row')} of no named run")
        if strangers := [name for name in rows.names if name not in used and name not in gone]:
            self._leave(f"{counted(len(strangers), 'run')} that the table has not: {_some(strangers)}")
        if excluded := [name for name in rows.names if name in gone]:
            self._leave(f"{counted(len(excluded), 'run')} that the fit leaves out: {_some(excluded)}")
        self.wanted = sorted(last.values())
        keep = np.flatnonzero(entry >= 0)
        self.entry, self.step, self.tokens = entry[keep], rows.step[keep], rows.tokens[keep]
        self.loss = rows.loss[keep]

    def _drop_unusable(self) -> None:
        """Rows without a loss or a place; a run's steps stand in where it has no tokens at all."""
        no_loss = ~(np.isfinite(self.loss) & (self.loss > 0))
        self._drop_rows(no_loss, "without a loss, or with one that is no positive number")
        known = np.isfinite(self.tokens)
        with_tokens = self._per_run(known) > 0
        placed = np.where(with_tokens[self.entry], known, np.isfinite(self.step))
        negative = (self.tokens < 0) | (self.step < 0)
        self._drop_rows(~placed | negative, "without a step or tokens, or with negative ones")

    def _order(self) -> None:
        """Rows by run and step, and of those of one step the last that was written."""
        stepped = self._per_run(~np.isfinite(self.step)) == 0
        key = np.where(stepped[self.entry], self.step, self.tokens)
        written = np.argsort(self.entry, kind="stable")
        falls = (np.diff(key[written]) < 0) & (np.diff(self.entry[written]) == 0)
        if falls.any():
            where = self._names(np.unique(self.entry[written][1:][falls]))
            self._note(f"rows of {where} were not in order of their steps: sorted")
        order = np.lexsort((key, self.entry))
        self._take(order)
        key = key[order]
        repeated = np.zeros(len(key), dtype=bool)
        repeated[:-1] = (np.diff(key) == 0) & (np.diff(self.entry) == 0)
        if repeated.any():
            where = self._names(np.unique(self.entry[repeated]))
            self._note(
                f"{counted(int(repeated.sum()), 'row')} of {where} repeated: the last one of a step is kept"
            )
            self._take(np.flatnonzero(~repeated))

    def _find_tokens(self) -> None:
        """Tokens of the runs that have steps, and steps of those that have tokens, as far as they can be known."""
        n = len(self.points)
        a_step = self._tokens_a_step()
        has_tokens = self._per_run(np.isfinite(self.tokens)) > 0
        asking = (self._per_run(np.ones(len(self.entry), dtype=bool)) > 0) & ~has_tokens
        if (unknown := asking & ~np.isfinite(a_step)).any():
            last = np.zeros(n)
            np.maximum.at(last, self.entry, self.step)
            a_step = np.where(unknown, self._one_batch(unknown, last), a_step)
        with np.errstate(all="ignore"):
            self.tokens = np.where(asking[self.entry], self.step * a_step[self.entry], self.tokens)
            from_tokens = self.tokens / a_step[self.entry]
        self.step = np.where(np.isfinite(self.step), self.step, from_tokens)
        stepless = np.unique(self.entry[~np.isfinite(self.step)])
        if len(stepless):
            self._note(
                f"{self._names(stepless)} have no steps: their losses are not smoothed (analysis.smoothing_steps)"
            )

    def _tokens_a_step(self) -> Array:
        """Tokens of one step of every run, (n,), from the table's columns; NaN where they do not say."""
        points = self.points
        found = np.full(len(points), np.nan)
        columns = [(name, True) for name in STEPS] + [(name, False) for name in BATCH_TOKENS]
        for name, are_steps in columns:
            column = points.extra.get(name)
            if column is None:
                continue
            with np.errstate(all="ignore"):
                value = points.tokens / column if are_steps else column
            found = np.where(
                np.isfinite(found), found, np.where((column > 0) & np.isfinite(value), value, np.nan)
            )
        return found

    def _one_batch(self, unknown: Mask, last: Array) -> float:
        """Tokens of a step of runs of which neither curve nor table says; refused where their ends do not agree.

        A curve may end before its run. That all end at their runs' ends is believed where runs of different lengths
        then have the same tokens a step.
        """
        runs = np.flatnonzero(unknown & (last > 0))
        batch = self.points.tokens[runs] / last[runs]
        if len(runs) >= PATTERN and np.ptp(np.log(last[runs])) > 2 * TOLERANCE:
            low, high = float(batch.min()), float(batch.max())
            if high <= low * (1 + TOLERANCE):
                self._note(
                    f"{low:g} tokens a step, for with it the curves of {counted(len(runs), 'run')} end where these do"
                )
                return low
        raise UserError(
            f"curves: steps alone do not say how many tokens {self._names(np.flatnonzero(unknown))} had seen; give the "
            "curves a column tokens, or the table a column steps (of the whole run) or batch_tokens"
        )

    def _drop_inconsistent(self) -> None:
        """Runs whose tokens fall as their steps rise: a count that began anew."""
        falls = (np.diff(self.tokens) < 0) & (np.diff(self.entry) == 0)
        self._drop_runs(self.entry[1:][falls], "tokens fall while steps rise")
        rises = (np.diff(self.tokens) > 0) & (np.diff(self.entry) == 0)
        rising = np.bincount(self.entry[1:][rises], minlength=len(self.points)) > 0
        level = (self._per_run(self.tokens > 0) > 1) & ~rising
        self._drop_runs(np.flatnonzero(level), "tokens do not rise with the steps")
        few = self._per_run(self.tokens > 0) < 2
        self._drop_runs(np.flatnonzero(few), "fewer than two rows that can be used")

    def _check_ends(self) -> None:
        """What the ends of the curves show: beyond their runs, before them, or all at one share of them."""
        runs, share, last_loss = self._ends()
        beyond = share > 1 + TOLERANCE
        other = "tokens or steps are counted otherwise than in the table"
        if beyond.any():
            self._drop_runs(
                runs[beyond], f"they go on to {_range(share[beyond])} of their runs' tokens: {other}"
            )
        runs, share, last_loss = runs[~beyond], share[~beyond], last_loss[~beyond]
        early = share < 1 - TOLERANCE
        if len(share) >= PATTERN and early.all() and share.max() <= share.min() * ALIKE:
            raise UserError(
                f"curves: every one ends at {_range(share)} of its run's tokens, so they count tokens or steps "
                "otherwise than the table; give them in its count, or the rows that are missing"
            )
        hardly = share < LEAST_SHARE
        if hardly.any():
            self._drop_runs(
                runs[hardly], f"they end at {_range(share[hardly])} of their runs' tokens: {other}"
            )
        runs, share, last_loss, early = runs[~hardly], share[~hardly], last_loss[~hardly], early[~hardly]
        if early.any():
            self._note(
                f"the curves of {self._names(runs[early])} end early, at {_range(share[early])} of their runs' tokens"
            )
        with np.errstate(all="ignore"):
            ratios = (last_loss / self.points.loss[runs])[~early]
        ratio = float(np.median(ratios)) if len(ratios) else 1.0
        if not 1 / MOST_APART <= ratio <= MOST_APART:
            self._note(
                f"at their ends the losses of the curves are {ratio:.2g} times those of the table (median): of another "
                "kind or unit, so that approach 1's losses are not to be compared with the other approaches'"
            )

    def _ends(self) -> tuple[Index, Array, Array]:
        """The runs that have rows; the share of its tokens at which each one's curve ends, and its last loss."""
        final = np.flatnonzero(np.diff(self.entry, append=-1) != 0)
        runs = self.entry[final]
        with np.errstate(all="ignore"):
            return runs, self.tokens[final] / self.points.tokens[runs], self.loss[final]

    def _made(self) -> Curves:
        """The curves of what is left."""
        left_out = [f"curves: left out {one}" for one in self.left_out]
        if not len(self.entry):
            raise UserError(f"curves: none of them can be used: left out {'; '.join(self.left_out)}")
        points = self.points
        flops = self.tokens / points.tokens[self.entry] * points.flops[self.entry]
        starts = np.flatnonzero(np.diff(self.entry, prepend=-1) != 0)
        parts = [np.split(one, starts[1:]) for one in (self.step, self.tokens, flops, self.loss)]
        runs = [points.run_id[i] for i in self.entry[starts].tolist()]
        by_run = {run: Curve(*columns) for run, *columns in zip(runs, *parts, strict=True)}
        without = [points.run_id[i] for i in self.wanted if points.run_id[i] not in by_run]
        said = f"curves: training losses of {len(by_run)} of {counted(len(self.wanted), 'run')} of the table"
        if without:
            said += f"; without {_some(without)}"
        return Curves(by_run, (said, *self.rows.notes, *self.notes, *left_out))

    def _per_run(self, rows: Mask) -> Index:
        """How many of ``rows`` (n,) every entry of the table has."""
        return np.bincount(self.entry[rows], minlength=len(self.points))

    def _take(self, rows: Index) -> None:
        self.entry, self.step, self.tokens = self.entry[rows], self.step[rows], self.tokens[rows]
        self.loss = self.loss[rows]

    def _drop_rows(self, drop: Mask, reason: str) -> None:
        if drop.any():
            runs = np.unique(self.entry[drop])
            self._leave(f"{counted(int(drop.sum()), 'row')} {reason}, of {self._names(runs)}")
            self._take(np.flatnonzero(~drop))

    def _drop_runs(self, runs: Index, reason: str) -> None:
        gone = np.isin(self.entry, runs)
        if gone.any():
            self._leave(f"the curves of {self._names(np.unique(self.entry[gone]))}: {reason}")
            self._take(np.flatnonzero(~gone))

    def _names(self, runs: Index) -> str:
        return f"{counted(len(runs), 'run')} ({_some([self.points.run_id[i] for i in runs.tolist()])})"

    def _note(self, text: str) -> None:
        self.notes.append(f"curves: {text}")

    def _leave(self, text: str) -> None:
        self.left_out.append(text)


def _some(names: Sequence[str]) -> str:
    """The first few of ``names``, and how many more there are."""
    shown = ", ".join(visible(name if len(name) <= 40 else name[:37] + "...") for name in names[:NAMED])
    more = len(names) - NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _range(share: Array) -> str:
    """``12%``, or ``12% to 90%``."""
    low, high = f"{100 * share.min():.3g}%", f"{100 * share.max():.3g}%"
    return low if low == high else f"{low} to {high}"
