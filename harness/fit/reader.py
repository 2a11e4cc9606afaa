"""Reads a table of runs: this program's ``runs.csv``, anyone's CSV, JSON, Parquet or DataFrame, the published points.

The published points are the 245 read off Figure 4 of Hoffmann et al. 2022. Epoch AI published them with its
replication (Besiroglu et al. 2024, arXiv 2404.10102): repository epoch-research/analyzing-chinchilla, file
data/svg_extracted_data.csv. That repository states no licence, so no copy is kept here: download it and set
``ISOFLOP_HOFFMANN_POINTS`` to its path.
"""

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO, cast

import numpy as np

from harness.errors import UserError
from harness.fit.options import ALL, FitOptions, check_rows
from harness.fit.read.aliases import ALIASES, GENERIC_NAMES, REASON, RUN_NAMES
from harness.fit.read.cells import Cells
from harness.fit.read.files import cells_of_file, cells_of_text
from harness.fit.read.header import check_header
from harness.fit.read.in_memory import Columns, cells_of
from harness.fit.read.limits import MAX_RUNS, too_many_runs
from harness.fit.read.names import ColumnNames, bare
from harness.fit.read.results import Rowwise, results
from harness.fit.read.run_names import RunNames, codes_of, may_name_runs, other_columns, run_names, telling
from harness.fit.read.run_states import run_states
from harness.fit.read.table_columns import TableColumns
from harness.fit.read.understand import Numbers, understand
from harness.fit.read.where import rows_where
from harness.fit.table import Points, clean, plain_name
from harness.text import counted, visible

# The published points: the variable that names the file, and what the file holds.
VARIABLE = "ISOFLOP_HOFFMANN_POINTS"
PUBLISHED_ROWS = 245
# Of N, C and loss at seven figures each: the same for any CSV formatting of these numbers.
SHA256 = "8c1b85c562f195900954ab02ab66296c85fa7aecbbc75acceff235764eb4f131"


def read_points(
    table: str | Path | TextIO | Columns,
    rows: str = "last",
    columns: ColumnNames | Mapping[str, str] | None = None,
    where: str | None = None,
    options: FitOptions | None = None,
) -> Points:
    """Reads runs from a file or from memory.

    A file may be CSV (commas, semicolons or tabs), JSON, JSON lines or Parquet, plain or compressed (gz, zst, bz2, xz);
    what it is, is seen from its content. ``params``, ``tokens``, ``flops`` and ``loss`` are looked for under these
    names, then under the usual ones (``N``, ``D``, ``C``, ``Model Size``, ``Training FLOP``, ``val_loss`` ...). One of
    the first three may be absent: it is derived from C = 6ND (Hoffmann et al. 2022, section 3.3). ``run_id``, ``run``,
    ``run_name`` or ``id`` names the run of a row. Numbers may have thousands separators, decimal commas, and k, M, B or
    T behind them. ``notes`` say what was understood; rows of unfinished runs and unusable rows are in ``excluded``.

    >>> points = read_points({"N": [1e6, 2e6, 4e6], "D": [4e7, 2e7, 1e7], "loss": [3.1, 3.0, 3.2]})
    >>> len(points), points.flops.tolist()
    (3, [240000000000000.0, 240000000000000.0, 240000000000000.0])
    >>> print(*points.notes)
    read as: params = 'N', tokens = 'D', flops from 6 x params x tokens
    >>> table = {
    ...     "size": ["1M", "2M"],
    ...     "tokens": ["40M", "80M"],
    ...     "val loss": [3.1, 2.9],
    ...     "outlier": [False, True],
    ... }
    >>> points = read_points(table, columns={"params": "size"}, where="outlier != True")
    >>> points.params.tolist(), points.notes[-1]
    ([1000000.0], '1 of 2 rows kept out by where=outlier != True')

    Args:
        table: a file's path; an open text file; a pandas DataFrame, what has ``to_pandas`` (of pyarrow, datasets), or a
            dictionary of columns. Rows that are in no file are numbered by position from 0.
        rows: of a run with several rows ``last`` takes the one with the most tokens, of equal ones the later; a note
            counts the others. ``all`` takes all. See :attr:`FitOptions.rows`.
        columns: the table's own names of its columns, for those that are called otherwise; see :class:`ColumnNames`.
        where: a filter, e.g. ``"params > 1e8 and dataset == 'c4' and seed is not missing"``; see
            :mod:`harness.fit.read.where`. A run's rows are filtered first, and the last of those that are left is its
            result: ``"eval_set == 'c4'"`` takes a run's last row on c4. Where a run ends all its rows say, so that
            ``"tokens < 1e9"`` keeps runs that ended before that, and not a row from the middle of a longer one (which
            ``rows="all"`` does). A note counts the rows that are kept out.
        options: of a fit to come: where the table has none of the usual names for them, the columns that ``count``,
            ``compute`` and ``loss`` name are its N, C and L.

    Raises UserError, one line, for what is no such table, and for one that can be read in two ways: with the key that
    says which.
    """
    check_rows(rows)
    asked = _Asked(rows == ALL, ColumnNames.of(columns), where or "", _preferred(options))
    if isinstance(table, str | Path):
        return _points(cells_of_file(Path(table).expanduser(), asked.check), asked)
    if hasattr(table, "to_pandas"):
        table = table.to_pandas()
    if hasattr(table, "items"):
        cells = cells_of(table)
        asked.check(cells.header, cells.name)
        return _points(cells, asked)
    if isinstance(table, io.TextIOBase):
        name = getattr(table, "name", None)
        label = Path(name).name if isinstance(name, str) else "table"
        return _points(cells_of_text(label, cast(TextIO, table), asked.check), asked)
    raise UserError(
        f"read_points: a {type(table).__name__} is no table; give a file's path, a DataFrame or a dictionary of columns"
    )


