"""``meta.json``: what a prepared corpus is."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1  # raised whenever token files or their meaning change; part of the cache key
META = "meta.json"


@dataclass(frozen=True)
class Meta:
    """Facts of a tokenised corpus.

    Attributes:
        fingerprint: 16 hex digits of a SHA-256 over the tokens of both splits, the vocabulary's size and the
            separator; equal wherever the same text was tokenised the same way.
        kind, path: as in the configuration it came from.
        tokenizer: its label, e.g. ``bytes`` or ``bpe4096``.
        separator: id of the token after every document.
        dtype: of the token files, little-endian (``<u2``); empty for a declared corpus, which has no files.
        train_tokens, heldout_tokens: separators included.
        train_bytes, heldout_bytes: of text as UTF-8, separators not included.
        skipped: documents left out, by reason.
    """

    name: str
    kind: str
    fingerprint: str
    tokenizer: str
    vocab_size: int
    separator: int
    dtype: str
    train_tokens: int
    heldout_tokens: int
    train_documents: int
    heldout_documents: int
    train_bytes: int
    heldout_bytes: int
    heldout_fraction: float
    path: str = ""
    skipped: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """The content of ``meta.json``."""
        return asdict(self)


def read_meta(folder: Path) -> Meta | None:
    """The meta of a prepared corpus; None where there is none, or one that this version cannot read."""
    try:
        data = json.loads((folder / META).read_text(encoding="utf-8"))
        meta = Meta(**data)
    except (OSError, ValueError, TypeError):
        return None
    return meta if meta.format == FORMAT else None


def short_hash(value: Any, digits: int = 16) -> str:
    """The first ``digits`` hex digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
