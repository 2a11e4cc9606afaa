"""``meta.json``: what a prepared corpus is."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from harness.files import strict_json, unseal, write_json

FORMAT = 1  # raised whenever token files or their meaning change; part of the cache key
META = "meta.json"
TOKENIZER_FOLDER = "tokenizer"
SPLITS = ("train", "heldout")


def tokens_file(folder: Path, split: str) -> Path:
    """The raw little-endian tokens of a split."""
    return folder / f"{split}.bin"


def offsets_file(folder: Path, split: str) -> Path:
    """Where documents begin: int64, one more than there are documents, the last is the split's length."""
    return folder / f"{split}.offsets.npy"


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
        left_out: by reason the ``files`` these are in, their ``bytes`` and an ``example``; empty in a corpus from
            before this was kept.
        source_files: files found, also those left out; 0 where that is not known.
        files: the SHA-256 of every other file of the corpus, by name below its folder; empty in a corpus from before
            they were kept.
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
    files: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, dict[str, Any]] = field(default_factory=dict)
    source_files: int = 0

    def to_json(self) -> dict[str, Any]:
        """The content of ``meta.json``."""
        return asdict(self)


def read_meta(folder: Path) -> Meta:
    """The meta of a prepared corpus.

    Raises:
        ValueError: there is none, or it is damaged, or of another version's format.
    """
    try:
        meta = Meta(**unseal(strict_json((folder / META).read_bytes())))
    except OSError:
        raise ValueError("files are missing or cut short") from None
    except TypeError:
        raise ValueError(f"{META}: not what is kept of a corpus") from None
    except ValueError as error:
        raise ValueError(f"{META}: {error}") from None
    for name, hint in get_type_hints(Meta).items():
        kind = get_origin(hint) or hint
        if type(getattr(meta, name)) not in ((int, float) if kind is float else (kind,)):
            raise ValueError(f"{META}: {name} is no {kind.__name__}")
    if meta.format != FORMAT:
        raise ValueError(f"{META}: of another format")
    if any(getattr(meta, field.name) < 0 for field in fields(Meta) if field.type in (int, float)):
        raise ValueError(f"{META}: a number is negative")
    if meta.dtype not in ("", "<u1", "<u2", "<u4"):
        raise ValueError(f"{META}: tokens of type {meta.dtype}")
    return meta


def write_meta(folder: Path, meta: Meta) -> None:
    """Last of all: a folder without it is not a corpus."""
    write_json(folder / META, meta.to_json())


def fingerprint(hashes: Sequence[str], vocab_size: int, separator: int) -> str:
    """The fingerprint of a corpus, from the SHA-256 of the token files of both splits."""
    return short_hash([FORMAT, list(hashes), vocab_size, separator])


def short_hash(value: Any, digits: int = 16) -> str:
    """The first ``digits`` hex digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
