"""Reads a table of runs from CSV: this program's ``runs.csv``, any other table, or the published points.

The published points are the 245 read off Figure 4 of Hoffmann et al. 2022. Epoch AI published them with its
replication (Besiroglu et al. 2024, arXiv 2404.10102): repository epoch-research/analyzing-chinchilla, file
data/svg_extracted_data.csv. That repository states no licence, so no copy is kept here: download it and set
``ISOFLOP_HOFFMANN_POINTS`` to its path.
"""

import csv
import hashlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.errors import UserError
from harness.fit.table import Excluded, Points, clean

# A fit reads one row a run; more rows than this are curves or another file, and are refused promptly.
MAX_ROWS = 100_000
MAX_LINE = 1_000_000

# Header names after lower-casing and turning everything but letters and digits into "_".
ALIASES = {
    "params": ("n", "parameters", "model_size", "params_total", "num_params", "n_params", "parameter_count"),
    "tokens": ("d", "training_tokens", "train_tokens", "num_tokens", "n_tokens", "tokens_seen", "data"),
    "flops": ("c", "training_flop", "training_flops", "train_flops", "compute", "flop", "total_flops"),
    "loss": ("l", "final_loss", "val_loss", "validation_loss", "eval_loss", "test_loss"),
    "run_id": ("run", "id", "run_name", "name"),
    "budget": ("flop_budget", "flops_budget", "compute_budget", "isoflop_budget"),
    "seed": ("random_seed",),
    "loss_se": ("loss_stderr", "loss_std_error", "loss_sem"),
}
REQUIRED = ("params", "tokens", "flops", "loss")
TEXT = ("run_id", "status", "reason")
BLANK = frozenset({"", "nan", "na", "n/a", "none", "null", "-", "diverged", "failed"})
FINISHED = frozenset({"", "finished", "ok", "done", "completed"})


# The published points: the variable that names the file, and what the file holds.
VARIABLE = "ISOFLOP_HOFFMANN_POINTS"
ROWS = 245
# Of N, C and loss at seven figures each: the same for any CSV formatting of these numbers.
SHA256 = "8c1b85c562f195900954ab02ab66296c85fa7aecbbc75acceff235764eb4f131"


def read_points(path: str | Path) -> Points:
    """Reads runs from a CSV file (commas, semicolons or tabs; UTF-8, with or without a byte-order mark).

    ``params``, ``tokens``, ``flops`` and ``loss`` are required, under these names or an alias (``N``, ``D``,
    ``C``, ``Model Size``, ``Training FLOP`` ...). If one of the first three is absent it is derived from
    C = 6ND (Hoffmann et al. 2022, section 3.3) and ``notes`` says so. Rows of unfinished runs and unusable
    rows are in ``excluded``. Raises UserError, one line, for a file that is no such table.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return _parse(path.name, lines)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give the CSV file with the runs") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save the table as CSV in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV table ({error})") from None


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
    if len(points) != ROWS or fingerprint(points) != SHA256:
        raise UserError(f"{path}: not the published points ({len(points)} rows of {ROWS}, or other numbers)")
    return points


def fingerprint(points: Points) -> str:
    """SHA-256 of N, C and loss at seven figures, in the table's order."""
    rows = zip(points.params, points.flops, points.loss, strict=True)
    return hashlib.sha256("\n".join(f"{n:.6e},{c:.6e},{v:.6e}" for n, c, v in rows).encode()).hexdigest()


