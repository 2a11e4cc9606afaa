"""The user's own files and folders of text, cut into documents while they are read.

However large a file is, no more than a document or two of it is in memory.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

from harness.data.config import DataConfig
from harness.data.document import SNIFFED, Document, File, Skip, decode, describe, stat_file, walk
from harness.errors import UserError

BLOCK = 1 << 20  # bytes read at once
JSON_LINES = (".jsonl", ".ndjson")
SHARE = (
    200  # no document is more than this fraction (1/200) of the text: the held-out share comes out as asked
)
SMALLEST, LARGEST = 1 << 10, 4 << 20  # bytes; limits of the automatic document_bytes


@dataclass(frozen=True)
class TextSource:
    """Files of text, each one document or several."""

    files: list[File]
    document_bytes: int
    separator: bytes | None
    text_field: str

    @property
    def total_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)

    def describe(self) -> Any:
        """Names, sizes and times, and how files become documents."""
        how = [self.document_bytes, (self.separator or b"").decode(), self.text_field]
        return [how, describe(self.files)]

    def documents(self, skip: Skip) -> Iterator[Document]:
        """In the order of the paths given, then of file names, then of the text."""
        for file in self.files:
            try:
                with file.path.open("rb") as stream:
                    yield from self._read(file, stream, skip)
            except OSError:
                skip("unreadable")

    def _read(self, file: File, stream: BinaryIO, skip: Skip) -> Iterator[Document]:
        if file.size == 0:
            skip("empty")
            return
        if b"\0" in stream.read(SNIFFED):
            skip("binary")
            return
        stream.seek(0)
        if file.path.suffix in JSON_LINES:
            yield from self._json_lines(file, stream, skip)
            return
        pieces = self._pieces(stream)
        for number, piece in enumerate(pieces):
            text = decode(piece, skip)
            if text is not None:
                yield Document(f"{file.id}#{number}", text)

    def _pieces(self, stream: BinaryIO) -> Iterator[bytes]:
        if self.separator is not None:
            return cut_at_separator(stream, self.separator)
        return cut_by_size(stream, self.document_bytes)

    def _json_lines(self, file: File, stream: BinaryIO, skip: Skip) -> Iterator[Document]:
        for number, line in enumerate(stream, start=1):
            if line.strip():
                text = _text_of(line, f"{file.path}:{number}", self.text_field)
                yield Document(f"{file.id}#{number}", text)


def text_source(config: DataConfig) -> TextSource:
    """The files that ``config`` names.

    Raises:
        UserError: a path is missing, or there is nothing to read.
    """
    paths = config.path if isinstance(config.path, (list, tuple)) else [config.path]
    roots = [Path(str(path)).expanduser() for path in paths]
    files: list[File] = []
    for root in roots:
        prefix = f"{root.name}/" if len(roots) > 1 else ""
        files += _files(root, prefix, config)
    if not any(file.size for file in files):
        shown = ", ".join(str(root) for root in roots)
        matching = f" matching {', '.join(config.patterns)}" if config.patterns else ""
        problem = "only empty files" if files else "no files"
        raise UserError(f"data.path: {problem}{matching} in {shown}; name a file or folder that holds text")
    separator = config.separator.encode() if config.separator is not None else None
    total = sum(file.size for file in files)
    limit = config.document_bytes or min(LARGEST, max(SMALLEST, total // SHARE))
    return TextSource(files, limit, separator, config.text_field)


def _files(root: Path, prefix: str, config: DataConfig) -> list[File]:
    if root.is_file():
        return [stat_file(root, prefix + root.name)]
    if not root.is_dir():
        remedy = f"'{config.fetch}' fetches it" if config.fetch else f"looked from {Path.cwd()}"
        raise UserError(f"data.path: there is no file or folder '{root}' ({remedy})")

    def wanted(name: str) -> bool:
        last = name.rsplit("/", 1)[-1]
        matches = any(fnmatch(name, pattern) or fnmatch(last, pattern) for pattern in config.patterns)
        return not last.startswith(".") and (matches or not config.patterns)

    found = walk(root, lambda name: not name.startswith(".") and name != "__pycache__", wanted)
    return [File(file.path, prefix + file.id, file.size, file.mtime_ns) for file in found]


def _text_of(line: bytes, where: str, field: str) -> str:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where}: not JSON ({error}); a .jsonl file has one JSON object a line") from error
    text = value.get(field) if isinstance(value, dict) else None
    if not isinstance(text, str):
        keys = ", ".join(sorted(value)) if isinstance(value, dict) else type(value).__name__
        raise UserError(
            f"{where}: no text in '{field}' (it has: {keys}); name the key with data.text_field=…"
        )
    return text


def cut_by_size(file: BinaryIO, limit: int) -> Iterator[bytes]:
    """Documents of at most ``limit`` bytes that join to the whole.

    A document ends after the last blank line in its second half, else after the last line end there, else
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
    # of the document not yet ended; kept as a list so that a long one is not recopied
    waiting: list[bytes] = []
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
