"""Runs from W&B's files on disk, those of offline runs above all: LevelDB's log format around protobuf records."""

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.runs.wandb_mirror import Mirrored

# LevelDB's log format (its doc/log_format.md) behind a header of W&B's own: blocks of records, each with a checksum,
# a length and a kind; a record that crosses a block's end comes in parts.
MAGIC, FILE_HEADER = b":W&B", 7
BLOCK, RECORD_HEADER = 32768, struct.Struct("<IHB")
PADDING, FULL, FIRST = 0, 1, 2
LAST = 4


def read_files(folder: Path) -> list[Mirrored]:
    """The runs below ``folder``, in the order they were begun; attempts at one run are one run.

    Of a step that several attempts logged, the last attempt's row counts.

    Raises:
        UserError: there is no W&B file.
    """
    files = sorted(folder.rglob("run-*.wandb"), key=lambda path: path.parent.name.removeprefix("offline-"))
    if not files:
        raise UserError(f"{folder}: no W&B files there; give the folder with offline-run-* or run-* folders")
    found: dict[str, _Parts] = {}
    for file in files:
        for record in records(file):
            _add(found, record, run_id_of(file))
    return [parts.whole(run_id) for run_id, parts in found.items()]


def last_step(folder: Path, run_id: str) -> int:
    """The last step that the files of ``run_id`` below ``folder`` hold; -1 without any."""
    found: dict[str, _Parts] = {}
    for file in folder.glob(f"*/run-{run_id}.wandb"):
        for record in records(file):
            _add(found, record, run_id)
    return max(found[run_id].rows, default=-1) if run_id in found else -1


def run_id_of(file: Path) -> str:
    """The id in the name of a run's file, ``run-ID.wandb``; its folder's name may have a number behind the id."""
    return file.stem.removeprefix("run-")


class _Parts:
    """What the attempts at one run add up to."""

    def __init__(self) -> None:
        self.group = self.job_type = ""
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.rows: dict[int, dict[str, Any]] = {}

    def whole(self, run_id: str) -> Mirrored:
        history = [self.rows[step] for step in sorted(self.rows)]
        return Mirrored(run_id, self.group, self.job_type, self.config, self.summary, history)


def _add(found: dict[str, _Parts], record: Any, run_id: str) -> None:
    parts = found.setdefault(run_id, _Parts())
    kind = record.WhichOneof("record_type")
    if kind == "run":
        parts.group, parts.job_type = record.run.run_group, record.run.job_type
        _update(parts.config, record.run.config.update)
    elif kind == "config":
        _update(parts.config, record.config.update)
    elif kind == "summary":
        _update(parts.summary, record.summary.update)
    elif kind == "history":
        row: dict[str, Any] = {}
        _update(row, record.history.item)
        step = int(row.setdefault("_step", record.history.step.num))
        parts.rows[step] = row


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
