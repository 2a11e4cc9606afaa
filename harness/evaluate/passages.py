"""Passages of held-out documents: text whose tokens are known, cut where it can be tokenised again to the same."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.data import Corpus
from harness.data.meta import TOKENIZER_FOLDER
from harness.data.tokenizer import TOKENIZER_FILE

LEAST_CHARACTERS = 400  # of a document: shorter ones are titles, licences and stubs


@dataclass(frozen=True)
class Document:
    """A held-out document: ``number`` within the split, and its text."""

    number: int
    text: str


class Lengths:
    """How many tokens a text has, by the corpus's tokenizer."""

    def __init__(self, corpus: Corpus) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(corpus.folder / TOKENIZER_FOLDER / TOKENIZER_FILE))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def ids(self, text: str) -> list[int]:
        """The tokens of ``text``."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def __call__(self, text: str) -> int:
        """Number of tokens."""
        return len(self.ids(text))

    def text(self, ids: Sequence[int]) -> str:
        """The text of tokens; what no text could have given has U+FFFD in it."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))


def heldout_documents(corpus: Corpus, lengths: Lengths, most: int) -> list[Document]:
    """Documents of the held-out split, spread evenly over it, whose text is known exactly.

    Args:
        most: how many at most.

    Raises:
        UserError: a corpus that is only declared, or files that are damaged.
    """
    tokens, offsets = corpus.tokens("heldout"), corpus.offsets("heldout")
    count = len(offsets) - 1
    chosen: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist()
    found = []
    for number in chosen:
        ids = tokens[offsets[number] : offsets[number + 1]]
        text = lengths.text(ids[:-1].tolist())  # the last one separates documents
        if len(text) >= LEAST_CHARACTERS and not re.search("[\ufffd\0]", text):
            found.append(Document(int(number), text))
    return found
