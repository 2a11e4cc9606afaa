"""``tasks.json`` beside a record: what the run's model scores on benchmark tasks. Written task by task."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from harness.files import Fence, no_fence, strict_json, unseal, write_json


@dataclass(frozen=True)
class TaskScore:
    """A model on a task.

    Attributes:
        accuracy: share of the questions whose right answer is the likeliest one; ``accuracy_by_length`` by likelihood
            per character. Of a task with a single answer, the share in which greedy decoding gives it.
        accuracy_se, accuracy_by_length_se, bits_per_byte_se: standard errors over questions that were drawn, clustered
            by document where several questions are of one.
        bits_per_byte: minus the log-likelihood of the right answer over its bytes of UTF-8, base 2, mean over
            questions.
        questions: how many were scored; ``documents``, of how many documents they are.
        chance: the accuracy of guessing; 0 of a task with a single answer.
        truncated: how many are longer than the model's context, which lost their beginning.
        overlapping: how many share a passage with the training text (:mod:`harness.evaluate.overlap`).
        clean_accuracy, clean_bits_per_byte: of the others; None without any.
        digest: of the task's questions and of what of them was scored; another digest is another task.
        lm_eval: the version of lm-eval that scored.
    """

    accuracy: float
    accuracy_se: float
    accuracy_by_length: float
    accuracy_by_length_se: float
    bits_per_byte: float
    bits_per_byte_se: float
    questions: int
    documents: int
    chance: float
    truncated: int
    overlapping: int
    clean_accuracy: float | None
    clean_bits_per_byte: float | None
    digest: str
    lm_eval: str

    @property
    def is_sound(self) -> bool:
        """Whether all is of its type, and can be what a model scored."""
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None:
                if type(None) not in get_args(one.type):
                    return False
            elif one.type is str:
                if not isinstance(value, str):
                    return False
            elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return False
        shares = (self.accuracy, self.accuracy_by_length, self.clean_accuracy or 0.0, self.chance)
        counts = (self.documents, self.truncated, self.overlapping)
        return (
            all(0 <= share <= 1 for share in shares)
            and self.questions > 0
            and all(isinstance(count, int) and 0 <= count <= self.questions for count in counts)
            and self.bits_per_byte >= 0
        )


def read_tasks(path: Path, run_id: str) -> dict[str, TaskScore]:
    """The scores at ``path`` by task; empty where there are none, or where they are another run's or damaged.

    What is damaged is scored again: scores follow from a model that is there, and a table without them says so.
    """
    try:
        data = unseal(strict_json(path.read_bytes()))
        if data["run_id"] != run_id:
            return {}
        return parse_tasks(data["tasks"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def parse_tasks(data: Mapping[str, Any]) -> dict[str, TaskScore]:
    """Scores from plain data.

    Raises:
        ValueError, TypeError: they are none.
    """
    found = {str(name): TaskScore(**score) for name, score in data.items()}
    for name, score in found.items():
        if not score.is_sound:
            raise ValueError(f"{name}: no score that a model can have")
    return found


def commonest_questions(found: Iterable[Mapping[str, TaskScore]]) -> dict[str, str]:
    """Of each task the digest of the questions that most runs were scored on; of equally many the later by name."""
    counts: dict[str, Counter[str]] = {}
    for scores in found:
        for name, score in scores.items():
            counts.setdefault(name, Counter())[score.digest] += 1
    return {name: max(each, key=lambda digest: (each[digest], digest)) for name, each in counts.items()}


def write_tasks(path: Path, run_id: str, scores: Mapping[str, TaskScore], fence: Fence = no_fence) -> None:
    """Write all scores of a run, atomically."""
    write_json(
        path, {"run_id": run_id, "tasks": {name: asdict(score) for name, score in scores.items()}}, fence
    )


def columns(scores: Mapping[str, TaskScore]) -> dict[str, float]:
    """The columns of ``runs.csv``: ``accuracy_TASK``, ``bits_per_byte_TASK`` and so on, with ``…_se``."""
    made: dict[str, float] = {}
    for name, score in scores.items():
        for column in ("accuracy", "accuracy_by_length", "bits_per_byte"):
            made[f"{column}_{name}"] = getattr(score, column)
            made[f"{column}_{name}_se"] = getattr(score, f"{column}_se")
    return made
