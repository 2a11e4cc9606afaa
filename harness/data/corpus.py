"""An opened corpus: memory-mapped tokens, batches by (seed, step), and fixed evaluation sequences."""

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from harness.data.meta import TOKENIZER_FOLDER, Meta, offsets_file, read_meta, tokens_file
from harness.data.permutation import stream
from harness.data.verify import changed, damage, versions
from harness.errors import UserError


class Corpus:
    """A tokenised corpus on disk. Cheap to open once its files were verified; pickles as its path.

    Sequence ``i`` of length ``seq_len`` covers tokens ``i * seq_len`` to ``(i + 1) * seq_len`` inclusive: one
    more than ``seq_len``, so that inputs and shifted labels are both in it; an epoch predicts a token once.
    Sequences run across document boundaries: documents are separated by a token, not by padding.
    """

    def __init__(self, folder: Path, meta: Meta) -> None:
        """Use :func:`open_corpus` or :func:`harness.data.prepare`."""
        self.folder = folder
        self.meta = meta
        self._opened = versions(folder, meta)
        self._arrays: dict[str, NDArray[Any]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return open_corpus, (self.folder,)

    def __repr__(self) -> str:
        sizes = f"{self.train_tokens:,} + {self.heldout_tokens:,} tokens"
        return f"Corpus({self.name!r}, {self.fingerprint}, {sizes})"

    @property
    def name(self) -> str:
        """The corpus's name."""
        return self.meta.name

    @property
    def fingerprint(self) -> str:
        """Hash of the tokenised content."""
        return self.meta.fingerprint

    @property
    def tokenizer(self) -> str:
        """Label of the tokenizer."""
        return self.meta.tokenizer

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return self.meta.vocab_size

    @property
    def separator(self) -> int:
        """Id of the token after every document."""
        return self.meta.separator

    @property
    def train_tokens(self) -> int:
        """Unique tokens of the training split."""
        return self.meta.train_tokens

    @property
    def heldout_tokens(self) -> int:
        """Tokens of the held-out split."""
        return self.meta.heldout_tokens

    @property
    def bytes_per_token(self) -> float:
        """UTF-8 bytes of held-out text per token, separators counted as tokens."""
        return self.meta.heldout_bytes / self.meta.heldout_tokens if self.meta.heldout_tokens else math.nan

    def bits_per_byte(self, loss: float) -> float:
        """``loss`` in nats per token as bits per byte of text: comparable between tokenizers."""
        return loss / math.log(2) / self.bytes_per_token

    def sequences(self, seq_len: int) -> int:
        """Training sequences of an epoch."""
        return max(0, (self.train_tokens - 1) // seq_len)

    def epochs(self, tokens: float, seq_len: int) -> float:
        """How often ``tokens`` training tokens pass over the corpus.

        Raises:
            UserError: the corpus does not fill one sequence.
        """
        return tokens / (self._need_sequences(seq_len) * seq_len)

    def batch(
        self, seed: int, step: int, batch_sequences: int, seq_len: int, rows: slice = slice(None)
    ) -> NDArray[np.int64]:
        """The batch of optimizer step ``step`` (0-based): a pure function of its arguments.

        Step ``s`` holds sequences ``s * batch_sequences`` onwards of an endless stream, epoch after epoch in a
        new order, so runs of different horizons and the same seed see the same beginning.

        Args:
            rows: the part of the batch wanted, for a process or a micro-batch; steps of 1 only.

        Returns:
            (rows, seq_len + 1) token ids.

        Raises:
            UserError: a declared corpus, or one that does not fill a sequence.
        """
        first, last, _ = rows.indices(batch_sequences)
        base = step * batch_sequences
        count = self._need_sequences(seq_len)
        indices = stream(count, seed, base + first, base + max(first, last))
        return self._view("train", seq_len, count)[indices].astype(np.int64)

    def heldout_sequences(self, seq_len: int, tokens: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The evaluation set: the same for everyone who asks with the same arguments.

        Non-overlapping sequences spread evenly over the held-out split, ``tokens`` in all, rounded up to whole
        sequences, or every sequence where there are fewer.

        Returns:
            Sequences (S, seq_len + 1), and the index of the document of each predicted token (S, seq_len): the
            cluster for a standard error.

        Raises:
            UserError: a declared corpus, or the held-out split does not fill a sequence.
        """
        count = max(0, (self.heldout_tokens - 1) // seq_len)
        if count == 0:
            self._need_text()
            raise UserError(
                f"corpus '{self.name}': {self.heldout_tokens:,} held-out tokens do not fill a sequence of "
                f"{seq_len}; raise data.heldout_fraction, use more text or a smaller seq_len"
            )
        wanted = min(count, max(1, -(-tokens // seq_len)))
        chosen = (2 * np.arange(wanted, dtype=np.int64) + 1) * count // (2 * wanted)
        sequences = self._view("heldout", seq_len, count)[chosen].astype(np.int64)
        predicted = chosen[:, None] * seq_len + np.arange(1, seq_len + 1)
        documents = np.searchsorted(self.offsets("heldout"), predicted, side="right") - 1
        return sequences, documents.astype(np.int64)

    def tokens(self, split: str) -> NDArray[Any]:
        """All tokens of ``train`` or ``heldout``, memory-mapped, in the order of the source.

        Raises:
            UserError: a declared corpus, or a file that has gone or been cut short since the corpus was opened.
        """
        if split not in self._arrays:
            self._need_text()
            path = tokens_file(self.folder, split)
            number = self.train_tokens if split == "train" else self.heldout_tokens
            if not path.is_file() or path.stat().st_size != number * np.dtype(self.meta.dtype).itemsize:
                # sequences are views by the meta's count: of a shorter file they would reach beyond its mapping
                raise UserError(f"{path}: it is gone, or cut short; 'isoflop plan' prepares the corpus anew")
            self._arrays[split] = np.asarray(np.memmap(path, dtype=self.meta.dtype, mode="r"))
        return self._arrays[split]

    def offsets(self, split: str) -> NDArray[np.int64]:
        """Where the documents of a split begin, (documents + 1,); the last entry is the split's length."""
        self._need_text()
        path = offsets_file(self.folder, split)
        try:
            return np.asarray(np.load(path, mmap_mode="r"))
        except (OSError, ValueError, EOFError):
            raise UserError(
                f"{path}: it is gone, or cut short; 'isoflop plan' prepares the corpus anew"
            ) from None

    def check_unchanged(self) -> None:
        """To be called before what was made of the corpus's tokens is kept.

        Raises:
            UserError: a file was damaged or replaced since the corpus was opened.
        """
        if wrong := changed(self.folder, self.meta, self._opened):
            raise UserError(
                f"{self.folder}: its files changed while a run trained on them ({wrong}); what it trained since its "
                "last checkpoint is not kept, and the same command goes on from there"
            )

    def save_tokenizer(self, folder: Path) -> None:
        """Write the tokenizer to ``folder`` as ``AutoTokenizer.from_pretrained`` reads it."""
        self._need_text()
        shutil.copytree(self.folder / TOKENIZER_FOLDER, folder, dirs_exist_ok=True)

    def tokenizer_bytes(self) -> int:
        """Bytes of the files that :meth:`save_tokenizer` writes; 0 for a declared corpus."""
        files = (self.folder / TOKENIZER_FOLDER).rglob("*") if self.meta.dtype else ()
        return sum(path.stat().st_size for path in files if path.is_file())

    def _view(self, split: str, seq_len: int, count: int) -> NDArray[Any]:
        """(count, seq_len + 1) sequences as a view: neighbours share a token, nothing is copied."""
        flat = self.tokens(split)
        size = flat.itemsize
        return as_strided(flat, (count, seq_len + 1), (seq_len * size, size), writeable=False)

    def _need_sequences(self, seq_len: int) -> int:
        count = self.sequences(seq_len)
        if count == 0:
            raise UserError(
                f"corpus '{self.name}': {self.train_tokens:,} training tokens do not fill a sequence of "
                f"{seq_len}; use more text or a smaller seq_len"
            )
        return count

    def _need_text(self) -> None:
        if not self.meta.dtype:
            raise UserError(
                f"corpus '{self.name}' is declared, it has sizes but no text: plan with it, "
                "and train with data=text, data=hf or another corpus that is here"
            )


def open_corpus(folder: Path | str) -> Corpus:
    """Open a prepared corpus whose files are as they were written.

    Raises:
        UserError: there is none, or it is damaged or of another format.
    """
    folder = Path(folder)
    try:
        # before its files are verified: what changes meanwhile is noticed
        corpus = Corpus(folder, read_meta(folder))
        wrong = damage(folder, corpus.meta)
    except (ValueError, OSError) as error:  # it may be replaced at this moment
        wrong = str(error)
    if wrong:
        raise UserError(f"{folder}: no complete corpus there ({wrong}); 'isoflop plan' prepares it anew")
    return corpus
