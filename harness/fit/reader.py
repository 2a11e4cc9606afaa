"""Reads a table of runs: this program's ``runs.csv``, any other CSV, a DataFrame, or the published points.

The published points are the 245 read off Figure 4 of Hoffmann et al. 2022. Epoch AI published them with its
replication (Besiroglu et al. 2024, arXiv 2404.10102): repository epoch-research/analyzing-chinchilla, file
data/svg_extracted_data.csv. That repository states no licence, so no copy is kept here: download it and set
``ISOFLOP_HOFFMANN_POINTS`` to its path.
"""

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np

from harness.errors import UserError
from harness.files import refuse_endless
from harness.fit.columns import (
    GENERIC_NAME,
    MAX_ROWS,
    REASON,
    REQUIRED,
    RUN_NAMES,
    Cells,
    number_columns,
    numbers_of,
    other_columns,
    run_names,
    telling,
    too_many,
)
from harness.fit.in_memory import Columns, cells_of
from harness.fit.options import ALL, check_rows
from harness.fit.rows import results
from harness.fit.run_states import run_states
from harness.fit.table import Points, clean

MAX_LINE = 1_000_000

# The published points: the variable that names the file, and what the file holds.
VARIABLE = "ISOFLOP_HOFFMANN_POINTS"
PUBLISHED_ROWS = 245
# Of N, C and loss at seven figures each: the same for any CSV formatting of these numbers.
SHA256 = "8c1b85c562f195900954ab02ab66296c85fa7aecbbc75acceff235764eb4f131"


def read_points(table: str | Path | TextIO | Columns, rows: str = "last") -> Points:
    """Reads runs from CSV (commas, semicolons or tabs; UTF-8, with or without a byte-order mark) or from a DataFrame.

    ``params``, ``tokens``, ``flops`` and ``loss`` are required, under these names or an alias (``N``, ``D``,
    ``C``, ``Model Size``, ``Training FLOP`` ...). If one of the first three is absent it is derived from
    C = 6ND (Hoffmann et al. 2022, section 3.3) and ``notes`` says so. ``run_id``, ``run``, ``run_name`` or ``id``
    names the run of a row. Rows of unfinished runs and unusable rows are in ``excluded``.

    >>> points = read_points({"N": [1e6, 2e6, 4e6], "D": [4e7, 2e7, 1e7], "loss": [3.1, 3.0, 3.2]})
    >>> len(points), points.flops.tolist()
    (3, [240000000000000.0, 240000000000000.0, 240000000000000.0])
    >>> print(*points.notes, sep="; ")
    params is column 'N'; tokens is column 'D'; table has no column flops: derived from flops = 6 x params x tokens

    Args:
        table: a file's path; an open text file; a pandas DataFrame, what has ``to_pandas`` (of pyarrow, datasets), or a
            dictionary of columns. Rows that are in no file are numbered by position from 0.
        rows: of a run with several rows ``last`` takes the one with the most tokens, of equal ones the later; a note
            counts the others. ``all`` takes all. See :attr:`FitOptions.rows`.

    Raises UserError, one line, for what is no such table.
    """
    check_rows(rows)
    if isinstance(table, str | Path):
        return _of_file(Path(table).expanduser(), every=rows == ALL)
    if hasattr(table, "to_pandas"):
        table = table.to_pandas()
    if hasattr(table, "items"):
        cells = cells_of(table)
        return _points(cells, *number_columns(cells.name, cells.header), every=rows == ALL)
    if isinstance(table, io.TextIOBase):
        name = getattr(table, "name", None)
        return _parse(Path(name).name if isinstance(name, str) else "table", table, every=rows == ALL)
    raise UserError(
        f"read_points: a {type(table).__name__} is no table; give a file's path, a DataFrame or a dictionary of columns"
    )


