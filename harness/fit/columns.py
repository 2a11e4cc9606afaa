"""Which column of a table holds what: the numbers of a fit, the name of a run, and everything else."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.table import Array

# Header names after lower-casing and turning everything but letters and digits into "_".
ALIASES = {
    "params": ("n", "parameters", "model_size", "params_total", "num_params", "n_params", "parameter_count"),
    "tokens": ("d", "training_tokens", "train_tokens", "num_tokens", "n_tokens", "tokens_seen", "data"),
    "flops": ("c", "training_flop", "training_flops", "train_flops", "compute", "flop", "total_flops"),
    "loss": ("l", "final_loss", "val_loss", "validation_loss", "eval_loss", "test_loss"),
    "budget": ("flop_budget", "flops_budget", "compute_budget", "isoflop_budget"),
    "seed": ("random_seed",),
    "loss_se": ("loss_stderr", "loss_std_error", "loss_sem"),
}
# Runs, and the evaluations along them; more rows than this are curves or another file, and are refused promptly.
MAX_ROWS = 100_000
REQUIRED = ("params", "tokens", "flops", "loss")
BLANK = frozenset({"", "nan", "na", "n/a", "none", "null", "-", "diverged", "failed"})

# Columns that name a run, the first choice first. A generic name does so only where no two rows share one.
RUN_NAMES = ("run_id", "run", "run_name", "id")
GENERIC_NAME = "name"
# Of one run's parameters or budget over its rows: further apart is another model, not another rounding.
ROUNDING = 0.01
# Why a run ended as it did, in the table's words.
REASON = "reason"


@dataclass(frozen=True, eq=False)
class Cells:
    """A table as text.

    Attributes:
        name: the file's, for messages.
        header: the columns' names as written, (columns,); ``plain`` are they with letters, digits and "_" only.
        lines: each row's line in the file, (rows,); the header is line 1.
        columns: the cells, stripped, (columns, rows).
    """

    name: str
    header: tuple[str, ...]
    lines: tuple[int, ...]
    columns: tuple[tuple[str, ...], ...]
    plain: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", tuple(map(plain_name, self.header)))

    def called(self, names: Iterable[str]) -> list[int]:
        """The columns with one of these plain names, in the names' order."""
        return [i for name in names for i, h in enumerate(self.plain) if h == name]


def plain_name(header: str) -> str:
    """``Run ID`` and ``run.id`` → ``run_id``; ``_step`` → ``step``."""
    return re.sub(r"[^a-z0-9]+", "_", header.strip().lower()).strip("_")


def too_many(name: str) -> UserError:
    """What to raise for a table of more than :data:`MAX_ROWS` rows."""
    return UserError(
        f"{name}: more than {MAX_ROWS} rows; keep those with a held-out loss (curves go beside it)"
    )


