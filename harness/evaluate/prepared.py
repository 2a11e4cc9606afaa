"""A task whose questions are known: ``NAME.questions.json`` and ``NAME.overlap.json`` below ``tasks/`` of the sweep.

What scores reads them there: it needs no hub, and asks what was asked when the evaluation began.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from harness.data import Corpus
from harness.errors import UserError
from harness.evaluate.library import Question, digest_of
from harness.evaluate.overlap import window
from harness.files import write_json
from harness.runs.files import read_json

T = TypeVar("T")
AGAIN = "'isoflop evaluate' writes it again"


@dataclass(frozen=True)
class TaskSource:
    """A task to score. Plain data: a job carries it to another process.

    Attributes:
        name: as lm-eval calls it, and columns of tables.
        spec: the name that lm-eval knows it by, or its YAML file.
        digest: of its questions (:func:`harness.evaluate.library.digest_of`).
        limit: questions at most; 0 is all of them.
        folder: where its files are.
        tokens: of all answers with their contexts.
    """

    name: str
    spec: str
    digest: str
    limit: int
    folder: str
    tokens: int = 0

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @property
    def questions_path(self) -> Path:
        """The file of its questions."""
        return Path(self.folder) / f"{self.name}.questions.json"

    @property
    def overlap_path(self) -> Path:
        """The file that says which of them overlap with the training text."""
        return Path(self.folder) / f"{self.name}.overlap.json"

    def questions(self) -> list[Question]:
        """Its questions, as they were when it was prepared.

        Raises:
            UserError: the file is not there, damaged, or of other questions by now.
        """
        return _questions(self)

    def overlapping(self) -> list[bool]:
        """Which of its questions overlap with the training text.

        Raises:
            UserError: the file is not there, damaged, or of other questions by now.
        """

        def parse(data: dict[str, Any]) -> list[bool]:
            if data["digest"] != self.digest:
                raise ValueError("it is of other questions")
            found = set(data["overlapping"])
            return [i in found for i in range(data["questions"])]

        return _read(self.overlap_path, parse)


@cache
def _questions(source: TaskSource) -> list[Question]:
    """Read once in a process, which scores one model after another."""

    def parse(data: dict[str, Any]) -> list[Question]:
        found = [_unpacked(one) for one in data["questions"]]
        if digest_of(found) != source.digest:
            raise ValueError("its questions are others than when the evaluation began")
        return found

    return _read(source.questions_path, parse)


def _read(path: Path, parse: Callable[[dict[str, Any]], list[T]]) -> list[T]:
    """What was prepared; raises UserError where it is not there, too."""
    try:
        return read_json(path, AGAIN, parse)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {AGAIN}") from error


def write_questions(source: TaskSource, questions: Sequence[Question]) -> None:
    """Write what :meth:`TaskSource.questions` reads, atomically."""
    data = {"task": source.name, "digest": source.digest, "questions": [_packed(one) for one in questions]}
    source.questions_path.parent.mkdir(parents=True, exist_ok=True)
    write_json(source.questions_path, data)


def write_overlap(source: TaskSource, corpus: Corpus, overlapping: Sequence[bool], shorter: int) -> None:
    """Write what :meth:`TaskSource.overlapping` reads, atomically.

    Args:
        shorter: how many questions are shorter than a passage, and overlap with nothing.
    """
    data = {
        "task": source.name,
        "digest": source.digest,
        "corpus": corpus.fingerprint,
        "tokens": window(corpus),
        "questions": len(overlapping),
        "shorter": shorter,
        "overlapping": [i for i, flag in enumerate(overlapping) if flag],
    }
    write_json(source.overlap_path, data)


def knows_overlap(source: TaskSource, corpus: Corpus) -> bool:
    """Whether the overlap of these questions with this corpus is written."""
    wanted = (source.digest, corpus.fingerprint)
    try:
        return read_json(source.overlap_path, AGAIN, lambda data: (data["digest"], data["corpus"]) == wanted)
    except (OSError, UserError):
        return False


def _packed(one: Question) -> dict[str, Any]:
    """A context is written once, for most answers have the same."""
    contexts = list(dict.fromkeys(context for context, _ in one.requests))
    answers = [[contexts.index(context), answer] for context, answer in one.requests]
    return {**asdict(one), "requests": {"contexts": contexts, "answers": answers}}


def _unpacked(data: dict[str, Any]) -> Question:
    contexts, answers = data["requests"]["contexts"], data["requests"]["answers"]
    return Question(
        requests=tuple((contexts[i], answer) for i, answer in answers),
        lengths=tuple(data["lengths"]),
        right=tuple(data["right"]),
        document=data["document"],
        begins=data["begins"],
    )
