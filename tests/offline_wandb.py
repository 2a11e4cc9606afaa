"""Reading W&B's offline files without W&B's own reader: LevelDB's log format around protobuf records."""

import struct
from collections.abc import Iterator
from pathlib import Path

from wandb.proto import wandb_internal_pb2

BLOCK, HEADER, MAGIC = 32768, 7, b":W&B"
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[wandb_internal_pb2.Record]:
    """Every whole record of a ``.wandb`` file; a last one cut by a kill is dropped."""
    for blob in _blobs(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(blob)
        yield record


def _blobs(data: bytes) -> Iterator[bytes]:
    assert data[:4] == MAGIC, "not a .wandb file"
    position, parts = HEADER, b""
    while position + HEADER <= len(data):
        left = BLOCK - position % BLOCK
        if left < HEADER:  # the rest of a block too short for a header is padding
            position += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        if kind == 0:
            position += left
            continue
        chunk = data[position + HEADER : position + HEADER + length]
        if len(chunk) < length:
            return
        position += HEADER + length
        parts = chunk if kind in (FULL, FIRST) else parts + chunk
        if kind in (FULL, LAST):
            yield parts
