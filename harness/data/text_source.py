"""The user's own files and folders of text, cut into documents while they are read.

However large a file is, no more than a document or two of it is in memory.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO

from harness.data.config import DataConfig
from harness.data.document import (
    Document,
    File,
    Skip,
    decode,
    describe,
    is_special,
    is_system,
    stat_file,
    walk,
)
from harness.data.formats import (
    EXPANSION,
    DamagedError,
    Format,
    format_of,
    is_binary,
    is_utf8,
    opened,
)
from harness.data.left_out import REMEDIES
from harness.data.records import (
    LOOKED_AT,
    DamagedTableError,
    NoFieldError,
    json_array,
    json_kind,
    json_lines,
    parquet,
)
from harness.errors import UserError
from harness.text import visible

BLOCK = 1 << 20  # bytes read at once
SHARE = (
    200  # no document is more than this fraction (1/200) of the text: the held-out share comes out as asked
)
SMALLEST, LARGEST = 1 << 10, 4 << 20  # bytes; limits of the automatic document_bytes


@dataclass
class TextSource:
    """Files of text, each one document or several.

    Attributes:
        omitted: reason, name and size of what was found and is not read.
        named: ids of the files that the user named, rather than a folder they are in, or all of them where all hold
            records: what is wrong with these is an error, and not counted as left out.
    """

    files: list[File]
    document_bytes: int
    separator: bytes | None
    text_field: str
    encoding: str = "utf-8"
    omitted: list[tuple[str, str, int]] = field(default_factory=list)
    named: frozenset[str] = frozenset()
    share_read: float = 0.0

    @property
    def total_bytes(self) -> int:
        """Size of all files, of compressed ones an estimate of their text."""
        return text_bytes(self.files, self.omitted)

    @property
    def number_of_files(self) -> int:
        """Those that are read, and those that are not."""
        folders = ("folder", "hidden", "linked_again")
        return len(self.files) + sum(reason not in folders for reason, _, _ in self.omitted)

    def describe(self) -> Any:
        """Names, sizes and times, and how files become documents."""
        how = [self.document_bytes, (self.separator or b"").decode(), self.text_field]
        if not is_utf8(self.encoding):
            how.append(self.encoding)
        newer = [[file.id, *vars(kind).values()] for file in self.files if (kind := _newer(file.id))]
        return [how, describe(self.files), *([newer] if newer else [])]

    def documents(self, skip: Skip) -> Iterator[Document]:
        """In the order of the paths given, then of file names, then of the text.

        Raises:
            UserError: a record has no text, or a file that was named cannot be read.
        """
        for reason, name, size in self.omitted:
            skip(reason, name, size)
        total, done = max(1, sum(file.size for file in self.files)), 0
        for file in self.files:
            for document, read in self._read(file, skip):
                self.share_read = (done + read) / total
                yield document
            done += file.size

    def _read(self, file: File, skip: Skip) -> Iterator[tuple[Document, float]]:
        """The documents of a file, each with the bytes of the file that were read by then."""
        if file.size == 0:
            skip("empty", file.id, 0)
            return
        kind, read = format_of(file.id), 0.0
        records = kind.records
        try:
            if records == "parquet":
                for document, share in parquet(file, self.text_field, skip):
                    read = share * file.size
                    yield document, read
                return
            if records == "json":
                with FileIO(file.path) as raw:
                    head = opened(raw, kind.compression, self.encoding).read(LOOKED_AT)
                records = json_kind(head, self.text_field, file.id in self.named)
            with FileIO(file.path) as raw:
                stream = opened(raw, kind.compression, self.encoding)
                for document in self._documents(file, records, stream, skip):
                    read = raw.tell()
                    yield document, read
        except UnicodeError:  # of UTF-16 also without 'Decode'
            skip("undecodable", file.id, file.size - int(read))
        except OSError as error:
            self._refuse_named(file, f"cannot be read ({error.strerror or error})")
            skip("unreadable", file.id, file.size - int(read))
        except (DamagedError, DamagedTableError) as error:
            self._refuse_named(file, f"damaged, or cut short ({error}); fetch it again")
            skip("damaged", file.id, file.size - int(read))
        except NoFieldError as error:
            self._refuse_named(file, f"{error}; name the column of the text with data.text_field=…")
            skip("no_text", file.id, file.size)

    def _refuse_named(self, file: File, problem: str) -> None:
        if file.id in self.named:
            raise UserError(f"data.path: {visible(str(file.path))}: {problem}") from None

    def _documents(self, file: File, records: str, stream: BufferedReader, skip: Skip) -> Iterator[Document]:
        if is_binary(stream):
            skip("binary", file.id, file.size)
        elif records in ("lines", "json_lines"):
            yield from json_lines(file, stream, self.text_field, skip)
        elif records == "array":
            yield from json_array(file, stream, self.text_field, skip)
        else:
            for number, piece in enumerate(self._pieces(stream)):
                text = decode(piece, file.id, skip)
                if text is not None:
                    yield Document(f"{file.id}#{number}", text)

    def _pieces(self, stream: BinaryIO) -> Iterator[bytes]:
        if self.separator is not None:
            return cut_at_separator(stream, self.separator)
        return cut_by_size(stream, self.document_bytes)


def text_source(config: DataConfig) -> TextSource:
    """The files that ``config`` names.

    Raises:
        UserError: a path is missing, or there is nothing to read.
    """
    paths = config.path if isinstance(config.path, (list, tuple)) else [config.path]
    roots = [Path(os.path.expanduser(str(path))) for path in paths]
    found: list[File] = []
    omitted: list[tuple[str, str, int]] = []
    named = set()
    for root in roots:
        prefix = f"{root.name}/" if len(roots) > 1 else ""
        mine = _files(root, prefix, config, lambda *what: omitted.append(what))
        found += mine
        if root.is_file():
            named |= {file.id for file in mine}
    files = []
    for file in found:
        if reason := format_of(file.id).unread:
            omitted.append((reason, file.id, file.size))
        else:
            files.append(file)
    if not any(file.size for file in files):
        raise UserError(_nothing(roots, files, omitted, config))
    if all(format_of(file.id).records for file in files):
        named = {file.id for file in files}
    separator = config.separator.encode() if config.separator is not None else None
    limit = config.document_bytes or min(LARGEST, max(SMALLEST, text_bytes(files, omitted) // SHARE))
    return TextSource(files, limit, separator, config.text_field, config.encoding, omitted, frozenset(named))


def text_bytes(files: list[File], omitted: list[tuple[str, str, int]]) -> int:
    """About how much text there is, as far as sizes tell."""
    read = sum(file.size * (EXPANSION if format_of(file.id).compression else 1) for file in files)
    return read + sum(size for _, _, size in omitted)


def _nothing(
    roots: list[Path], files: list[File], omitted: list[tuple[str, str, int]], config: DataConfig
) -> str:
    """Why there is nothing to read, and what to do."""
    shown = ", ".join(visible(str(root)) for root in roots)
    matching = f" matching {', '.join(config.patterns)}" if config.patterns else ""
    unread = next((one for one in omitted if one[0] in REMEDIES), None)
    if unread and not files:
        what, remedy = REMEDIES[unread[0]]
        return f"data.path: nothing to read{matching} in {shown}: {visible(unread[1])} ({what}); {remedy}"
    problem = "only empty files" if files else "no files"
    return f"data.path: {problem}{matching} in {shown}; name a file or folder that holds text"


def _newer(name: str) -> Format | None:
    """The format of a file that an earlier version read otherwise, if at all: it makes the corpus another one."""
    kind = format_of(name)
    same = kind == Format() or Path(name).suffix in (".jsonl", ".ndjson")
    return None if same else kind


def _files(root: Path, prefix: str, config: DataConfig, skip: Skip) -> list[File]:
    shown = visible(str(root))
    if is_special(root):
        raise UserError(
            f"data.path: '{shown}' is a pipe, a socket or a device; name a file or folder of text"
        )
    if is_system(root):
        raise UserError(
            f"data.path: '{shown}' shows the running system, it holds no text; name a folder that does"
        )
    if root.is_file():
        return [stat_file(root, prefix + root.name)]
    if not root.is_dir():
        remedy = f"'{config.fetch}' fetches it" if config.fetch else f"looked from {Path.cwd()}"
        raise UserError(f"data.path: there is no file or folder '{shown}' ({remedy})")

    def wanted(name: str) -> bool:
        last = name.rsplit("/", 1)[-1]
        matches = any(fnmatch(name, pattern) or fnmatch(last, pattern) for pattern in config.patterns)
        if last.startswith("."):
            if matches or not config.patterns:
                skip("hidden", prefix + name, 0)
            return False
        return matches or not config.patterns

    def listed(name: str) -> bool:
        if name.startswith("."):
            skip("hidden", f"{name}/", 0)
            return False
        return name != "__pycache__"

    def told(reason: str, name: str, size: int) -> None:
        skip(reason, prefix + name, size)

    found = walk(root, listed, wanted, told, follow=True)
    return [File(file.path, prefix + file.id, file.size, file.mtime_ns) for file in found]


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
