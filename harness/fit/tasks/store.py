"""``accuracy.json`` and ``accuracy.npz``, its draws, of a task, beside the fit of its task loss."""

import io
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.files import put_in_place, write_json
from harness.fit.fitted import Fit
from harness.fit.store import load_fit
from harness.fit.tasks.backtest import TaskBacktest
from harness.fit.tasks.laws import LAWS, TaskFit
from harness.runs.files import read_json

FILE, DRAWS = "accuracy.json", "accuracy.npz"
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
    """Write both files into ``folder``, each atomically and the draws first; returns the path of the JSON."""
    path, fit = folder / FILE, stored.fit.to_json()
    draws = {
        name: np.asarray(fit[name].pop("draws"), dtype=np.float32)
        for name in LAWS
        if fit[name] is not None and "draws" in fit[name]
    }
    packed = io.BytesIO()
    np.savez_compressed(packed, **draws)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{DRAWS}.partial"
    partial.write_bytes(packed.getvalue())
    put_in_place(partial, folder / DRAWS)
    write_json(
        path,
        {
            "fit": fit,
            "draws_sha256": sha256(packed.getvalue()).hexdigest() if draws else None,
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
        return read_json(path, REMEDY, lambda data: _parse(data, folder / DRAWS))
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


def _parse(data: dict[str, Any], draws: Path) -> StoredTask:
    """From the JSON and the draws beside it; without these, predictions have no intervals."""
    fit = data["fit"]
    if data["draws_sha256"] is not None and draws.exists():
        content = draws.read_bytes()
        if sha256(content).hexdigest() != data["draws_sha256"]:
            raise ValueError(f"{draws.name} is not what was written with it")
        with np.load(io.BytesIO(content)) as arrays:
            fit = {**fit, **{name: {**fit[name], "draws": arrays[name].tolist()} for name in arrays.files}}
    return StoredTask(
        TaskFit.from_json(fit),
        TaskBacktest.from_json(data["backtest"]),
        data["digest"],
        data["spec"],
        data["limit"],
        data["loss_fingerprint"],
    )
