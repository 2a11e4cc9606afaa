"""Cutting a large text into documents while reading it, never holding more than a document or two."""

from collections.abc import Iterator
from typing import BinaryIO

BLOCK = 1 << 20


def cut_by_size(file: BinaryIO, limit: int) -> Iterator[bytes]:
    """Pieces of at most ``limit`` bytes that join to the whole.

    A piece ends after the last blank line in its second half, else after the last line end there, else
    between two characters of UTF-8.
    """
    rest = b""
    while True:
        block = file.read(max(BLOCK, limit))
        data = rest + block
        start = 0
        while len(data) - start > limit:
            end = _cut(data, start, start + limit)
            yield data[start:end]
            start = end
        rest = data[start:]
        if not block:
            if rest:
                yield rest
            return


def _cut(data: bytes, start: int, end: int) -> int:
    half = start + (end - start) // 2
    for mark in (b"\n\n", b"\n\r\n", b"\n"):
        found = data.rfind(mark, half, end)
        if found >= 0:
            return found + len(mark)
    for shorter in range(end, max(start, end - 4), -1):
        if data[shorter] & 0xC0 != 0x80:  # not in the middle of a character
            return shorter
    return end


def cut_at_separator(file: BinaryIO, separator: bytes) -> Iterator[bytes]:
    """What stands between the ``separator``s, which are dropped."""
    waiting: list[
        bytes
    ] = []  # of the document not yet ended; kept as a list so that a long one is not recopied
    tail = b""
    while block := file.read(BLOCK):
        parts = (tail + block).split(separator)
        if len(parts) > 1:
            yield b"".join([*waiting, parts[0]])
            yield from parts[1:-1]
            waiting = []
        keep = max(0, len(parts[-1]) - len(separator) + 1)  # a separator may lie across two blocks
        waiting.append(parts[-1][:keep])
        tail = parts[-1][keep:]
    last = b"".join([*waiting, tail])
    if last:
        yield last
