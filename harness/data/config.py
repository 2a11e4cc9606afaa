"""The settings of a corpus and of its tokenizer: the schema of ``configs/data`` and ``configs/tokenizer``."""

import codecs
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.bounds import check_bounds, one_of
from harness.errors import UserError

CORPUS_KINDS = ("python_stdlib", "python_installed", "text", "hf", "declared", "prepared")
TOKENIZER_KINDS = ("bytes", "bpe", "pretrained")
SMALLEST_BPE = 257  # 256 bytes and the separator
LONGEST_NAME = (
    100  # letters: folders of the cache have two such names and more in theirs, which may have 255 bytes
)
LARGEST = {  # by setting of a corpus: beyond is a slip of the keyboard, or more than a machine can hold
    "document_bytes": 1 << 30,
    "max_documents": 10**15,
    "max_bytes": 10**15,
    "unique_tokens": 10**15,
    "vocab_size": 10**8,
}
LARGEST_EVALUATION = 10**12  # tokens
LARGEST_BPE = 1_000_000  # entries: training more takes memory for nothing that any corpus has
LARGEST_SAMPLE = 10**12  # bytes


@dataclass
class DataConfig:
    """What text to train on, and how it is split.

    Attributes:
        name: what the corpus is called in records and in the cache; letters, digits, ``.``, ``_`` and ``-``.
        kind: ``python_stdlib`` (the running interpreter's library), ``python_installed`` (that and
            site-packages), ``text`` (files and folders), ``hf`` (``datasets.load_dataset``), ``declared``
            (sizes only: enough for a plan, nothing to train on) or ``prepared`` (tokenised before).
        path: text: a file, a folder or a list of them. hf: the first argument of ``load_dataset``, or a file here.
            prepared: the corpus's folder in a ``cache_dir``.
        fetch: text: the command that brings the text to ``path``, named where it is missing.
        patterns: text: keep only files whose path below its folder, or name, matches one of these (``*.md``).
        document_bytes: text: longest document in bytes; longer files are cut at blank lines. 0 chooses 1/200
            of the text (1 KiB to 4 MiB), so that one file gives training and held-out documents too.
        separator: text: cut files into documents at this string instead.
        encoding: text: of the files, by a name that Python knows (``latin-1``, ``cp1252``, ``utf-16``, …). A byte order
            mark is no part of the text.
        include_tests: python_*: also the folders named test or tests.
        subset, split, revision, data_files, streaming: hf: as in ``load_dataset`` (its ``name`` is ``subset``
            here).
        text_field: hf, .jsonl, .json and .parquet: the column or key that holds the text.
        unique_tokens, vocab_size: declared: training tokens and vocabulary of the corpus that is elsewhere.
        fingerprint: declared: that corpus's fingerprint, so that the plan's run ids are the real ones.
        heldout_fraction: share of documents held out for evaluation, chosen by a hash of their content.
        deduplicate: drop documents that were there before; takes about 100 bytes of memory a document.
        max_documents, max_bytes: stop after this many documents or bytes of text; 0 is no limit.
        max_epochs: how often a run may see the corpus before the plan refuses it.
        eval_tokens: held-out tokens each evaluation scores; all there are, where there are fewer.
        domains: further texts that finished models are scored on, by name: a path, or the settings of a corpus
            (``{prose: books/, web: {kind: hf, path: …}}``; to add one in a shell: ``+data.domains.prose=books/``).
    """

    name: str = "python_stdlib"
    kind: str = one_of("python_stdlib", CORPUS_KINDS)
    path: Any = field(default=None, metadata={"leaves": "text"})
    fetch: str = ""
    patterns: list[str] = field(default_factory=list)
    document_bytes: int = 0
    separator: str | None = None
    encoding: str = "utf-8"
    include_tests: bool = False
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    data_files: Any = field(default=None, metadata={"leaves": "text"})
    streaming: bool = False
    text_field: str = "text"
    unique_tokens: float = 0  # a float, as people write 1e10; whole after validation, as are the limits below
    vocab_size: int = 0
    fingerprint: str | None = None
    heldout_fraction: float = 0.1
    deduplicate: bool = True
    max_documents: float = 0
    max_bytes: float = 0
    max_epochs: float = 1.0
    eval_tokens: int = 131072
    domains: dict[str, Any] = field(default_factory=dict, metadata={"leaves": "settings"})

    def __post_init__(self) -> None:
        check_bounds(self, "data")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.name):
            raise UserError(f"data.name: {self.name!r} must be letters, digits, '.', '_' and '-' only")
        if len(self.name) > LONGEST_NAME:
            raise UserError(
                f"data.name: has {len(self.name)} letters ({self.name[:20]}…), at most {LONGEST_NAME} fit into the "
                "names of files"
            )
        if not 0 < self.heldout_fraction <= 0.5:
            raise UserError(
                f"data.heldout_fraction: must be above 0 and at most 0.5, got {self.heldout_fraction}"
            )
        if not self.max_epochs > 0:
            raise UserError(f"data.max_epochs: must be positive, got {self.max_epochs}")
        if self.eval_tokens < 1:
            raise UserError(f"data.eval_tokens: must be positive, got {self.eval_tokens}")
        if self.eval_tokens > LARGEST_EVALUATION:
            raise UserError(
                f"data.eval_tokens: at most {LARGEST_EVALUATION:.0e}, got {_short(self.eval_tokens)}"
            )
        for name, largest in LARGEST.items():
            value = getattr(self, name)
            if math.isnan(value) or value < 0:
                raise UserError(f"data.{name}: must not be negative, got {value}")
            if value > largest:
                unlimited = "; 0 is no limit" if name.startswith("max_") else ""
                raise UserError(f"data.{name}: at most {largest:.4g}, got {_short(value)}{unlimited}")
            setattr(self, name, int(value))
        try:
            text = codecs.lookup(self.encoding)._is_text_encoding
        except (LookupError, ValueError):
            text = False
        if not text:
            raise UserError(
                f"data.encoding: Python knows no encoding {self.encoding!r}; common: utf-8, latin-1, cp1252, utf-16"
            )
        if self.separator == "":
            raise UserError("data.separator: must not be empty; leave it null to cut at blank lines")
        self._check_kind()

    def _check_kind(self) -> None:
        if self.kind == "text" and not self.path:
            raise UserError(
                "data.path: missing; name a file or folder of text, e.g. 'data=text path=my_texts/'"
            )
        if self.kind == "hf" and not self.path:
            raise UserError(
                "data.path: missing; name a dataset, e.g. 'data=hf path=roneneldan/TinyStories' "
                "or 'data=hf path=json data.data_files=my.jsonl'"
            )
        if self.kind == "prepared" and not self.path:
            raise UserError("data.path: missing; name the folder of a tokenised corpus")
        if self.kind == "declared" and (self.unique_tokens < 1 or self.vocab_size < 2):
            raise UserError(
                "data.unique_tokens and data.vocab_size: a declared corpus needs both, "
                "e.g. 'data=declared data.unique_tokens=1e9 data.vocab_size=32000'"
            )


