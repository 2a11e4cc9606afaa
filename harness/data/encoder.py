"""From text to token ids: what every tokenizer offers, and the one whose tokens are bytes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.selection import Selected

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"


class Encoder(Protocol):
    """A tokenizer at work."""

    @property
    def vocab_size(self) -> int:
        """Number of ids; all are below it."""

    @property
    def separator(self) -> int:
        """Id written after every document."""

    def encode(self, documents: Sequence[Selected]) -> list[NDArray[Any]]:
        """The ids of each document, without separators."""

    def save(self, folder: Path) -> None:
        """Write what ``AutoTokenizer.from_pretrained(folder)`` loads."""


class ByteEncoder:
    """A token is a byte of UTF-8; byte 0 separates documents."""

    vocab_size = 256
    separator = 0

    def encode(self, documents: Sequence[Selected]) -> list[NDArray[Any]]:
        """The documents' bytes, as they are."""
        return [np.frombuffer(document.data, dtype=np.uint8) for document in documents]

    def save(self, folder: Path) -> None:
        """As a byte-level BPE without merges, whose ids are the bytes."""
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        # Id 0 goes to the NUL itself, not to the letter that stands for byte 0 in a byte-level vocabulary:
        # as a special token that letter would be cut out of ordinary text that holds it.
        vocab = {"\0": 0} | {letter: byte for byte, letter in byte_letters().items() if byte}
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken("\0", special=True, normalized=False)])
        save_fast(tokenizer, "\0", folder)


def byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in a byte-level vocabulary (GPT-2's convention).

    Printable Latin-1 stands for itself; the other bytes take the letters from U+0100 on, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def save_fast(tokenizer: Any, separator: str, folder: Path) -> None:
    """Write a ``tokenizers.Tokenizer`` as transformers reads it, without importing transformers."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": separator,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 10**30,
    }
    (folder / TOKENIZER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
