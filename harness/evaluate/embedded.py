"""Tasks made from an experiment's own held-out documents, for where there is no other: the same for everyone who asks.

Nothing in them was trained on but what documents share; :mod:`harness.evaluate.overlap` measures that. Every question
fits the models' context, and its wrong answers have the length of the right one, in tokens or in characters, so that
length tells nothing.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.data import Corpus
from harness.evaluate.passages import Document, Lengths, heldout_documents

CHOICES = 4
DOCUMENTS = 4000  # that are looked at, at most
TRIES = 40  # places looked at for a question that is wanted, before there are none
WORD = re.compile(r"(?<!\w)[^\W\d_]\w{3,}")  # whole: none begins within another
BRACKETS = ")]}"


@dataclass(frozen=True)
class Item:
    """A question: ``choices`` continue ``context``, and that at the index ``answer`` is the document's own.

    Attributes:
        document: its number within the held-out split: the cluster for a standard error.
    """

    context: str
    choices: tuple[str, ...]
    answer: int
    document: int


@dataclass(frozen=True)
class EmbeddedTask:
    """Questions of one kind. ``chance`` is the share that guessing gets right."""

    name: str
    about: str
    items: tuple[Item, ...]

    @property
    def chance(self) -> float:
        """One over the number of choices."""
        return 1 / len(self.items[0].choices)


@dataclass(frozen=True)
class _Maker:
    """What makers of questions share."""

    documents: Sequence[Document]
    lengths: Lengths
    seq_len: int
    rng: np.random.Generator

    def places(self, wanted: int) -> Iterator[tuple[Document, int]]:
        """A document and a place in it, document after document in random order, again and again."""
        for _ in range(-(-wanted * TRIES // len(self.documents))):
            for index in self.rng.permutation(len(self.documents)):
                document = self.documents[index]
                yield document, int(self.rng.integers(len(document.text)))

    def before(self, text: str, end: int, room: int) -> str:
        """The text before ``end``, of at most ``room`` tokens."""
        ids = self.lengths.ids(text[max(0, end - 16 * room) : end])[-room:]
        made = self.lengths.text(ids).replace("\ufffd", "")  # a letter may begin before the first of them
        return made if text[:end].endswith(made) and self.lengths(made) <= room else ""

    def item(self, document: Document, context: str, right: str, wrong: Sequence[str]) -> Item | None:
        """The question with its answers in random order; None where it does not fit, or two answers are the same."""
        choices = [right, *wrong]
        if len(set(choices)) < len(choices) or len(context) < 20 or context[-1].isspace():
            return None
        if any(self.lengths(context + choice) > self.seq_len for choice in choices):
            return None
        order = self.rng.permutation(len(choices))
        answer = int(np.flatnonzero(order == 0)[0])
        return Item(context, tuple(choices[i] for i in order), answer, document.number)


def _continuation(made: _Maker, document: Document, place: int) -> Item | None:
    """What comes next, against passages of three other documents with the same number of tokens."""
    room = made.seq_len // 4
    start = _after_text(document.text, place)
    right = _piece(made, document.text, start, room)
    others = made.rng.choice(len(made.documents), CHOICES - 1, replace=False)
    wrong = [
        _piece(made, other.text, _after_text(other.text, int(made.rng.integers(len(other.text)))), room)
        for other in (made.documents[i] for i in others)
        if other.number != document.number
    ]
    if not right or not all(wrong) or len(wrong) < CHOICES - 1:
        return None
    return made.item(document, made.before(document.text, start, made.seq_len // 2), right, wrong)


def _after_text(text: str, place: int) -> int:
    """The first white space at or after ``place`` that follows a letter; the text's end where there is none."""
    found = re.compile(r"(?<=\S)\s").search(text, place)
    return found.start() if found else len(text)


def _piece(made: _Maker, text: str, start: int, room: int) -> str:
    """``room`` tokens of text from ``start``; empty where there are not so many, or they are white space."""
    ids = made.lengths.ids(text[start : start + 16 * room])[:room]
    piece = made.lengths.text(ids)
    return piece if len(ids) == room and "\ufffd" not in piece and piece.strip() else ""


