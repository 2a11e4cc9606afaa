"""The Linux kernel's C: sources and headers without licence headers and without generated tables."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from harness.fetch.debian import files_of, members

PACKAGES = ["linux-source-*"]  # Debian 12 has linux-source-6.1, Ubuntu 24.04 linux-source-6.8.0
COMPONENTS = ["main"]
ABOUT = "C source of the kernel"
SOURCES = "a linux-source package, an archive of the tree, or the tree"

ARCHIVE = re.compile(r"/linux-source-[\d.]+\.tar\.\w+$")
LICENCE = re.compile(
    r"SPDX-License-Identifier|copyright|\(c\) \d{4}|GNU General Public|permission is hereby granted|licen[sc]ed under"
    r"|redistribut",
    re.IGNORECASE,
)
COMMENT = re.compile(r"\s*(?:/\*.*?\*/|//[^\n]*(?:\n|$))[ \t]*\n?", re.DOTALL)
TABLE_LINE = re.compile(r"\s*(?:#define\s+\w+\s+[-\w()]+\s*|[-\s{}(),0-9xa-fA-FUL]*)$")
TABLE_SHARE = 0.7  # a file with this share of constants is a register map or a table, made by a program


def documents(source: Path) -> Iterator[tuple[str, str]]:
    """(path in the tree, cleaned text) of every C file in ``source``: a .deb, an archive or a tree of files."""
    if source.is_dir():
        for path in sorted(source.rglob("*.[ch]")):
            if path.is_file() and not path.is_symlink():
                yield from _document(str(path.relative_to(source)), path.read_bytes())
    elif source.suffix == ".deb":
        with members(source) as files:
            for name, stream in files:
                if ARCHIVE.search(name):
                    yield from _tree(stream)
    else:
        with source.open("rb") as stream:
            yield from _tree(stream)


def _tree(stream: IO[bytes]) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=stream, mode="r|*") as archive:
        for name, file in files_of(archive):
            if name.endswith((".c", ".h")):
                yield from _document(name.split("/", 1)[-1], file.read())


def _document(name: str, data: bytes) -> Iterator[tuple[str, str]]:
    text = clean(data.decode("utf-8", errors="replace"))
    if not is_table(text):
        yield name, text


def clean(text: str) -> str:
    """A file without the comments at its head that speak of licences, and without runs of blank lines."""
    text = text.replace("\r\n", "\n")
    kept = []
    while match := COMMENT.match(text):
        if not LICENCE.search(match[0]):
            kept.append(match[0].strip() + "\n")
        text = text[match.end() :]
    text = "\n".join(line.rstrip() for line in "".join([*kept, text]).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def is_table(text: str) -> bool:
    """Whether almost all of a long file is constants."""
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) > 200 and sum(bool(TABLE_LINE.match(line)) for line in lines) > TABLE_SHARE * len(lines)
