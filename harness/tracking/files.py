"""What W&B holds of a run: what this project writes there, and how a run is read back, from W&B's own files above all.

Those files (``run-ID.wandb``, which offline runs leave) are LevelDB's log format around protobuf records.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.plan.cell import Cell
from harness.runs.curve import READ_COLUMNS
from harness.runs.files import SweepFolder
from harness.runs.record import Record, parse_record

RECORD = "record"  # key of a summary: the record as JSON text, which no server rounds
POSITION = "position"  # key of a configuration: the run's place in the plan; none for runs beside it

# LevelDB's log format (its doc/log_format.md) behind a header of W&B's own: blocks of records, each with a checksum,
# a length and a kind; a record that crosses a block's end comes in parts.
MAGIC, FILE_HEADER = b":W&B", 7
BLOCK, RECORD_HEADER = 32768, struct.Struct("<IHB")
PADDING, FULL, FIRST, LAST = 0, 1, 2, 4


@dataclass(frozen=True)
class Mirrored:
    """A run as W&B holds it.

    Attributes:
        history: one mapping for each logged step, which is its ``_step``.
    """

    run_id: str
    group: str
    job_type: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]

    @property
    def record(self) -> Record | None:
        """The run's record; None while it has not ended, or where it is not one of ours."""
        text = self.summary.get(RECORD)
        return parse_record(text, self.run_id) if isinstance(text, str) else None

    @property
    def position(self) -> int | None:
        """Where the run stands in its plan; None for a run beside the plan."""
        place = self.config.get(POSITION)
        return int(place) if isinstance(place, int | float) else None

    def curve(self) -> dict[str, np.ndarray] | None:
        """``step``, ``tokens``, ``flops``, ``train_loss``, each of shape (rows,); None without rows."""
        rows = {int(row["_step"]): row for row in self.history if row.get("train_loss") is not None}
        if not rows:
            return None
        steps = sorted(rows)
        # W&B writes what is no number as text ("NaN", "Infinity") that Python reads
        columns = {name: np.array([float(rows[step][name]) for step in steps]) for name in READ_COLUMNS[1:]}
        return {"step": np.array(steps, dtype=np.float64), **columns}


def run_name(cell: Cell) -> str:
    """The name that W&B shows for a run; its id there is the run id."""
    return f"{cell.spec.shape.label} C={cell.budget:.2g} seed {cell.spec.seed}"


def config_values(sweep: SweepFolder, sweep_name: str, cell: Cell) -> dict[str, Any]:
    """A run's configuration: its cell, its sweep and its place in the frozen plan."""
    return {"sweep": sweep_name, POSITION: _position(sweep.plan, cell.run_id), **cell.to_json()}


def summary_values(record: Record) -> dict[str, Any]:
    """A run's summary: the record's fields, to look at and to filter by, and the record itself."""
    fields = record.to_json()
    del fields["spec"]  # the configuration has it
    return {**fields, RECORD: json.dumps(record.to_json())}


def _position(plan: Path, run_id: str) -> int | None:
    try:
        cells = json.loads(plan.read_text(encoding="utf-8"))["cells"]
        return [cell["run_id"] for cell in cells].index(run_id)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_files(folder: Path) -> list[Mirrored]:
    """The runs below ``folder``, in the order they were begun; attempts at one run are one run.

    Of a step that several attempts logged, the last attempt's row counts.

    Raises:
        UserError: there is no W&B file.
    """
    files = sorted(folder.rglob("run-*.wandb"), key=lambda path: path.parent.name.removeprefix("offline-"))
    if not files:
        raise UserError(f"{folder}: no W&B files there; give the folder with offline-run-* or run-* folders")
    attempts: dict[tuple[str, str], list[_Attempt]] = {}
    for file in files:
        attempt = _read(file)
        # two sweeps may have trained the same run: its id is its specification's
        attempts.setdefault((attempt.group, run_id_of(file)), []).append(attempt)
    return [_joined(run_id, parts) for (_, run_id), parts in attempts.items()]


def last_step(folder: Path, run_id: str) -> int:
    """The last step that the files of ``run_id`` below ``folder`` hold; -1 without any."""
    files = folder.glob(f"*/run-{run_id}.wandb")
    return max((step for file in files for step in _read(file).rows), default=-1)


def has_ended(file: Path) -> bool:
    """Whether the file is whole: the run's end is the last that is written."""
    return any(record.WhichOneof("record_type") == "exit" for record in records(file))


def run_id_of(file: Path) -> str:
    """The id in the name of a run's file, ``run-ID.wandb``; its folder's name may have a number behind the id."""
    return file.stem.removeprefix("run-")


@dataclass
class _Attempt:
    """What one file holds; ``rows`` of history by step."""

    group: str = ""
    job_type: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)


def _joined(run_id: str, attempts: Sequence[_Attempt]) -> Mirrored:
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    rows: dict[int, dict[str, Any]] = {}
    for attempt in attempts:
        config |= attempt.config
        summary |= attempt.summary
        rows |= attempt.rows
    last = attempts[-1]
    return Mirrored(run_id, last.group, last.job_type, config, summary, [rows[step] for step in sorted(rows)])


def _read(file: Path) -> _Attempt:
    found = _Attempt()
    for record in records(file):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found.group, found.job_type = record.run.run_group, record.run.job_type
            _update(found.config, record.run.config.update)
        elif kind == "config":
            _update(found.config, record.config.update)
        elif kind == "summary":
            _update(found.summary, record.summary.update)
        elif kind == "history":
            row: dict[str, Any] = {}
            _update(row, record.history.item)
            found.rows[int(row.setdefault("_step", record.history.step.num))] = row
    return found


def _update(values: dict[str, Any], items: Iterable[Any]) -> None:
    for item in items:
        *path, name = list(item.nested_key) or [item.key]
        inner = values
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = json.loads(item.value_json)


def records(path: Path) -> Iterator[Any]:
    """Every whole record of a ``.wandb`` file, as W&B's protobuf message; one cut by a kill is dropped.

    Raises:
        UserError: it is no such file.
    """
    # only where W&B's files are read
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    data = path.read_bytes()
    if data and data[: len(MAGIC)] != MAGIC:
        raise UserError(f"{path}: not a file of W&B")
    for blob in _blobs(data):
        record = wandb_internal_pb2.Record()
        try:
            record.ParseFromString(blob)
        except DecodeError:  # a disk that lost power in the middle of a block
            return
        yield record


def _blobs(data: bytes) -> Iterator[bytes]:
    position, parts = FILE_HEADER, b""
    while position + RECORD_HEADER.size <= len(data):
        left = BLOCK - position % BLOCK
        if left < RECORD_HEADER.size:  # the rest of a block too short for a header is padding
            position += left
            continue
        _, length, kind = RECORD_HEADER.unpack_from(data, position)
        if kind == PADDING:
            position += left
            continue
        begin = position + RECORD_HEADER.size
        chunk = data[begin : begin + length]
        if len(chunk) < length:
            return
        position = begin + length
        parts = chunk if kind in (FULL, FIRST) else parts + chunk
        if kind in (FULL, LAST):
            yield parts
