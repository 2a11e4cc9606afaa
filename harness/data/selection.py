"""Which documents are used, and which of them are held out."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from harness.data.config import DataConfig
from harness.data.document import Source


@dataclass(frozen=True)
class Selected:
    """A document that is used: its text, the same as UTF-8, the SHA-256 of that, and the side it is on."""

    text: str
    data: bytes
    digest: bytes
    heldout: bool


def share(digest: bytes, start: int) -> float:
    """Eight bytes of a digest from ``start`` as a number in [0, 1)."""
    return int.from_bytes(digest[start : start + 8], "big") / 2**64


def select(source: Source, config: DataConfig, skipped: Counter[str]) -> Iterator[Selected]:
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
