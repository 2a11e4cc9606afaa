"""The corpora that can be fetched, by their names in ``configs/data``.

Packages come by apt from the archives that this system uses, into a folder of their own: nothing is installed, no file
of the system changes, root is not needed.
"""

import gzip
import lzma
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.data.cache import exclusive
from harness.errors import UserError
from harness.fetch import debian, linux, rfc
from harness.fetch.write import not_ours, read_manifest, write_corpus
from harness.text import counted

PACKAGES = ".packages"  # beside the text: what was downloaded, until it is read
SECONDS = 0.25  # between two reports

Report = Callable[[str, str], None]
"""Told what is done now, and how far that is."""


class Recipe(Protocol):
    """A module of this room: where a text comes from, and how it is cleaned."""

    PACKAGES: list[str]
    COMPONENTS: list[str]
    ABOUT: str
    SOURCES: str

    def documents(self, source: Path) -> Iterator[tuple[str, str]]:
        """(name, cleaned text) of every document in a package, an archive or a folder."""


CORPORA: dict[str, Recipe] = {"linux": linux, "rfc": rfc}


def fetch_corpus(
    name: str,
    folder: Path,
    sources: Sequence[Path] = (),
    keep: bool = False,
    report: Report = lambda what, far: None,
) -> dict[str, Any]:
    """Bring the corpus ``name`` into ``folder``/text, unless it is there; one process at a time does.

    Args:
        sources: packages, archives or folders that are here already, in place of those that apt fetches.
        keep: leave the packages in ``folder``/packages.
        report: is told how far that is, several times a second.

    Returns:
        The manifest: documents, bytes of text, fingerprint, and what was left out.

    Raises:
        UserError: there is no such source, or apt cannot fetch it, or one is damaged.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(
        folder / ".lock", lambda: report(f"{name}: another process fetches it; waiting for it", "")
    ):
        found = read_manifest(folder)
        if found is not None:
            return found
        if other := not_ours(folder):
            raise UserError(
                f"{other}: was not fetched by this command, and would be replaced; name another folder"
            )
        return _make(name, folder, sources, keep, report)


def _make(name: str, folder: Path, sources: Sequence[Path], keep: bool, report: Report) -> dict[str, Any]:
    recipe, packages = CORPORA[name], folder / PACKAGES
    for source in sources:
        if not source.exists():
            raise UserError(f"--source: there is no file or folder '{source}'")
    fetched = not sources
    if fetched:
        packages.mkdir(exist_ok=True)
        sources = debian.fetch(
            recipe.PACKAGES, recipe.COMPONENTS, packages, lambda what, far: report(f"{name}: {what}", far)
        )
    documents = _reported(name, recipe, sources, report)
    manifest = write_corpus(folder, documents, [source.name for source in sources])
    if fetched and not keep:
        shutil.rmtree(packages, ignore_errors=True)
    return manifest


def _reported(
    name: str, recipe: Recipe, sources: Sequence[Path], report: Report
) -> Iterator[tuple[str, str]]:
    """The documents of all ``sources``.

    Raises:
        UserError: a source is damaged, or has no document at all.
    """
    number, size, due = 0, 0, time.monotonic() + SECONDS
    for source in sources:
        before = number
        try:
            for document in recipe.documents(source):
                number, size = number + 1, size + len(document[1])
                if time.monotonic() >= due:
                    due = time.monotonic() + SECONDS
                    report(f"{name}: cleaning", f"{counted(number, 'document')}, {size / 1e6:,.1f} MB")
                yield document
        except (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{source}: damaged, or no such package ({error}); fetch it again") from None
        if number == before:
            raise UserError(f"{source}: no {recipe.ABOUT} in it; --source takes {recipe.SOURCES}")
