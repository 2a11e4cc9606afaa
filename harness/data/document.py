"""Documents: what a source of them offers, which of them a corpus uses, and which of those are held out.

Below that, what sources share that read files: a folder's files in one order everywhere, and their text.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.data.config import DataConfig

SNIFFED = 8192  # bytes looked at to tell text from binary

Skip = Callable[[str, str, int], None]
"""Told whenever a document is left out: the reason (``empty``, ``binary``, …), its file, and its bytes where known."""


@dataclass(frozen=True)
class Document:
    """One text; ``id`` says where it is from, relative to its source: ``file``, or ``file#part``."""

    id: str
    text: str

    @property
    def file(self) -> str:
        """The file it is in."""
        return self.id.rpartition("#")[0] or self.id


class DocumentSource(Protocol):
    """Documents in an order that depends on nothing but the source's content."""

    @property
    def total_bytes(self) -> int | None:
        """About how much text there is; None where only reading would tell."""

    @property
    def number_of_files(self) -> int:
        """Files found, also those left out; 0 where that is not known."""

    @property
    def share_read(self) -> float:
        """How much of the source the iteration over its documents that began last has read, 0 to 1; 0 if unknown."""

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


def select(source: DocumentSource, config: DataConfig, skip: Skip) -> Iterator[Selected]:
    """The documents of ``source`` that ``config`` uses, in order; ``skip`` is told of the others.

    A hash of the content decides the side, so a document keeps its side when others come or go, and copies of
    one document are never on both. Documents with a NUL are taken for binary: byte 0 separates documents.
    """
    seen: set[bytes] = set()
    count = size = 0
    for document in source.documents(skip):
        try:
            data = document.text.encode("utf-8")
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and UTF-8 cannot
            skip("undecodable", document.file, len(document.text))
            continue
        if not data.strip():
            skip("empty", document.file, len(data))
            continue
        if b"\0" in data:
            skip("binary", document.file, len(data))
            continue
        digest = hashlib.sha256(data).digest()
        if config.deduplicate:
            if digest[:16] in seen:
                skip("duplicate", document.file, len(data))
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


def walk(
    root: Path,
    keep_folder: Callable[[str], bool],
    keep_file: Callable[[str], bool],
    skip: Skip | None = None,
    follow: bool = False,
) -> list[File]:
    """Regular files below ``root`` by relative path, compared as text.

    Args:
        keep_folder: given a folder's name.
        keep_file: given a file's path relative to ``root``, with forward slashes.
        skip: told what is no file, or cannot be looked at.
        follow: also what linked folders hold, each folder once: those that are really there come before links.
    """
    files: list[File] = []
    seen: set[tuple[int, int]] = set()
    links: list[tuple[str, str]] = []
    waiting = [(os.fspath(root), "")]
    while waiting or links:
        linked = not waiting
        path, prefix = waiting.pop() if waiting else links.pop()
        if follow and not _is_new(path, seen, linked):
            if skip:
                skip("linked_again", prefix.rstrip("/"), 0)
            continue
        try:
            entries = list(os.scandir(path))
        except OSError:  # a folder we may not look into holds nothing that we could read
            if skip:
                skip("folder", prefix.rstrip("/") or root.name, 0)
            continue
        for entry in entries:
            name = prefix + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if keep_folder(entry.name):
                        waiting.append((entry.path, f"{name}/"))
                elif follow and entry.is_dir():
                    if keep_folder(entry.name):
                        links.append((entry.path, f"{name}/"))
                elif entry.is_file():
                    if keep_file(name):
                        status = entry.stat()
                        files.append(File(Path(entry.path), name, status.st_size, status.st_mtime_ns))
                elif skip and keep_file(name):
                    skip("special" if os.path.exists(entry.path) else "broken_link", name, 0)
            except OSError:  # it has gone since, or may not be looked at
                if skip and keep_file(name):
                    skip("broken_link" if entry.is_symlink() else "unreadable", name, 0)
        if not waiting:
            links.sort(reverse=True)  # the same one first everywhere, where two lead to one folder
    return sorted(files, key=lambda file: file.id)


SYSTEM = ("/proc", "/sys")
"""Folders that hold no text, but views of the running system, without end."""


def _is_new(path: str, seen: set[tuple[int, int]], linked: bool) -> bool:
    """Whether a folder was not read yet, from now on it was; a link to the system's own folders is not to be read."""
    try:
        status = os.stat(path)
    except OSError:
        return True  # which says why
    if linked and is_system(path):
        return False
    key = (status.st_dev, status.st_ino)
    return key not in seen and not seen.add(key)  # type: ignore[func-returns-value]


def is_system(path: str | Path) -> bool:
    """Whether ``path`` is one of :data:`SYSTEM`, or below it."""
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):  # it is no path
        return False
    return any(real == folder or real.startswith(f"{folder}/") for folder in SYSTEM)


def is_special(path: Path) -> bool:
    """Whether a pipe, a socket or a device stands at ``path``: reading it may wait for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


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
        return decode(file.path.read_bytes(), file.id, skip)
    except OSError:
        skip("unreadable", file.id, file.size)
        return None


def decode(data: bytes, where: str, skip: Skip) -> str | None:
    """``data``, which is from the file ``where``, as UTF-8; None where it isn't."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        skip("undecodable", where, len(data))
        return None
