"""Files below a folder, in one order everywhere, and their text."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.data.document import Skip

SNIFFED = 8192  # bytes looked at to tell text from binary


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