@dataclass
class TokenizerConfig:
    """How text becomes tokens.

    Attributes:
        kind: ``bytes`` (a token is a byte), ``bpe`` (trained here, on training documents only) or
            ``pretrained``.
        vocab_size: bpe: entries wanted, the 256 bytes and the separator among them; a small text gives fewer.
        sample_bytes: bpe: train on about this much text, drawn from all of the training documents.
        path: pretrained: a folder, a tokenizer.json, or a hub name.
        revision: pretrained: the hub revision.
        separator: pretrained: the token between documents; null takes the tokenizer's end-of-sequence token.
    """

    kind: str = one_of("bytes", TOKENIZER_KINDS)
    vocab_size: int = 4096
    sample_bytes: int = 64_000_000
    path: str | None = None
    revision: str | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        check_bounds(self, "tokenizer")
        if self.kind == "bpe" and self.vocab_size < SMALLEST_BPE:
            raise UserError(f"tokenizer.vocab_size: must be at least {SMALLEST_BPE}, got {self.vocab_size}")
        if self.kind == "bpe" and self.vocab_size > LARGEST_BPE:
            raise UserError(f"tokenizer.vocab_size: at most {LARGEST_BPE:,}, got {_short(self.vocab_size)}")
        if self.kind == "bpe" and not 1 <= self.sample_bytes <= LARGEST_SAMPLE:
            raise UserError(
                f"tokenizer.sample_bytes: must be positive and at most {LARGEST_SAMPLE:.0e}, got "
                f"{_short(self.sample_bytes)}"
            )
        if self.kind == "pretrained" and not self.path:
            raise UserError(
                "tokenizer.path: missing; name a folder, a tokenizer.json or a hub name, "
                "e.g. 'tokenizer=pretrained tokenizer.path=gpt2'"
            )

    @property
    def label(self) -> str:
        """What records and the cache call it: ``bytes``, ``bpe4096``, ``gpt2``."""
        if self.kind == "bytes":
            return "bytes"
        if self.kind == "bpe":
            return f"bpe{self.vocab_size}"
        path = Path(str(self.path))
        last = path.parent.name if path.name == "tokenizer.json" else path.name
        return re.sub(r"[^A-Za-z0-9._-]+", "-", last)[:LONGEST_NAME].strip("-.") or "pretrained"


def _short(value: float) -> str:
    """A number of any size, in a few letters."""
    try:
        return f"{value:.3g}"
    except OverflowError:
        return "more than 1e308"
