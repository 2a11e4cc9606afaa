"""Training curves as people keep them: one long table, a tracker's export with a column a run, or a folder of files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.curves import CurveRows, Curves, join_curves
from harness.fit.read.aliases import GENERIC_NAMES, HELD_OUT, RUN_NAMES, SMOOTHED, STEPS, TRAINING
from harness.fit.read.cells import Cells, Column
from harness.fit.read.decimals import Decimals
from harness.fit.read.describe import refuse_perplexity
from harness.fit.read.files import cells_of_file
from harness.fit.read.in_memory import Columns, cells_of
from harness.fit.read.limits import MAX_ROWS, too_many
from harness.fit.read.names import ColumnNames, Place, find, tiers
from harness.fit.table import Array, Points, plain_name
from harness.text import visible

ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
OF_A_RUN = "curve"
"""What the file in a run's own folder is called, before its ending."""

# By plain name, the first choice first. A step that a tracker counts by itself is not one of the optimizer.
STEP = (
    "step",
    "global_step",
    "trainer_global_step",
    "train_global_step",
    "optimizer_step",
    *STEPS,
    "iteration",
)
TRAIN = (*TRAINING, "train_lm_loss", "train_ce_loss", "train_cross_entropy")
LOSS = (*TRAIN, "loss", *SMOOTHED, *HELD_OUT)
# A tracker's export of one run and one metric calls it so.
VALUE = "value"
METRIC = ("metric", "metrics", "tag", "key", "variable")
"""Columns that say what a ``value`` is of."""
TENSORBOARD = re.compile(r"run-(?P<run>.+?)-tag-.+")


def read_curves(
    source: str | Path | Columns, points: Points, columns: ColumnNames | Mapping[str, str] | None = None
) -> Curves:
    """Reads training curves and joins them to a table of runs, for approach 1.

    >>> from harness import read_curves, read_points
    >>> runs = read_points({"run": ["a"], "params": [1e6], "tokens": [2e7], "loss": [3.4]})
    >>> read_curves({"run": ["a", "a"], "tokens": [1e7, 2e7], "train_loss": [3.9, 3.5]}, runs)[
    ...     "a"
    ... ].flops.tolist()
    [60000000000000.0, 120000000000000.0]

    Args:
        source: a file in any format that :func:`read_points` reads, a DataFrame or a dictionary of columns, with the
            run's name, ``step`` or ``tokens``, and ``train_loss`` or ``loss``; or a tracker's export with a column
            ``RUN - train_loss`` for each run; or a folder with a file ``RUN.csv`` or ``RUN/curve.csv`` for each.
        points: the table of runs.
        columns: as in :func:`read_points`; ``run`` and ``decimal`` are read.

    Returns: curves by ``run_id``, whose ``notes`` say what was left out.

    Raises UserError, one line, for what are no such curves, or none of the table's.
    """
    names = ColumnNames.of(columns)
    known = frozenset(points.run_id)
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        try:
            folder = path.is_dir()
            parts = list(_of_folder(path, names, known)) if folder else [_of_file(path, None, names, known)]
        except OSError as error:
            raise UserError(f"{visible(str(path))}: cannot be read ({error.strerror})") from None
        return join_curves(_together(parts), points)
    table: Any = source.to_pandas() if hasattr(source, "to_pandas") else source
    if not hasattr(table, "items"):
        kind = type(table).__name__
        raise UserError(f"read_curves: a {kind} has no curves; give a file's path, a folder or a DataFrame")
    return join_curves(_rows(cells_of(table, "curves"), None, names, known), points)


def _of_folder(path: Path, names: ColumnNames, known: frozenset[str]) -> Iterator[CurveRows]:
    """The files that are called after the table's runs; where none is, all, which then have a column that says it."""
    cells = path / "cells"  # of a sweep
    files = (_files(cells) if cells.is_dir() else []) or _files(path)
    if not files:
        raise UserError(
            f"{path}: has no curves: neither files RUN{ENDINGS[0]} nor RUN/{OF_A_RUN}{ENDINGS[0]}"
        )
    named: dict[str, Path] = {}
    others = []
    for file, stem in files:
        run = _run_of(stem, known)
        if run not in known:
            others.append((file, run))
        elif run in named:
            raise UserError(f"{path}: two files are of run {visible(run)}: {named[run].name} and {file.name}")
        else:
            named[run] = file
    if named:
        none = np.empty(0)
        yield CurveRows(tuple(run for _, run in others), np.empty(0, dtype=np.intp), none, none, none)
    total = 0
    to_read: list[tuple[Path, str | None]] = [(file, run) for run, file in named.items()]
    for file, only in to_read or [(file, None) for file, _ in others]:
        rows = _of_file(file, only, names, known)
        total += len(rows.run)
        if total > MAX_ROWS:
            raise too_many(str(path))
        yield rows


