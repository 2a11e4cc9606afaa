"""Small corpora on disk."""

import random
from itertools import pairwise
from pathlib import Path

from harness.data import Corpus, DataConfig, TokenizerConfig, prepare

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "naïve",
    "世界",
    "watches,",
    "and",
    "3.14",
    "is",
    "def",
    "f(x):",
    "return",
]


def write_texts(folder: Path, number: int = 60, seed: int = 0, words: int = 80) -> Path:
    """``number`` different text files in two levels of folders."""
    draw = random.Random(seed)
    for i in range(number):
        path = folder / f"part{i % 3}" / f"{i:03d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"{i}: " + " ".join(draw.choices(WORDS, k=draw.randint(1, words))) + "\n", encoding="utf-8"
        )
    return folder


def text_config(path: Path | list[str], **settings: object) -> DataConfig:
    """A ``text`` corpus of the files in ``path``, a document each."""
    values = {
        "name": "texts",
        "kind": "text",
        "path": path,
        "heldout_fraction": 0.25,
        "document_bytes": 1 << 20,
    }
    return DataConfig(**{**values, **settings})


def text_corpus(tmp_path: Path, tokenizer: TokenizerConfig | None = None, **settings: object) -> Corpus:
    """A prepared corpus of random texts, which are written on the first call only."""
    folder = tmp_path / "texts"
    if not folder.exists():
        write_texts(folder)
    return prepare(text_config(folder, **settings), tokenizer or TokenizerConfig(), tmp_path / "cache")


def split_documents(corpus: Corpus, split: str) -> list[bytes]:
    """The documents of a split of a byte-level corpus, as they are in its token file."""
    flat, offsets = corpus.tokens(split), corpus.offsets(split)
    return [flat[a : b - 1].tobytes() for a, b in pairwise(offsets)]