def number_columns(name: str, header: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Which column holds which of the fit's numbers, by position, and notes on those with another name.

    Raises UserError where a required one is missing (one of N, D and C may be: it follows from the others).
    """
    plain = [plain_name(h) for h in header]
    found: dict[str, int] = {}
    notes: list[str] = []
    for canonical, aliases in ALIASES.items():
        where = [i for i, h in enumerate(plain) if h == canonical] or [
            i for alias in aliases for i, h in enumerate(plain) if h == alias
        ]
        if not where:
            continue
        if plain[where[0]] == canonical and len(where) > 1:
            raise UserError(f"{name}: two columns are called {canonical}")
        found[canonical] = where[0]
        if plain[where[0]] != canonical:
            notes.append(f"{canonical} is column {header[where[0]].strip()!r}")
    missing = [column for column in REQUIRED if column not in found]
    if "loss" in missing or len(missing) > 1:
        has = ", ".join(h.strip() for h in header)[:200]
        raise UserError(
            f"{name}: missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {has}"
        )
    return found, notes


@dataclass(frozen=True, eq=False)
class RunNames:
    """Every row's run, "" where the table names none; (rows,). ``columns`` are names of runs."""

    label: tuple[str, ...]
    columns: frozenset[int]
    notes: tuple[str, ...]


def run_names(cells: Cells, numbers: Mapping[str, Array]) -> RunNames:
    """Which column names the runs.

    A column of which two rows have one name but different parameters, budgets or seeds names no run: it is not
    used, and a note says so.

    Args:
        numbers: the fit's columns, each (rows,).
    """
    notes: list[str] = []
    names: list[int] = []
    for i in cells.called(RUN_NAMES):
        labels = cells.columns[i]
        if not any(labels):
            continue
        difference = _difference(labels, numbers)
        if not difference:
            names.append(i)
        elif not names:
            notes.append(f"column {cells.header[i].strip()!r} names no runs: {difference}")
    for i in cells.called([GENERIC_NAME]):
        known = [label for label in cells.columns[i] if label]
        if known and len(set(known)) == len(known):
            names.append(i)
        elif known and not names:
            notes.append(
                f"column {cells.header[i].strip()!r} repeats its names, so every row is a run of its own; "
                "if it names runs, call it run_name"
            )
    if not names:
        return RunNames(("",) * len(cells.lines), frozenset(), tuple(notes))
    if cells.plain[names[0]] != RUN_NAMES[0]:
        notes.append(f"run_id is column {cells.header[names[0]].strip()!r}")
    return RunNames(cells.columns[names[0]], frozenset(names), tuple(notes))


def _difference(labels: Sequence[str], numbers: Mapping[str, Array]) -> str:
    """Where rows of one label are not of one run: which label and how they differ; "" where all are."""
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if label:
            rows.setdefault(label, []).append(row)
    for label, mine in rows.items():
        for name, rounding in (("params", ROUNDING), ("budget", ROUNDING), ("seed", 0.0)):
            if len(mine) < 2 or name not in numbers:
                continue
            values = numbers[name][mine]
            values = values[np.isfinite(values)]
            if len(values) and values.max() - values.min() > rounding * abs(values.max()):
                return f"rows of {label!r} differ in {name} ({values.min():g} and {values.max():g})"
    return ""


def other_columns(
    cells: Cells, taken: Iterable[int], finished: NDArray[np.bool_]
) -> tuple[dict[str, Array], dict[str, tuple[str, ...]]]:
    """The columns that hold none of the above: those of numbers (NaN where empty), and those of text.

    Args:
        taken: columns that hold something else.
        finished: rows that decide which it is, (rows,); of the others anything may be written.
    """
    numbers: dict[str, Array] = {}
    text: dict[str, tuple[str, ...]] = {}
    used = {*taken, *cells.called([REASON])}
    for i, name in enumerate(cells.plain):
        if i in used or not name or name in ALIASES or name in numbers or name in text:
            continue
        values = [_float(cell) for cell in cells.columns[i]]
        if any(value is None and seen for value, seen in zip(values, finished, strict=True)):
            text[name] = cells.columns[i]
            continue
        column = np.array([math.nan if value is None else value for value in values])
        if np.isfinite(column[finished]).any():
            numbers[name] = column
    return numbers, text


def telling(text: Mapping[str, Sequence[str]], runs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The text columns that sort runs into groups: more than one value, and fewer than there are runs.

    Args:
        runs: every row's run, (rows,).
    """
    most = len(set(runs))
    return {name: tuple(column) for name, column in text.items() if 1 < len(set(column)) < most}


def numbers_of(cells: Cells, i: int, finished: NDArray[np.bool_]) -> Array:
    """A column of numbers, (rows,), NaN where empty.

    Raises UserError where a row whose run finished has something else there.
    """
    values = []
    for cell, line, seen in zip(cells.columns[i], cells.lines, finished, strict=True):
        value = _float(cell)
        if value is None and seen:
            shown = cell if len(cell) <= 40 else cell[:37] + "..."
            raise UserError(
                f"{cells.name}: row {line}, column {cells.header[i].strip()}: {shown!r} is not a number"
            )
        values.append(math.nan if value is None else value)
    return np.array(values, dtype=float)


def _float(text: str) -> float | None:
    if text.lower() in BLANK:
        return math.nan
    try:
        return float(text)
    except ValueError:
        return None