def _files(folder: Path) -> list[tuple[Path, str]]:
    """The files of tables in ``folder``, and what each is called without its endings."""
    found = []
    for one in sorted(folder.iterdir()):
        if one.is_dir():
            within = [file for file in sorted(one.iterdir()) if _stem(file) == OF_A_RUN]
            found += [(within[0], one.name)] if within else []
        elif stem := _stem(one):
            found.append((one, stem))
    return found


def _stem(path: Path) -> str:
    """The name of a file of a table, without its endings; empty for other files."""
    name = path.name.removesuffix(path.suffix) if path.suffix in COMPRESSED else path.name
    ending = Path(name).suffix.lower()
    return name[: -len(ending)] if ending in ENDINGS and not name.startswith(".") else ""


def _run_of(stem: str, known: frozenset[str]) -> str:
    """The run that a file is called after."""
    exported = TENSORBOARD.fullmatch(stem)
    return exported["run"] if exported and stem not in known else stem


def _of_file(path: Path, run: str | None, names: ColumnNames, known: frozenset[str]) -> CurveRows:
    """The rows of a file, all of ``run`` if that is given."""
    cells = cells_of_file(path, lambda header, name: True)
    if run is not None:
        return _Reading(cells, names).long((run,), np.zeros(len(cells.lines), dtype=np.intp))
    own = _run_of(_stem(path), known)
    return _rows(cells, own if own in known else None, names, known)


def _rows(cells: Cells, run: str | None, names: ColumnNames, known: frozenset[str]) -> CurveRows:
    """The rows of one table.

    Args:
        run: the run that they are of, where no column says it.
        known: names of the table's runs.
    """
    reading = _Reading(cells, names)
    if (column := reading.run_column(known)) is not None:
        words = column.words
        blank = np.array([not word for word in words] or [True], dtype=bool)
        codes = column.codes.astype(np.intp)
        return reading.long(tuple(words), np.where(blank[codes], -1, codes))
    if wide := _wide(cells):
        return reading.wide(wide)
    if run is None:
        raise UserError(
            f"{cells.name}: no column names the runs; it has {_header(cells)}; call it run, or name it with "
            "columns.run=NAME"
        )
    return reading.long((run,), np.zeros(len(cells.lines), dtype=np.intp))


