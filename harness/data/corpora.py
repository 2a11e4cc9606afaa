"""The kinds of corpora, by name."""

from collections.abc import Iterator

from harness.data.config import DataConfig
from harness.data.document import Document, Source
from harness.data.hf_source import HfSource
from harness.data.python_source import python_source
from harness.data.text_source import text_source
from harness.errors import UserError


def open_source(config: DataConfig) -> Source:
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


def documents(config: DataConfig) -> Iterator[Document]:
    """All documents of ``config`` as they are found, before any is left out."""
    return open_source(config).documents(lambda reason: None)
