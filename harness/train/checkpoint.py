"""Checkpoints of one run: atomic, without pickle, written while training goes on, and verified when they are loaded.

A checkpoint is a folder named by its step: ``tensors.safetensors`` has weights and AdamW moments, ``state.json`` the
:class:`RunState` and the SHA-256 of the tensors. The loop waits for a copy of the tensors in memory, not for the disk.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import torch
from safetensors.torch import load
from torch import nn
from torch.optim import Optimizer

from harness.train.meter import CurveRow

KEEP = 2  # the newest, and the one to fall back to when the newest is damaged
ALIGNMENT = 8  # of a safetensors file's data
CHUNK_BYTES = 2**24  # hashed and written at a time
# a checkpoint may take this share of the time: a large model on a slow disk would otherwise write most of the time
SAVES_SHARE = 1 / 20


@dataclass(frozen=True)
class BranchState:
    """The curve of a run that will branch from this one.

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
        loss_sum: sum of the training losses since the last curve row, over all processes; ``loss_steps`` their number.
        seconds: training time so far, over all attempts; of a branch with that of its trunk up to the branch point.
        notes: what the record will say about this run (a halved micro-batch, a damaged checkpoint).
        inherited: steps that its trunk has trained for this run; 0 where it is no branch.
        micro_batch: sequences to which it was reduced when a device ran out of memory; 0 where none did.
        branches: for each run that will branch from this one, by run id, its curve so far.
    """

    step: int = 0
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
            run_id: BranchState(**{**state, "rows": tuple(CurveRow(*row) for row in state["rows"])})
            for run_id, state in data.get("branches", {}).items()
        }
        return cls(**{**data, "notes": tuple(data["notes"]), "branches": branches})


class Saver:
    """Saves a run: copies its tensors at once, then hashes and writes them in a thread.

    One checkpoint is being written at a time: the next save, and the end, wait for it. An error of the thread is raised
    by the next call of any method.
    """

    def __init__(self, folder: Path, model: nn.Module, optimizer: Optimizer) -> None:
        """``model`` and ``optimizer`` are the unwrapped ones, as checkpoints know them."""
        self._folder, self._model, self._optimizer = folder, model, optimizer
        self._snapshot = Snapshot()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._began = self._ended = time.monotonic()

    def is_due(self, seconds: float) -> bool:
        """Whether the last checkpoint was finished more than ``seconds`` ago, and longer if it took long."""
        if self._writing is not None:
            if not self._writing.done():
                return False
            self.wait()
        return time.monotonic() - self._ended > max(seconds, (self._ended - self._began) / SAVES_SHARE)

    def save(self, state: RunState, folder: Path | None = None) -> None:
        """Copy the tensors after ``state.step`` steps; a thread writes them to the run's folder, or to ``folder``."""
        self.wait()
        self._began = time.monotonic()
        blob = self._snapshot.take(self._model, self._optimizer)
        self._writing = self._thread.submit(self._write, folder or self._folder, blob, state)

    def wait(self) -> None:
        """Until the last checkpoint is on the disk.

        Raises:
            OSError: it isn't, because the disk is full or not writable.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """:meth:`wait`, and give the memory back; nothing is saved afterwards."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._snapshot = Snapshot()

    def _write(self, folder: Path, blob: memoryview, state: RunState) -> None:
        write_checkpoint(folder, blob, state)
        self._ended = time.monotonic()


class Snapshot:
    """Weights and AdamW moments after one step, in host memory, as the bytes of a safetensors file.

    The memory is kept and used again: getting it anew from the system takes longer than copying into it.
    """

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)

    def take(self, model: nn.Module, optimizer: Optimizer) -> memoryview:
        """The tensors as they are now; valid until the next call. On a GPU it waits for the steps that are queued."""
        tensors = _tensors(model, optimizer)
        entries: dict[str, dict[str, Any]] = {}
        end = 0
        for name, tensor in tensors.items():
            begin, end = end, end + tensor.nbytes
            entries[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
        header = json.dumps(entries).encode()
        header += b" " * (-len(header) % ALIGNMENT)
        head = len(header).to_bytes(8, "little") + header
        if len(self._memory) != len(head) + end:
            self._memory = torch.empty(len(head) + end, dtype=torch.uint8)
        blob = self._memory.numpy().data
        blob[: len(head)] = head
        numbers = self._memory[len(head) :].view(torch.float32)
        for name, tensor in tensors.items():
            begin, end = (offset // tensor.itemsize for offset in entries[name]["data_offsets"])
            numbers[begin:end].view(tensor.shape).copy_(tensor)
        return blob


def _tensors(model: nn.Module, optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """Weights and AdamW moments by parameter name, all float32. Shared parameters appear once."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value.detach()
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values()), (
        "weights and moments are float32"
    )
    return tensors


def write_checkpoint(folder: Path, blob: memoryview, state: RunState) -> None:
    """Write ``folder/<step>/`` whole or not at all, then drop all but the newest :data:`KEEP`.

    Args:
        blob: what :class:`Snapshot` took after ``state.step`` steps.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".writing-"))
    try:
        digest = hashlib.sha256()
        with (temporary / "tensors.safetensors").open("wb") as file:
            for start in range(0, len(blob), CHUNK_BYTES):
                chunk = blob[start : start + CHUNK_BYTES]
                digest.update(chunk)
                file.write(chunk)
            _sync(file)
        content = {**asdict(state), "sha256": digest.hexdigest()}
        with (temporary / "state.json").open("w", encoding="utf-8") as file:
            file.write(json.dumps(content))
            _sync(file)
        final = folder / f"{state.step:09d}"
        if final.exists():  # written by an attempt that was killed right after; equal by construction
            shutil.rmtree(final)
        temporary.rename(final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for old in _written(folder)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)
    for stale in folder.glob(".writing-*"):
        shutil.rmtree(stale, ignore_errors=True)


def load_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer) -> RunState:
    """Restore the newest intact checkpoint into ``model`` and ``optimizer``; a fresh start where there is none.

    A truncated or corrupted one is skipped with a warning and a note in the returned state.
    """
    notes: list[str] = []
    for path in reversed(_written(folder)):
        try:
            content = json.loads((path / "state.json").read_text(encoding="utf-8"))
            blob = (path / "tensors.safetensors").read_bytes()
            if hashlib.sha256(blob).hexdigest() != content.pop("sha256"):
                raise ValueError("its tensors do not match their checksum")
            state = RunState.from_json(content)
            _restore(load(blob), model, optimizer)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            notes.append(f"checkpoint at step {int(path.name)} was damaged and skipped")
            warnings.warn(f"{path}: {notes[-1]} ({error})", RuntimeWarning, stacklevel=2)
            shutil.rmtree(path, ignore_errors=True)
            continue
        return replace(state, notes=(*state.notes, *notes))
    return RunState(notes=tuple(notes))


def _restore(tensors: dict[str, torch.Tensor], model: nn.Module, optimizer: Optimizer) -> None:
    parameters = dict(model.named_parameters())
    missing = [name for name in parameters if f"model.{name}" not in tensors]
    if missing:
        raise ValueError(f"it lacks the parameter {missing[0]}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"model.{name}"])
    for key, value in tensors.items():
        kind, _, rest = key.partition(".")
        if kind == "optimizer":
            moment, _, name = rest.partition(".")
            parameter = parameters[name]
            device = value.device if moment == "step" and not parameter.is_cuda else parameter.device
            optimizer.state[parameter][moment] = value.to(device)


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _written(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())