@dataclass(frozen=True, eq=False)
class _Reading:
    """One table of curves while it is understood."""

    cells: Cells
    names: ColumnNames

    def run_column(self, known: frozenset[str]) -> Column | None:
        """The column that names the runs: of several the one with most of the table's; None where there is none."""
        columns = self.cells.columns
        if self.names.run is not None and (named := find(self.names.run, self.cells.header)):
            return columns[named[0]]
        found = [columns[i] for i in self.cells.called((*RUN_NAMES, *GENERIC_NAMES))]
        return max(found, key=lambda column: len(known.intersection(column.words)), default=None)

    def long(self, runs: tuple[str, ...], run: NDArray[np.intp]) -> CurveRows:
        """Rows that are each of one run."""
        step, tokens = self._place(STEP), self._tokens_place()
        loss = self._place(LOSS)
        if loss is None and (loss := self._place((VALUE,))) is not None:
            self._check_metric()
        if loss is None or (step is None and tokens is None):
            wanted = "train_loss" if loss is None else "step or tokens"
            raise UserError(f"{self.cells.name}: has no column {wanted}; it has {_header(self.cells)}")
        refuse_perplexity(self.cells.columns[loss], self.cells.name)
        none = np.full(len(self.cells.lines), np.nan)
        return CurveRows(
            runs,
            run,
            none if step is None else self._numbers(step),
            none if tokens is None else self._numbers(tokens.index, suffixes=True, factor=tokens.factor),
            self._numbers(loss, is_loss=True),
            self._said(
                ("step", step), ("tokens", None if tokens is None else tokens.index), ("train_loss", loss)
            ),
        )

    def wide(self, columns: Mapping[str, int]) -> CurveRows:
        """Rows with a loss for each run, most of them blank."""
        step, tokens = self._place(STEP), self._tokens_place()
        if step is None and tokens is None:
            raise UserError(f"{self.cells.name}: has no column step or tokens; it has {_header(self.cells)}")
        none = np.full(len(self.cells.lines), np.nan)
        steps = none if step is None else self._numbers(step)
        seen = none if tokens is None else self._numbers(tokens.index, suffixes=True, factor=tokens.factor)
        parts = []
        for run, i in columns.items():
            loss = self._numbers(i, is_loss=True)
            there = np.isfinite(loss)
            parts.append(
                CurveRows(
                    (run,), np.zeros(int(there.sum()), dtype=np.intp), steps[there], seen[there], loss[there]
                )
            )
        return _together(parts)

    def _tokens_place(self) -> Place | None:
        """The column of tokens, with the unit that its name says."""
        found = next(tiers("tokens", self.cells.header, self.cells.name), None)
        return found[0] if found and self.cells.plain[found[0].index] != "data" else None

    def _check_metric(self) -> None:
        """Raises UserError where a column says that the values are not all of one loss."""
        for i in self.cells.called(METRIC):
            words = self.cells.columns[i].words
            if len(words) > 1 or any(plain_name(word) not in LOSS for word in words):
                raise UserError(
                    f"{self.cells.name}: by column {visible(self.cells.header[i].strip())} the values are not all of a "
                    f"loss ({visible(', '.join(words[:3]))[:100]}); keep the rows of the training loss"
                )

    def _place(self, wanted: Sequence[str]) -> int | None:
        """The first of ``wanted`` that there is; a name with "_" in front, a tracker's own, only without another."""
        header = [one.strip() for one in self.cells.header]
        found = self.cells.called(wanted)
        own = [i for i in found if not header[i].startswith("_")]
        if not found:
            return None
        first = (own or found)[0]
        twice = [i for i in own if i != first and self.cells.plain[i] == self.cells.plain[first]]
        if twice:
            raise UserError(
                f"{self.cells.name}: two columns are called {visible(header[first])}; keep one of them"
            )
        return first

    def _numbers(self, i: int, is_loss: bool = False, suffixes: bool = False, factor: float = 1.0) -> Array:
        column = self.cells.columns[i]
        decimals = Decimals(
            self.cells, self.names.decimal, lambda: self.cells.called((*STEP, "tokens", *LOSS))
        )
        sign = decimals.sign(i, is_loss)
        if sign is None:
            raise decimals.unknown(i)
        values, bad = column.numbers(sign, suffixes, factor)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            cell = column.text(np.array([row]))[0]
            shown = visible(cell if len(cell) <= 40 else cell[:37] + "...")
            where = f"row {self.cells.lines[row]}, column {visible(column.header.strip())}"
            raise UserError(f"{self.cells.name}: {where}: '{shown}' is not a number")
        return values

    def _said(self, *columns: tuple[str, int | None]) -> tuple[str, ...]:
        """Which columns were taken, where they have other names than these."""
        other = [
            f"{name} = '{visible(self.cells.header[i].strip())}'"
            for name, i in columns
            if i is not None and self.cells.plain[i] != name
        ]
        return (*self.cells.notes, *([f"curves read as: {', '.join(other)}"] if other else []))


def _wide(cells: Cells) -> dict[str, int]:
    """The columns of an export with one for each run, ``RUN - train_loss``, by run; of its losses the first choice."""
    found: dict[str, dict[str, int]] = {}
    for i, header in enumerate(cells.header):
        run, dash, metric = header.strip().rpartition(" - ")
        if dash and plain_name(metric) in LOSS:
            of_runs = found.setdefault(plain_name(metric), {})
            if run.strip() in of_runs:
                raise UserError(f"{cells.name}: two columns are of run {visible(run.strip())}; rename one")
            of_runs[run.strip()] = i
    return next((found[name] for name in LOSS if name in found), {})


def _together(parts: Sequence[CurveRows]) -> CurveRows:
    """All rows; two parts may have rows of one run."""
    if len(parts) == 1:
        return parts[0]
    names: dict[str, int] = {}
    run = []
    for part in parts:
        place = [names.setdefault(name, len(names)) for name in part.names]
        run.append(np.array([*place, -1], dtype=np.intp)[part.run])
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    step, tokens, loss = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("step", "tokens", "loss")
    )
    return CurveRows(tuple(names), np.concatenate(run), step, tokens, loss, tuple(notes))


def _header(cells: Cells) -> str:
    return visible(", ".join(one.strip() for one in cells.header))[:200]