def _of_file(path: Path, every: bool) -> Points:
    refuse_endless(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return _parse(str(path), lines, every=every)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give the CSV file with the runs") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save the table as CSV in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


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


def _parse(name: str, lines: Iterator[str], every: bool) -> Points:
    try:
        cells, where, notes = _read(Path(name).name, lines)
    except csv.Error as error:
        raise UserError(f"{name}: not a CSV table ({error})") from None
    return _points(cells, where, notes, every)


def _points(cells: Cells, where: dict[str, int], notes: list[str], every: bool) -> Points:
    # Of a run that did not finish anything may be written where a number belongs.
    named = {*where.values(), *cells.called((*RUN_NAMES, GENERIC_NAME, REASON))}
    states = run_states(cells, named)
    numbers = {column: numbers_of(cells, i, states.finished) for column, i in where.items()}
    for column in REQUIRED:
        if column not in where:
            notes.append(f"{cells.name} has no column {column}: derived from flops = 6 x params x tokens")
            numbers[column] = _derived(column, numbers)
    runs = run_names(cells, numbers)
    extra, text = other_columns(cells, {*where.values(), *states.columns, *runs.columns}, states.finished)
    table = Points(
        params=numbers["params"],
        tokens=numbers["tokens"],
        flops=numbers["flops"],
        loss=numbers["loss"],
        run_id=tuple(label or f"row {line}" for label, line in zip(runs.label, cells.lines, strict=True)),
        budget=numbers.get("budget"),
        seed=numbers.get("seed"),
        loss_se=numbers.get("loss_se"),
        extra=extra,
        text=text,
        notes=(*notes, *runs.notes, *states.notes),
        lines=cells.lines,
    )
    silent = ~np.isfinite(table.tokens)
    if "loss" in where:
        silent |= np.array([not cell for cell in cells.columns[where["loss"]]], dtype=bool)
    kept = clean(results(table, states.said, silent.tolist(), every))
    return replace(kept, text=telling(kept.text, kept.run_id))


def _read(name: str, lines: Iterator[str]) -> tuple[Cells, dict[str, int], list[str]]:
    """The cells, which columns hold the fit's numbers, and notes on those; the header is checked before the rows."""
    bounded = _bounded(name, lines)
    header_line = next(bounded, "")
    if not header_line.strip():
        raise UserError(f"{name}: empty; expected a header with {', '.join(REQUIRED)}")
    delimiter = max(",;\t", key=header_line.count)
    header = next(csv.reader([header_line], delimiter=delimiter))
    where, notes = number_columns(name, header)
    found: list[int] = []
    rows: list[list[str]] = []
    reader = csv.reader(bounded, delimiter=delimiter)
    for fields in reader:
        row = reader.line_num + 1
        values = [field.strip() for field in fields]
        if not any(values):
            continue
        if len(values) > len(header):
            raise UserError(f"{name}: row {row} has {len(values)} cells, the header has {len(header)}")
        found.append(row)
        rows.append(values + [""] * (len(header) - len(values)))
    if not rows:
        raise UserError(f"{name}: a header and no rows")
    cells = Cells(name, tuple(header), tuple(found), tuple(zip(*rows, strict=True)))
    return cells, where, notes


def _bounded(name: str, lines: Iterator[str]) -> Iterator[str]:
    """The lines of a file, refused as soon as there are too many or one is too long."""
    readline = lines.readline if hasattr(lines, "readline") else lambda _: next(lines, "")
    for number in range(MAX_ROWS + 2):
        line = readline(MAX_LINE)
        if not line:
            return
        if len(line) >= MAX_LINE:
            raise UserError(
                f"{name}: line {number + 1} is longer than {MAX_LINE} characters; not a table of runs"
            )
        if "\0" in line:
            raise UserError(f"{name}: line {number + 1} has NUL bytes; not a CSV table")
        yield line
    raise too_many(name)


def _derived(column: str, known: dict[str, np.ndarray]) -> np.ndarray:
    with np.errstate(all="ignore"):
        if column == "flops":
            return 6 * known["params"] * known["tokens"]
        return known["flops"] / (6 * known["tokens" if column == "params" else "params"])