def _preferred(options: FitOptions | None) -> dict[str, str]:
    """Names of columns that a fit's options give, by the fit's own."""
    if options is None:
        return {}
    given = {"params": options.count, "flops": options.compute, "loss": options.loss}
    return {column: name for column, name in given.items() if name != column}


class _Asked:
    """How a table is to be read."""

    def __init__(self, every: bool, columns: ColumnNames, where: str, preferred: Mapping[str, str]) -> None:
        self.every, self.columns, self.where, self.preferred = every, columns, where, preferred

    def check(self, header: Sequence[str], name: str) -> bool:
        """Refuse a header of which no fit can be made; whether rows may be of fewer runs, or be filtered."""
        check_header(header, self.columns, self.preferred, name)
        plain = list(map(plain_name, header))
        return bool(self.where) or may_name_runs(plain, self.columns.run)


def read_published(path: str | Path | None = None) -> Points:
    """The published points, checked to be those.

    Args:
        path: the CSV; default: what ``ISOFLOP_HOFFMANN_POINTS`` names.

    Raises UserError where neither is given or the file holds something else.
    """
    path = path or os.environ.get(VARIABLE)
    if not path:
        raise UserError(
            f"{VARIABLE} is unset: download data/svg_extracted_data.csv of analyzing-chinchilla, set it"
        )
    points = read_points(path)
    if len(points) != PUBLISHED_ROWS or fingerprint(points) != SHA256:
        raise UserError(
            f"{path}: not the published points ({len(points)} rows of {PUBLISHED_ROWS}, or other numbers)"
        )
    return points


def fingerprint(points: Points) -> str:
    """SHA-256 of N, C and loss at seven figures, in the table's order."""
    rows = zip(points.params, points.flops, points.loss, strict=True)
    return hashlib.sha256("\n".join(f"{n:.6e},{c:.6e},{v:.6e}" for n, c, v in rows).encode()).hexdigest()


def _points(cells: Cells, asked: _Asked) -> Points:
    states = run_states(cells, _fits_own(cells, asked.columns))
    found = understand(cells, asked.columns, asked.preferred, states.finished)
    runs = run_names(cells, found.values, asked.columns.run)
    wanted, notes = _filtered(cells, asked.where, found, runs)
    found.refuse_words(cells, states.finished & wanted)
    if (several := _to_fit(runs, wanted, asked.every)) > MAX_RUNS:
        raise too_many_runs(cells.name, several, runs.column is not None)
    suffixed = set(map(plain_name, asked.preferred.values()))
    taken = {*found.places.values(), *states.columns, *runs.columns}
    others = other_columns(cells, taken, states.finished, found.decimal, suffixed)
    silent = ~np.isfinite(found.values["tokens"])
    if "loss" in found.places:
        silent |= cells.columns[found.places["loss"]].blank
    table = Points(
        **{
            name: found.values.get(name)
            for name in ("params", "tokens", "flops", "loss", "budget", "seed", "loss_se")
        },  # type: ignore[arg-type]
        run_id=runs.labels(cells.lines),
        notes=(*cells.notes, *found.notes, *runs.notes, *states.notes, *notes),
        lines=tuple(cells.lines.tolist()),
        read_as=found.read_as | ({"run": runs.read_as} if runs.read_as else {}),
        where=asked.where,
    )
    rowwise = Rowwise(runs.group, states.said, silent, wanted, codes_of(cells, others.text))
    kept, index = results(table, rowwise, asked.every)
    kept = replace(
        kept,
        extra=others.values(cells, index, suffixed),
        text={name: tuple(cells.columns[i].text(index)) for name, i in others.text.items()},
    )
    sound = clean(kept)
    return replace(sound, text=telling(sound.text, sound.run_id))


def _fits_own(cells: Cells, columns: ColumnNames) -> set[int]:
    """Columns that may hold the fit's numbers or name its runs, and so say nothing of how a run ended."""
    known = {*ALIASES, *RUN_NAMES, *GENERIC_NAMES, REASON}
    known |= {name for tiers in ALIASES.values() for names in tiers for name in names}
    known |= {plain_name(name) for name in columns.named().values()}
    return {i for i, one in enumerate(cells.columns) if one.plain in known or bare(one.header) in known}


def _filtered(cells: Cells, where: str, found: Numbers, runs: RunNames) -> tuple[np.ndarray, tuple[str, ...]]:
    """The rows that the filter lets through, (n,), and a note that counts the others.

    Raises:
        UserError: the filter is wrong, or lets no row through.
    """
    n = len(cells.lines)
    if not where:
        return np.ones(n, dtype=bool), ()
    truth = rows_where(where, TableColumns(cells, found.values, runs.column, found.decimal))
    out = int((~truth.yes).sum())
    if out == n:
        raise UserError(f"where: no row of {cells.name} satisfies {visible(where)!r:.200}")
    missing = int((~truth.yes & ~truth.no).sum())
    because = f", {missing:,} of them for a missing cell" if missing else ""
    note = f"{out:,} of {counted(n, 'row')} kept out by where={visible(where)}{because}"
    return truth.yes, (note,)


def _to_fit(runs: RunNames, wanted: np.ndarray, every: bool) -> int:
    """How many rows there are to fit, at most."""
    return int(wanted.sum()) if every else len(np.unique(runs.group[wanted]))
