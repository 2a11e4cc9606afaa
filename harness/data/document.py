"""A document, and where documents come from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

Skip = Callable[[str], None]  # told the reason whenever a document is left out


@dataclass(frozen=True)
class Document:
    """One text; ``id`` says where it is from, relative to its source."""

    id: str
    text: str


class Source(Protocol):
    """Documents in an order that depends on nothing but the source's content."""

    @property
    def total_bytes(self) -> int | None:
        """About how much text there is; None where only reading would tell."""

    def describe(self) -> Any:
        """JSON that changes whenever the documents do, found without reading them."""

    def documents(self, skip: Skip) -> Iterator[Document]:
        """The documents."""
