"""Checkpoints of one run: written whole or not at all, without pickle, and verified when they are loaded.

A checkpoint is a folder named by its step: ``tensors.safetensors`` has weights and the optimizers' moments,
``state.json`` the :class:`RunState`, the SHA-256 of the tensors and one of all that. Nothing else is needed to go on:
the rows of the curve are in it.
"""

import hashlib
import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from harness.files import Fence, is_sealed, no_fence, remove, seal, unseal
from harness.runs.files import checkpoint_folders, new_folder
from harness.train.meter import CurveRow
from harness.train.optimizer import Optimizers

TENSORS = "tensors_sha256"  # in the state, which has a checksum itself
KEEP = 2  # the newest, and the one to fall back to when the newest is damaged
CHUNK_BYTES = 2**24  # hashed and written at a time


@dataclass(frozen=True)
class BranchState:
    """Where a curve stands: that of a run that will branch from this one.

    Attributes:
        rows: those that have ended.
        loss_sum: sum of the training losses since the last of them, over all processes; ``loss_steps`` their number.
    """

    rows: tuple[CurveRow, ...] = ()
    loss_sum: float = 0.0
    loss_steps: int = 0


@dataclass(frozen=True)
class RunState:
    """Where a run stands after ``step`` steps.

    Attributes:
        run_id: the run's.
        rows: of its curve, those that have ended.
        loss_sum: sum of the training losses since the last of them, over all processes; ``loss_steps`` their number.
        seconds: training time so far, over all attempts; of a branch with that of its trunk up to the branch point.
        notes: what the record will say about this run (a halved micro-batch, a damaged checkpoint).
        inherited: steps that its trunk has trained for this run; 0 where it is no branch.
        micro_batch: sequences to which it was reduced when a device ran out of memory; 0 where none did.
        branches: for each run that will branch from this one, by run id, its curve so far.
    """

    step: int = 0
    run_id: str = ""
    rows: tuple[CurveRow, ...] = ()
    loss_sum: float = 0.0
    loss_steps: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    inherited: int = 0
    micro_batch: int = 0
    branches: Mapping[str, BranchState] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "RunState":
        """Inverse of ``asdict``."""
        branches = {
            run_id: BranchState(**{**state, "rows": _rows(state["rows"])})
            for run_id, state in data["branches"].items()
        }
        return cls(
            **{**data, "rows": _rows(data["rows"]), "notes": tuple(data["notes"]), "branches": branches}
        )

    def check(self, step: int, steps: int) -> None:
        """Refuse what no run of ``steps`` steps can say after ``step`` of them.

        Raises:
            ValueError: it does not hold together.
        """
        if not (0 <= self.step == step <= steps and 0 <= self.inherited <= step):
            raise ValueError(f"it says that it is of step {self.step} of {steps}")
        if not (math.isfinite(self.seconds) and self.seconds >= 0 and self.micro_batch >= 0):
            raise ValueError("its time or its micro-batch cannot be")
        own = BranchState(self.rows, self.loss_sum, self.loss_steps)
        for curve in (own, *self.branches.values()):
            ends = [0, *(row.step for row in curve.rows)]
            rising = all(one < other for one, other in pairwise(ends))
            # a sum that is no number is that of a run about to end as diverged
            if not rising or curve.loss_steps != step - ends[-1] or curve.loss_sum < 0:
                raise ValueError("its curve does not lead to its step")


def _rows(rows: Sequence[Sequence[Any]]) -> tuple[CurveRow, ...]:
    return tuple(CurveRow(*row) for row in rows)


