"""Documents: what a source of them offers, which of them a corpus uses, and which of those are held out.

Below that, what sources share that read files: a folder's files in one order everywhere, and their text.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.data.config import DataConfig

SNIFFED = 8192  # bytes looked at to tell text from binary

Skip = Callable[[str], None]
"""Told the reason (``empty``, ``binary``, …) whenever a document is left out."""


@dataclass(frozen=True)
class Document:
    """One text; ``id`` says where it is from, relative to its source."""

    id: str
    text: str


class DocumentSource(Protocol):
    """Documents in an order that depends on nothing but the source's content."""

    @property
    def total_bytes(self) -> int | None:
        """About how much text there is; None where only reading would tell."""

    def describe(self) -> Any:
        """JSON that changes whenever the documents do, found without reading them."""

    def documents(self, skip: Skip) -> Iterator[Document]:
        """The documents."""


@dataclass(frozen=True)
class Selected:
    """A document that is used: its text, the same as UTF-8, the SHA-256 of that, and the side it is on."""

    text: str
    data: bytes
    digest: bytes
    heldout: bool


def select(source: DocumentSource, config: DataConfig, skipped: Counter[str]) -> Iterator[Selected]:
    """The documents of ``source`` that ``config`` uses, in order; ``skipped`` counts the others by reason.

    A hash of the content decides the side, so a document keeps its side when others come or go, and copies of
    one document are never on both. Documents with a NUL are taken for binary: byte 0 separates documents.
    """
    seen: set[bytes] = set()
    count = size = 0
    for document in source.documents(lambda reason: skipped.update([reason])):
        try:
            data = document.text.encode("utf-8")
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and UTF-8 cannot
            skipped["undecodable"] += 1
            continue
        if not data.strip():
            skipped["empty"] += 1
            continue
        if b"\0" in data:
            skipped["binary"] += 1
            continue
        digest = hashlib.sha256(data).digest()
        if config.deduplicate:
            if digest[:16] in seen:
                skipped["duplicate"] += 1
                continue
            seen.add(digest[:16])
        yield Selected(document.text, data, digest, share(digest, 0) < config.heldout_fraction)
        count, size = count + 1, size + len(data)
        if count == config.max_documents or 0 < config.max_bytes <= size:
            return


def share(digest: bytes, start: int) -> float:
    """Eight bytes of a digest from ``start`` as a number in [0, 1)."""
    return int.from_bytes(digest[start : start + 8], "big") / 2**64


@dataclass(frozen=True)
class File:
    """A file, by what tells unread whether it changed; ``id`` is its path relative to its source."""

    path: Path
    id: str
    size: int
    mtime_ns: int


def walk(root: Path, keep_folder: Callable[[str], bool], keep_file: Callable[[str], bool]) -> list[File]:
    """Regular files below ``root`` by relative path, compared as text; linked folders are not followed.

    Args:
        keep_folder: given a folder's name.
        keep_file: given a file's path relative to ``root``, with forward slashes.
    """
    return sorted(_walk(root, "", keep_folder, keep_file), key=lambda file: file.id)


def _walk(
    folder: Path, prefix: str, keep_folder: Callable[[str], bool], keep_file: Callable[[str], bool]
) -> Iterator[File]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # a folder we may not look into holds nothing that we could read
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if keep_folder(entry.name):
                yield from _walk(Path(entry.path), f"{name}/", keep_folder, keep_file)
        elif entry.is_file() and keep_file(name):
            yield stat_file(Path(entry.path), name)


def stat_file(path: Path, id: str) -> File:
    """``path`` as a :class:`File`."""
    status = path.stat()
    return File(path, id, status.st_size, status.st_mtime_ns)


def describe(files: list[File]) -> list[list[str | int]]:
    """What changes when a file does."""
    return [[file.id, file.size, file.mtime_ns] for file in files]


def read_text(file: File, skip: Skip) -> str | None:
    """The whole file as UTF-8; None, with the reason told to ``skip``, where that cannot be."""
    try:
        return decode(file.path.read_bytes(), skip)
    except OSError:
        skip("unreadable")
        return None


def decode(data: bytes, skip: Skip) -> str | None:
    """``data`` as UTF-8, or None."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        skip("undecodable")
        return None
