"""Tokenizers, from text to token ids: bytes, byte-level BPE that is trained here, or one that exists already.

``tokenizers`` and ``transformers`` are imported by the functions that use them: bytes are encoded without either.
"""

import json
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.config import TokenizerConfig
from harness.data.document import Selected
from harness.errors import UserError

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
END_OF_TEXT = "<|endoftext|>"
PIECE = (
    1 << 17
)  # letters that are tokenised in one go, where a text may be cut: shorter ones cost more than they share
SPACE = re.compile(r"[^\s\u180e][ \n\r\t]")  # U+180E was white space in some versions of Unicode


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


class SubwordEncoder:
    """A ``tokenizers.Tokenizer`` that sees text only: special tokens spelled out in a document stay text."""

    def __init__(self, tokenizer: Any, separator: int, save: Callable[[Path], None]) -> None:
        from tokenizers import Tokenizer

        working = Tokenizer.from_str(tokenizer.to_str())  # a copy: what is saved keeps its own settings
        working.no_truncation()
        working.no_padding()
        working.encode_special_tokens = True
        self._tokenizer = working
        self._may_cut = splits_at_space(working)
        self.vocab_size: int = max(working.get_vocab(with_added_tokens=True).values()) + 1
        self.separator = separator
        self.save = save

    def encode(self, documents: Sequence[Selected]) -> list[NDArray[Any]]:
        """The ids of each document, on all cores unless ``TOKENIZERS_PARALLELISM=false``."""
        pieces = [cut(document.text) if self._may_cut else [document.text] for document in documents]
        texts = [piece for parts in pieces for piece in parts]
        encodings = iter(self._tokenizer.encode_batch_fast(texts, add_special_tokens=False))
        return [
            np.concatenate([np.frombuffer(array("I", next(encodings).ids), np.uint32) for _ in parts])
            for parts in pieces
        ]


def splits_at_space(tokenizer: Any) -> bool:
    """Whether no token of a ``tokenizers.Tokenizer`` goes on across a place that :func:`cut` cuts at.

    So it is where nothing happens to a text before GPT-2's pattern splits it: whatever that pattern matches is white
    space only, or has none but one space at its beginning, and it looks at nothing before its match.
    """
    settings = json.loads(tokenizer.to_str())
    split = settings["pre_tokenizer"] or {}
    return (
        settings["normalizer"] is None
        and split.get("type") == "ByteLevel"
        and split.get("use_regex") is True
        and split.get("add_prefix_space") is False
        and all(token["special"] for token in settings["added_tokens"])  # these stay text here
    )


def cut(text: str) -> list[str]:
    """``text`` in pieces that join to the whole, each but the first of which begins with white space after none.

    Where :func:`splits_at_space` holds, the ids of the pieces are those of the text. Several threads share the pieces.
    """
    pieces, start = [], 0
    while len(text) - start > PIECE and (found := SPACE.search(text, start + PIECE)):
        pieces.append(text[start : found.start() + 1])
        start = found.start() + 1
    return [*pieces, text[start:]]


def train_bpe(config: TokenizerConfig, texts: Iterable[str]) -> SubwordEncoder:
    """Train byte-level BPE on ``texts``: the same texts give the same tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((piece for text in texts for piece in cut(text)), trainer)
    separator = int(tokenizer.token_to_id(END_OF_TEXT) or 0)  # special tokens come first
    return SubwordEncoder(tokenizer, separator, lambda folder: save_fast(tokenizer, END_OF_TEXT, folder))


def load_pretrained(config: TokenizerConfig) -> SubwordEncoder:
    """The tokenizer at ``config.path``.

    Raises:
        UserError: it cannot be loaded, or has no token to separate documents with.
    """
    path = Path(str(config.path)).expanduser()
    if path.is_dir() and not (path / TOKENIZER_CONFIG).is_file():
        path = path / TOKENIZER_FILE
    return _from_file(path, config) if path.suffix == ".json" else _from_transformers(config)


def local_tokenizer_files(config: TokenizerConfig) -> list[Path]:
    """The files of a tokenizer that is here: what the cache must look at to see that it changed."""
    path = Path(str(config.path)).expanduser()
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and "token" in file.name)
    return [path] if path.is_file() else []


def _from_file(path: Path, config: TokenizerConfig) -> SubwordEncoder:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise UserError(
            f"tokenizer.path={config.path}: not a tokenizer.json ({_first_line(error)})"
        ) from error
    if config.separator is None:
        raise UserError(
            f"tokenizer.separator: {path} does not say which token ends a text; name one, e.g. "
            f"'tokenizer.separator={_guess(tokenizer)}'"
        )
    separator = _token_id(tokenizer, config.separator, config)
    name = config.separator
    return SubwordEncoder(tokenizer, separator, lambda folder: save_fast(tokenizer, name, folder))


def _from_transformers(config: TokenizerConfig) -> SubwordEncoder:
    from transformers import AutoTokenizer

    local = Path(str(config.path)).expanduser()
    name = str(local) if local.is_dir() else str(config.path)
    try:
        fast = AutoTokenizer.from_pretrained(name, revision=config.revision or "main")
    except Exception as error:  # offline, no such name, no permission, broken files: all about the path
        raise UserError(
            f"tokenizer.path={config.path}: AutoTokenizer cannot load it ({_first_line(error)}); "
            "name a folder that is here, or a hub name while online"
        ) from error
    if not fast.is_fast:
        raise UserError(f"tokenizer.path={config.path}: it has no fast (tokenizer.json) version; use another")
    token = config.separator or fast.eos_token
    if token is None:
        raise UserError(
            f"tokenizer.separator: {config.path} has no end-of-sequence token; name one, e.g. "
            f"'tokenizer.separator={_guess(fast.backend_tokenizer)}'"
        )
    separator = _token_id(fast.backend_tokenizer, str(token), config)
    return SubwordEncoder(fast.backend_tokenizer, separator, lambda folder: _save(fast, folder))


def _save(fast: Any, folder: Path) -> None:
    fast.save_pretrained(str(folder))


def _token_id(tokenizer: Any, token: str, config: TokenizerConfig) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise UserError(
            f"tokenizer.separator: {config.path} has no token '{token}'; try '{_guess(tokenizer)}'"
        )
    return int(found)


def _guess(tokenizer: Any) -> str:
    """A special token that is likely meant to end texts."""
    special = [str(token.content) for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    likely = [token for token in special if "end" in token or "eos" in token or token == "</s>"]
    return (likely or special or [END_OF_TEXT])[0]


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[
        :200
    ]


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


def byte_letters() -> dict[int, str]:
    """The letter that stands for each byte in a byte-level vocabulary (GPT-2's convention).

    Printable Latin-1 stands for itself; the other bytes take the letters from U+0100 on, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