def write_checkpoint(folder: Path, blob: memoryview, state: RunState, fence: Fence = no_fence) -> None:
    """Write ``folder/<step>/`` whole or not at all, then drop all but the newest :data:`KEEP`.

    Args:
        blob: what :class:`harness.train.saver.Snapshot` took after ``state.step`` steps.
        fence: asked before anything is made or removed.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    with new_folder(folder / f"{state.step:09d}", fence) as temporary:
        digest = hashlib.sha256()
        with (temporary / "tensors.safetensors").open("wb") as file:
            for start in range(0, len(blob), CHUNK_BYTES):
                chunk = blob[start : start + CHUNK_BYTES]
                digest.update(chunk)
                file.write(chunk)
            _sync(file)
        content = seal({**asdict(state), TENSORS: digest.hexdigest()})
        with (temporary / "state.json").open("w", encoding="utf-8") as file:
            file.write(json.dumps(content))
            _sync(file)
    fence()
    for old in checkpoint_folders(folder)[:-KEEP]:
        remove(old)


def load_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: Optimizers,
    run_id: str,
    steps: int,
    fence: Fence | None = no_fence,
) -> RunState:
    """Restore the newest intact checkpoint into ``model`` and ``optimizer``; a fresh start where there is none.

    One that is truncated, corrupted, of another run, or of a version that had no checksum of the state and no curve in
    it, is skipped with a warning and a note in the returned state.

    Args:
        run_id: the run's, and ``steps`` its horizon.
        fence: asked before a checkpoint that was skipped is removed; None leaves that to another process.
    """
    notes: list[str] = []
    for path in reversed(checkpoint_folders(folder)):
        try:
            state, tensors = _read(path, run_id, steps)
            _check_tensors(tensors, model, optimizer, stepped=state.step > 0)
        except UNREADABLE as error:
            away = isinstance(error, OSError) and not isinstance(error, LACKING)
            early = isinstance(error, EarlierVersionError)
            what = "of an earlier version" if early else "not readable" if away else "damaged"
            notes.append(f"checkpoint at step {int(path.name)} was {what} and skipped")
            warnings.warn(f"{path}: {notes[-1]} ({error})", RuntimeWarning, stacklevel=2)
            if fence is not None and not away:  # a file server that is back has it whole
                fence()
                remove(path)
            continue
        _restore(tensors, model, optimizer)
        return replace(state, notes=(*state.notes, *notes))
    return RunState(run_id=run_id, notes=tuple(notes))


class EarlierVersionError(ValueError):
    """A checkpoint whose state has no checksum: it cannot be told from a damaged one."""


# what reading a damaged file raises; a lack of memory is not among it
UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError),
    SafetensorError,
)

LACKING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)  # of a checkpoint's two files


def _read(path: Path, run_id: str, steps: int) -> tuple[RunState, dict[str, torch.Tensor]]:
    # with NaN, which a run that is about to diverge may have in its curve
    content = json.loads((path / "state.json").read_bytes())
    if TENSORS not in content and {"step", "sha256"} <= content.keys():
        raise EarlierVersionError("its state has no checksum")
    if not is_sealed(content):
        raise ValueError("its state has no checksum")
    content = unseal(content)
    blob = (path / "tensors.safetensors").read_bytes()
    if content.pop(TENSORS) != hashlib.sha256(blob).hexdigest():
        raise ValueError("its tensors do not match their checksum")
    state = RunState.from_json(content)
    if state.run_id != run_id:
        raise ValueError(f"it is of the run {state.run_id}")
    state.check(int(path.name), steps)
    return state, load(blob)


def _check_tensors(
    tensors: Mapping[str, torch.Tensor], model: nn.Module, optimizer: Optimizers, stepped: bool
) -> None:
    """Refuse tensors that are not all of the model and its optimizer: none may start at zero in silence.

    Raises:
        ValueError: one is missing, not known, or of another shape.
    """
    shapes = {}
    names = {parameter: name for name, parameter in model.named_parameters()}
    for parameter, name in names.items():
        shapes[f"model.{name}"] = parameter.shape
        moments = {f"optimizer.{moment}.{name}": moment for moment in optimizer.moments(parameter)}
        if any(moment in tensors for moment in moments):
            shapes |= {
                key: torch.Size() if moment == "step" else parameter.shape for key, moment in moments.items()
            }
    # a part that has stepped keeps something of some parameter: all of it, or all of one kind, may not be lost
    parts = [
        any(f"optimizer.{moment}.{names[p]}" in tensors for p in part for moment in optimizer.moments(p))
        for part in optimizer.parts()
    ]
    wrong = {name for name in shapes.keys() | tensors.keys() if _shape(tensors, name) != shapes.get(name)}
    if wrong or any(part != stepped for part in parts):
        raise ValueError(f"it lacks {min(wrong, default='the moments')}, or has it in another shape")


def _shape(tensors: Mapping[str, torch.Tensor], name: str) -> torch.Size | None:
    """None where it is missing or no float32."""
    found = tensors.get(name)
    return None if found is None or found.dtype != torch.float32 else found.shape


def _restore(tensors: Mapping[str, torch.Tensor], model: nn.Module, optimizer: Optimizers) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
            for moment in optimizer.moments(parameter):
                value = tensors.get(f"optimizer.{moment}.{name}")
                if value is not None:
                    device = value.device if moment == "step" and not parameter.is_cuda else parameter.device
                    optimizer.state(parameter)[moment] = value.to(device)


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
