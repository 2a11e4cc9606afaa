"""``accuracy.json`` of a task, beside the fit of its task loss."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.files import write_json
from harness.fit.fitted import Fit
from harness.fit.store import load_fit
from harness.fit.tasks.backtest import TaskBacktest
from harness.fit.tasks.laws import TaskFit
from harness.runs.files import read_json

FILE = "accuracy.json"
REMEDY = "'isoflop evaluate' writes it anew"


@dataclass(frozen=True, eq=False)
class StoredTask:
    """What is known of a task's accuracy.

    Attributes:
        fit: of the accuracy. backtest: how its predictions did on a held-out budget.
        digest: of the questions that the runs were scored on. limit: how many at most; 0 is all of the task's.
        spec: the task's name for lm-eval, or its YAML file: a name in the folder above, or a path elsewhere.
        loss_fingerprint: of the fit of the task loss that was made beside it (:attr:`harness.fit.Fit.fingerprint`).
    """

    fit: TaskFit
    backtest: TaskBacktest
    digest: str
    spec: str
    limit: int
    loss_fingerprint: str


@dataclass(frozen=True, eq=False)
class FittedTask:
    """A task's two laws: ``fit`` of its task loss in bits per byte, and ``stored`` of its accuracy."""

    fit: Fit
    stored: StoredTask

    @property
    def name(self) -> str:
        """The task's."""
        return self.stored.fit.task


def write_task(stored: StoredTask, folder: Path) -> Path:
    """Write ``accuracy.json`` into ``folder``, atomically; returns its path."""
    path = folder / FILE
    write_json(
        path,
        {
            "fit": stored.fit.to_json(),
            "backtest": stored.backtest.to_json(),
            "digest": stored.digest,
            "spec": stored.spec,
            "limit": stored.limit,
            "loss_fingerprint": stored.loss_fingerprint,
        },
    )
    return path


def load_task(folder: Path) -> StoredTask:
    """What :func:`write_task` wrote into ``folder``.

    Raises:
        UserError: there is nothing, or it is damaged.
    """
    path = folder / FILE
    try:
        return read_json(path, REMEDY, _parse)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {REMEDY}") from error


def load_fitted(folder: Path) -> FittedTask:
    """Both laws of the task in ``folder``.

    Raises:
        UserError: one is not there or damaged, or they are of different runs.
    """
    found = FittedTask(load_fit(folder), load_task(folder))
    if found.fit.fingerprint != found.stored.loss_fingerprint:
        raise UserError(f"{folder}: its two fits are of different runs; {REMEDY}")
    return found


def load_all(folder: Path) -> list[FittedTask]:
    """The tasks whose folders are in ``folder``, by name; raises as :func:`load_fitted`."""
    return [load_fitted(path.parent) for path in sorted(folder.glob(f"*/{FILE}"))]


def _parse(data: dict[str, Any]) -> StoredTask:
    return StoredTask(
        TaskFit.from_json(data["fit"]),
        TaskBacktest.from_json(data["backtest"]),
        data["digest"],
        data["spec"],
        data["limit"],
        data["loss_fingerprint"],
    )
