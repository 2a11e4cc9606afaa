"""The sources of documents by their kind in ``configs/data``, and the one that every machine has: Python's own code."""

import site
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.config import DataConfig
from harness.data.document import Document, DocumentSource, File, Skip, describe, read_text, walk
from harness.data.hf_source import HfSource
from harness.data.text_source import text_source
from harness.errors import UserError

EXCLUDED = {"site-packages", "dist-packages", "__pycache__"}  # folders of the standard library
TESTS = {"test", "tests", "idle_test"}


def open_source(config: DataConfig) -> DocumentSource:
    """Where ``config``'s documents come from; files are listed, not read.

    Raises:
        UserError: there is nothing there, or the corpus is declared and has no documents.
    """
    if config.kind == "python_stdlib":
        return python_source(installed=False, include_tests=config.include_tests)
    if config.kind == "python_installed":
        return python_source(installed=True, include_tests=config.include_tests)
    if config.kind == "text":
        return text_source(config)
    if config.kind == "hf":
        return HfSource(config)
    raise UserError(f"data: corpus '{config.name}' is declared, it has sizes but no text")


@dataclass
class PythonSource:
    """Python files, one document each."""

    files: list[File]
    share_read: float = 0.0

    @property
    def total_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size for file in self.files)

    @property
    def number_of_files(self) -> int:
        """All of them."""
        return len(self.files)

    def describe(self) -> Any:
        """Names, sizes and times."""
        return describe(self.files)

    def documents(self, skip: Skip) -> Iterator[Document]:
        """In the order of their paths, the standard library first."""
        for number, file in enumerate(self.files):
            self.share_read = number / len(self.files)
            text = read_text(file, skip)
            if text is not None:
                yield Document(file.id, text)


def python_source(installed: bool, include_tests: bool) -> PythonSource:
    """The running interpreter's standard library, with ``installed`` also its site-packages.

    Raises:
        UserError: the interpreter came without sources.
    """
    files = [
        File(file.path, f"{prefix}/{file.id}", file.size, file.mtime_ns)
        for prefix, root in _roots(installed).items()
        for file in walk(root, lambda name: _wanted_folder(name, include_tests), _wanted_file)
    ]
    if not files:
        where = sysconfig.get_path("stdlib")
        raise UserError(f"data: this Python has no library sources in {where}; use data=text path=…")
    return PythonSource(files)


def _roots(installed: bool) -> dict[str, Path]:
    roots = {"stdlib": Path(sysconfig.get_path("stdlib"))}
    if installed:
        # Debian keeps packages in more places than sysconfig says
        named = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
        folders = dict.fromkeys(Path(name).resolve() for name in named)
        roots |= {f"packages{number or ''}": folder for number, folder in enumerate(folders)}
    return roots


def _wanted_folder(name: str, include_tests: bool) -> bool:
    return name not in EXCLUDED and not name.startswith(".") and (include_tests or name not in TESTS)


def _wanted_file(name: str) -> bool:
    # _sysconfigdata*: how this interpreter was built, full of paths, different on every machine
    return name.endswith(".py") and not name.startswith("_sysconfigdata")
