"""lm-eval, as far as it is used: its tasks by name or from a file, and their questions as it asks them.

The library is optional (the extra ``tasks``) and imported by the functions that use it.
"""

import hashlib
import importlib.metadata
import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import UserError

SCORED = ("multiple_choice", "loglikelihood")
"""Kinds of tasks that have a right answer with a likelihood."""
DATA_OPTIONS = ("data_files", "data_dir")
"""Options of ``load_dataset`` that name files."""
FEWSHOT_SEED = 1234  # lm-eval's own default: examples in a prompt are the same in every run
CLUSTER = "document"
"""A column that says which document a question is of; those of one document are one cluster of a standard error."""


def version() -> str:
    """lm-eval's version.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError:
        raise UserError(
            "evaluate: lm-eval is not installed here; pip install 'lm-eval>=0.4.13,<0.5'"
        ) from None


def is_file(spec: str) -> bool:
    """Whether a task is meant by its YAML file; else by a name that lm-eval knows."""
    return spec.endswith((".yaml", ".yml"))


def load_tasks(names: Sequence[str]) -> dict[str, Any]:
    """lm-eval's task objects by name; a group or a tag is all of its tasks.

    Args:
        names: of tasks that it knows, or files of YAML; ``data_files`` in these are found beside the file, too.

    Raises:
        UserError: there is no such task, its data cannot be reached, or it is of a kind that has no likelihoods.
    """
    version()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    found: dict[str, Any] = {}
    for name in names:
        for task, made in _load(name).items():
            if made.OUTPUT_TYPE not in SCORED:
                raise UserError(
                    f"tasks: {task} is of the kind {made.OUTPUT_TYPE}; tasks of {' and '.join(SCORED)} are scored"
                )
            if task in found:
                raise UserError(f"tasks: {task} is there twice")
            found[task] = made
    return found


def _load(name: str) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    own = is_file(name)
    if own and not Path(name).expanduser().is_file():
        raise UserError(f"tasks: {name}: no such file")
    try:
        with _without_bars():
            if not own:
                return dict(_index().load([name])["tasks"])
            spec = _with_own_data(Path(name).expanduser().resolve())
            return dict(TaskManager(include_defaults=False).load([spec])["tasks"])
    except KeyError as error:
        if own:
            raise UserError(f"tasks: {name}: lm-eval finds no {error}") from error
        raise UserError(
            f"tasks: lm-eval has no task {name!r}; 'lm-eval ls tasks' lists them, a task of your own is FILE.yaml, and "
            "without tasks= questions are made from the held-out documents"
        ) from error
    except UserError:
        raise
    except Exception as error:  # datasets', the hub's and the task's own
        raise UserError(f"tasks: {name} cannot be loaded ({_line(error)})") from error


@cache
def _index() -> Any:
    """lm-eval's index of its own tasks: made once in a process, for that takes seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager()


@contextmanager
def _without_bars() -> Iterator[None]:
    """The libraries' progress bars, one for every step of a second, are not shown: the command has its own."""
    with redirect_stderr(io.StringIO()):
        yield


def _with_own_data(path: Path) -> dict[str, Any]:
    """The task in ``path``; names of data that stand beside the file become whole."""
    from lm_eval.tasks._yaml_loader import load_yaml

    spec = dict(load_yaml(path, resolve_func=True))
    if not isinstance(spec.get("task"), str):
        raise UserError(f"tasks: {path} is no task: it needs 'task: NAME'; of a group give each task's file")
    options = dict(spec.get("dataset_kwargs") or {})
    for key in DATA_OPTIONS:
        if key in options:
            options[key] = _beside(options[key], path.parent)
    return {**spec, **({"dataset_kwargs": options} if options else {})}


def _beside(value: Any, folder: Path) -> Any:
    if isinstance(value, Mapping):
        return {name: _beside(one, folder) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_beside(one, folder) for one in value]
    beside = folder / str(value)
    return str(beside) if beside.exists() else value


@dataclass(frozen=True)
class Question:
    """A question of a task as it is scored; lm-eval calls it a document.

    Attributes:
        requests: (context, continuation) of every answer.
        lengths: characters of every answer.
        right: indexes of the right answers.
        document: which document the question is of.
        begins: the character of the right answer's context at which the question does, after the examples before it.
    """

    requests: tuple[tuple[str, str], ...]
    lengths: tuple[int, ...]
    right: tuple[int, ...]
    document: str
    begins: int = 0

    @property
    def own(self) -> str:
        """The question and its right answer, without the examples that all questions share."""
        context, answer = self.requests[self.right[0]]
        return context[self.begins :] + answer


def questions(name: str, task: Any, limit: int) -> list[Question]:
    """The questions of a task, in its order.

    Args:
        limit: how many at most; 0 is all of them.

    Raises:
        UserError: it has none, or one without a right answer.
    """
    try:
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=FEWSHOT_SEED)
        with _without_bars():
            task.build_all_requests(limit=limit or None, rank=0, world_size=1)
        by_document: dict[int, list[Any]] = {}
        for one in task.instances:
            by_document.setdefault(one.doc_id, []).append(one)
        found = [_question(task, by_document[key]) for key in sorted(by_document)]
    except UserError:
        raise
    except Exception as error:  # a template that does not fit the data, a column that is not there
        raise UserError(f"tasks: {name}: its questions cannot be made ({_line(error)})") from error
    if not found:
        raise UserError(f"tasks: {name}: it has no questions")
    return found


def _question(task: Any, instances: Sequence[Any]) -> Question:
    doc = instances[0].doc
    requests = tuple(
        (str(one.args[0]), str(one.args[1])) for one in sorted(instances, key=lambda one: one.idx)
    )
    document = str(doc[CLUSTER]) if isinstance(doc, Mapping) and CLUSTER in doc else f"#{instances[0].doc_id}"
    if task.OUTPUT_TYPE == "loglikelihood":
        begins = _begins(task, doc, requests[0])
        return Question(requests[:1], (len(requests[0][1]),), (0,), document, begins)
    choices = [str(choice) for choice in task.doc_to_choice(doc)]
    requests = requests[: len(choices)]  # of mutual information the others have no context
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    right = [
        one if isinstance(one, int) else choices.index(one)
        for one in (gold if isinstance(gold, list) else [gold])
    ]
    if not all(choices):
        raise UserError(f"tasks: {task.config.task}: an answer of nothing in {str(doc)[:120]}")
    if not right or not all(0 <= one < len(requests) for one in right):
        raise UserError(f"tasks: {task.config.task}: a document without a right answer: {str(doc)[:120]}")
    lengths, begins = tuple(max(1, len(choice)) for choice in choices), _begins(task, doc, requests[right[0]])
    return Question(requests, lengths, tuple(right), document, begins)


def _begins(task: Any, doc: Any, request: tuple[str, str]) -> int:
    """Where the question of ``doc`` begins in the context, which ends with it; 0 where that cannot be told."""
    if not task.get_config("num_fewshot"):
        return 0
    context, asked = request[0], task.doc_to_text(doc)
    return max(0, context.rfind(asked.strip())) if isinstance(asked, str) else 0


def digest_of(found: Sequence[Question]) -> str:
    """16 hexadecimal digits of a SHA-256 over all that is asked."""
    text = json.dumps([[one.requests, one.lengths, one.right, one.document] for one in found])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
