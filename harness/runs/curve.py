"""The training curve of a run: a CSV that grows while it trains, is written whole when it ends, and is then checked.

A row is written every so many steps (``train.log_points``): ``train_loss`` is the mean since the row before, in nats
per token, ``grad_norm`` that of the row's last step before clipping, ``lr`` its learning rate. While a run trains, its
checkpoints hold the rows and the file is for people; once it has ended its record holds the file's SHA-256.
"""

import csv
import hashlib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from harness.files import Fence, file_sha256, no_fence, open_atomic
from harness.plan.cell import Cell
from harness.runs.files import SweepFolder
from harness.runs.record import FINISHED, Record

COLUMNS = ("step", "tokens", "flops", "lr", "train_loss", "grad_norm")
READ_COLUMNS = ("step", "tokens", "flops", "train_loss")
HOLE = 2.0  # rows lie evenly: a distance of more than this many times the usual one is a hole


def curve_row(cell: Cell, step: int, loss: float, grad_norm: float) -> dict[str, float]:
    """A row of the curve of ``cell``, a value for each column."""
    spec = cell.spec
    return {
        "step": step,
        "tokens": step * spec.batch_tokens,
        "flops": cell.flops * step / spec.steps,
        "lr": spec.optimizer.lr * spec.schedule.factor(step),
        "train_loss": loss,
        "grad_norm": grad_norm,
    }


class CurveWriter:
    """Writes a curve that grows while its run trains. What it writes goes to its own file, whoever replaces that."""

    def __init__(self, path: Path, rows: Iterable[Mapping[str, float]], fence: Fence = no_fence) -> None:
        """Begin ``path`` anew with the ``rows`` before the step that the run goes on from."""
        self._file = open_atomic(path, curve_text(rows), fence)

    def append(self, row: Mapping[str, float]) -> None:
        """Add one row, a value for each column; a process that is killed after this returns does not lose it."""
        self._file.write(_line(row))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def curve_text(rows: Iterable[Mapping[str, float]]) -> str:
    """A whole ``curve.csv``. Numbers are written so that they read back exactly."""
    return "".join([",".join(COLUMNS) + "\n", *map(_line, rows)])


def digest_of(text: str) -> str:
    """What a record keeps of its curve: the SHA-256 of the file."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_curves(
    folder: SweepFolder, found: Mapping[str, Record]
) -> tuple[dict[str, dict[str, np.ndarray]], tuple[str, ...]]:
    """The curves of the runs of ``found``, by run id, and sentences about those that are left out.

    A curve that is not the one its record speaks of would be a wrong curve in silence: it is left out.
    """
    curves: dict[str, dict[str, np.ndarray]] = {}
    problems: dict[str, str] = {}
    for run_id, record in found.items():
        columns, problem = _checked(folder.cell(run_id).curve, record)
        if columns is None:
            problems[run_id] = problem
        else:
            curves[run_id] = columns
    mend = f"copy it anew to {folder.cells}/RUN/; without its record.json 'isoflop sweep' trains a run again"
    return curves, left_out(problems, found, mend)


def left_out(problems: Mapping[str, str], found: Mapping[str, Record], mend: str) -> tuple[str, ...]:
    """A sentence for each of ``problems`` of curves, by run id, that names the finished runs that have it."""
    runs: dict[str, list[str]] = {}
    for run_id, problem in problems.items():
        if found[run_id].status == FINISHED:
            runs.setdefault(problem, []).append(run_id)
    return tuple(
        f"approach 1 is without the training curve of {len(ids)} finished run{'s' if len(ids) > 1 else ''}: {problem}: "
        f"{', '.join(ids)} ({mend})"
        for problem, ids in runs.items()
    )


def curve_problem(path: Path, record: Record) -> str:
    """Why the file at ``path`` is not the curve of the run of ``record``; empty where it is, as far as is known."""
    return _checked(path, record)[1]


def _checked(path: Path, record: Record) -> tuple[dict[str, np.ndarray] | None, str]:
    """The curve, or None and why the file is not that of the run of ``record``."""
    columns = read_curve(path)
    if columns is None:
        return None, "curve.csv cannot be read" if path.exists() else "there is no curve.csv"
    if not record.curve_sha256:
        problem = implausible(columns, record)
    elif file_sha256(path) != record.curve_sha256:
        problem = "curve.csv is not as the run left it: the record has another SHA-256"
    else:
        problem = ""
    return None if problem else columns, problem


def implausible(columns: Mapping[str, np.ndarray], record: Record) -> str:
    """What about ``columns`` cannot be true of the curve of the run of ``record``; empty where nothing is found.

    It is all that can be said of runs whose records are from before they had a SHA-256 of the curve.
    """
    step, loss = columns["step"], columns["train_loss"]
    gaps = np.diff(step, prepend=0.0)
    batch_tokens = record.spec["batch_windows"] * record.spec["seq_len"]
    if not all(np.isfinite(columns[name]).all() for name in READ_COLUMNS[:3]):
        return "it has numbers that are not finite"
    if (record.status == FINISHED and not np.isfinite(loss).all()) or (loss < 0).any():
        return "it has a loss that is no loss of a finished run"
    if not (gaps > 0).all() or step[-1] != record.steps:
        return "its steps do not rise to the last of the run"
    if (gaps > HOLE * np.median(gaps)).any():
        return "rows of it are missing"
    flops = record.flops / record.steps * step
    if (columns["tokens"] != step * batch_tokens).any() or not np.allclose(columns["flops"], flops, 1e-6, 0):
        return "its tokens or FLOPs are not those of its steps"
    return ""


def read_curve(path: Path) -> dict[str, np.ndarray] | None:
    """``step``, ``tokens``, ``flops``, ``train_loss`` of a ``curve.csv``, each of shape (rows,); None without rows."""
    try:
        with path.open(encoding="utf-8") as file:
            header = file.readline().strip().split(",")
            columns = [header.index(name) for name in READ_COLUMNS]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a header without rows
                data = np.loadtxt(file, delimiter=",", usecols=columns, ndmin=2)
    except (OSError, ValueError):
        return None
    return {name: data[:, i] for i, name in enumerate(READ_COLUMNS)} if len(data) else None


def curve_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a ``curve.csv`` with every column; none where there is no such file, or it cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [{name: float(row[name]) for name in COLUMNS} for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []


def _line(row: Mapping[str, float]) -> str:
    return ",".join(repr(row[name]) for name in COLUMNS) + "\n"