def _next_line(made: _Maker, document: Document, place: int) -> Item | None:
    """The next line, against the same line with its words in other orders."""
    end = document.text.find("\n", place)
    if end < 0:
        return None
    line = document.text[end + 1 :].partition("\n")[0]
    words = line.split()
    if not 4 <= len(words) <= 16:
        return None
    indent = line[: len(line) - len(line.lstrip())]
    right = f"\n{indent}{' '.join(words)}"
    if right != f"\n{line.rstrip()}":  # spaces that align columns would tell it apart
        return None
    orders = {" ".join(made.rng.permutation(words)) for _ in range(4 * CHOICES)} - {" ".join(words)}
    if len(orders) < CHOICES - 1:
        return None
    picked = made.rng.choice(sorted(orders), CHOICES - 1, replace=False)
    wrong = [f"\n{indent}{order}" for order in picked]
    context = made.before(document.text, end, made.seq_len - made.lengths(right) - 8)
    return made.item(document, context, right, wrong)


def _word(made: _Maker, document: Document, place: int) -> Item | None:
    """The next word or identifier, against three others of the document with as many letters."""
    found = WORD.search(document.text, place)
    if found is None or found.start() == 0:
        return None
    others = sorted({word for word in WORD.findall(document.text) if len(word) == len(found[0])} - {found[0]})
    start = found.start()
    space = document.text[start - 1] if document.text[start - 1] == " " else ""
    context = made.before(document.text, start - len(space), made.seq_len - made.lengths(found[0]) - 8)
    if len(others) < CHOICES - 1:
        return None
    wrong = made.rng.choice(others, CHOICES - 1, replace=False)
    return made.item(document, context, space + found[0], [space + str(word) for word in wrong])


def _bracket(made: _Maker, document: Document, place: int) -> Item | None:
    """The closing bracket; each kind is the right one equally often, so that the commonest is no good guess."""
    kind = BRACKETS[int(made.rng.integers(len(BRACKETS)))]
    at = document.text.find(kind, place)
    if at < 1:
        return None
    context = made.before(document.text, at, made.seq_len - 8)
    return made.item(document, context, kind, [other for other in BRACKETS if other != kind])


Make = Callable[[_Maker, Document, int], Item | None]
KINDS: dict[str, tuple[Make, str]] = {
    "continuation": (_continuation, "the passage that follows, of four of the same length"),
    "next_line": (_next_line, "the next line, of four orders of its words"),
    "word": (_word, "the next word, of four of the document with as many letters"),
    "bracket": (_bracket, "the next closing bracket, of three, each the right one equally often"),
}
"""By name: what makes a question, and what is asked."""


def make_tasks(corpus: Corpus, seq_len: int, items: int) -> list[EmbeddedTask]:
    """The tasks that the held-out documents of ``corpus`` give ``items`` questions for, or at least a fifth of them.

    Args:
        seq_len: tokens of the models' context, which every question fits.
        items: questions of a task.

    Raises:
        UserError: a corpus that is only declared.
    """
    lengths = Lengths(corpus)
    documents = heldout_documents(corpus, lengths, DOCUMENTS)
    tasks = []
    for name, (make, about) in KINDS.items():
        seed = hashlib.sha256(f"{corpus.fingerprint} {seq_len} {name}".encode()).digest()
        rng = np.random.default_rng(list(seed))
        made = _Maker(documents, lengths, seq_len, rng)
        found = _questions(made, make, items)
        if len(found) >= max(1, items // 5):
            tasks.append(EmbeddedTask(name, about, tuple(found)))
    return tasks


def _questions(made: _Maker, make: Make, items: int) -> list[Item]:
    """As many different ones as are wanted, or as there are."""
    found: dict[tuple[str, tuple[str, ...]], Item] = {}
    if len(made.documents) < CHOICES:
        return []
    for document, place in made.places(items):
        item = make(made, document, place)
        if item is not None:
            found.setdefault((item.context, tuple(sorted(item.choices))), item)
        if len(found) == items:
            break
    return _balanced(list(found.values())) if make is _bracket else list(found.values())


def _balanced(items: Sequence[Item]) -> list[Item]:
    """As many of each right answer as of the rarest one, in turn: the first questions are balanced, too."""
    by_answer: dict[str, list[Item]] = {answer: [] for answer in BRACKETS}
    for item in items:
        by_answer[item.choices[item.answer]].append(item)
    least = min(len(ones) for ones in by_answer.values())
    return [
        item for turn in zip(*(ones[:least] for ones in by_answer.values()), strict=True) for item in turn
    ]