def _parse(name: str, lines: Iterator[str]) -> Points:
    bounded = _bounded(name, lines)
    header_line = next(bounded, "")
    if not header_line.strip():
        raise UserError(f"{name}: empty; expected a header with {', '.join(REQUIRED)}")
    delimiter = max(",;\t", key=header_line.count)
    header = next(csv.reader([header_line], delimiter=delimiter))
    names, notes = _names(name, header)
    present = [column for column in REQUIRED if column in names]
    missing = [column for column in REQUIRED if column not in names]
    if "loss" in missing or len(missing) > 1:
        found = ", ".join(h.strip() for h in header)[:200]
        raise UserError(
            f"{name}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {found}"
        )

    rows: list[int] = []
    cells: dict[str, list[str]] = {column: [] for column in names}
    unfinished: list[Excluded] = []
    reader = csv.reader(bounded, delimiter=delimiter)
    for fields in reader:
        row = reader.line_num + 1
        if not any(field.strip() for field in fields):
            continue
        if len(fields) > len(header):
            raise UserError(f"{name}: row {row} has {len(fields)} cells, the header has {len(header)}")
        values = {c: (fields[i].strip() if i < len(fields) else "") for c, i in names.items()}
        status = values.get("status", "").lower()
        if status not in FINISHED:
            reason = values.get("reason", "")
            run = values.get("run_id") or f"row {row}"
            unfinished.append(Excluded(run, f"status {status}" + (f": {reason}" if reason else ""), row))
            continue
        rows.append(row)
        for column, value in values.items():
            cells[column].append(value)
    if not rows and not unfinished:
        raise UserError(f"{name}: a header and no rows")

    columns = {
        column: np.array(
            [_number(name, row, header[names[column]], v) for row, v in zip(rows, cells[column], strict=True)]
        )
        for column in [*present, *(c for c in ("budget", "seed", "loss_se") if c in names)]
    }
    for column in missing:
        notes.append(f"{name} has no column {column}: derived from flops = 6 x params x tokens")
        columns[column] = _derived(column, columns)
    points = Points(
        params=columns["params"],
        tokens=columns["tokens"],
        flops=columns["flops"],
        loss=columns["loss"],
        run_id=tuple(
            label or f"row {row}"
            for row, label in zip(rows, cells.get("run_id", [""] * len(rows)), strict=True)
        ),
        budget=columns.get("budget"),
        seed=columns.get("seed"),
        loss_se=columns.get("loss_se"),
        extra=_extra(names, cells),
        excluded=tuple(unfinished),
        notes=tuple(notes),
    )
    return clean(points, rows)


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
    raise UserError(f"{name}: more than {MAX_ROWS} rows; a fit reads one row a run (curves go beside it)")


def _names(name: str, header: list[str]) -> tuple[dict[str, int], list[str]]:
    """Which column of the file holds what: canonical name to position, and notes on renamed ones."""
    plain = [re.sub(r"[^a-z0-9]+", "_", h.strip().lower()).strip("_") for h in header]
    names: dict[str, int] = {}
    notes: list[str] = []
    for canonical, aliases in ALIASES.items():
        where = [i for i, h in enumerate(plain) if h == canonical] or [
            i for alias in aliases for i, h in enumerate(plain) if h == alias
        ]
        if not where:
            continue
        if plain[where[0]] == canonical and len(where) > 1:
            raise UserError(f"{name}: two columns are called {canonical}")
        names[canonical] = where[0]
        if plain[where[0]] != canonical:
            notes.append(f"{canonical} is column {header[where[0]].strip()!r}")
    used = set(names.values())
    for i, h in enumerate(plain):
        if i not in used and h and h not in names:
            names[h] = i
    return names, notes


def _number(name: str, row: int, column: str, text: str) -> float:
    if text.lower() in BLANK:
        return math.nan
    try:
        return float(text)
    except ValueError:
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise UserError(f"{name}: row {row}, column {column.strip()}: {shown!r} is not a number") from None


def _derived(column: str, known: dict[str, np.ndarray]) -> np.ndarray:
    with np.errstate(all="ignore"):
        if column == "flops":
            return 6 * known["params"] * known["tokens"]
        return known["flops"] / (6 * known["tokens" if column == "params" else "params"])


def _extra(names: dict[str, int], cells: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """The other columns that are numbers throughout; a column with text in it is not for fitting."""
    extra: dict[str, np.ndarray] = {}
    for column in names:
        if column in ALIASES or column in TEXT:
            continue
        try:
            values = np.array(
                [math.nan if v.lower() in BLANK else float(v) for v in cells[column]], dtype=float
            )
        except ValueError:
            continue
        if np.isfinite(values).any():
            extra[column] = values
    return extra
