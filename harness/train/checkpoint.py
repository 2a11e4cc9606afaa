"""Atomic, pickle-free checkpoints of one run: tensors in safetensors, the rest in JSON, verified on load."""

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load, save_file
from torch import nn
from torch.optim import Optimizer

KEEP = 2  # the newest, and the one to fall back to when the newest is damaged


@dataclass(frozen=True)
class Progress:
    """Where a run stands after ``step`` steps.

    Attributes:
        loss_sum: sum of the training losses since the last curve row, and ``loss_steps`` how many there are.
        seconds: training time so far, over all attempts.
        notes: what the record will say about this run (a halved micro-batch, a damaged checkpoint).
    """

    step: int = 0
    loss_sum: float = 0.0
    loss_steps: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


def _tensors(model: nn.Module, optimizer: Optimizer) -> dict[str, torch.Tensor]:
    """Weights and AdamW moments by parameter name. Shared parameters appear once."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach().contiguous()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{key}.{name}"] = value.detach().contiguous()
    return tensors


def save_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer, progress: Progress) -> None:
    """Write ``folder/<step>/`` whole or not at all, then drop all but the newest :data:`KEEP`.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints are untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder, prefix=".writing-"))
    try:
        tensors = temporary / "tensors.safetensors"
        save_file(_tensors(model, optimizer), tensors)
        state = {**asdict(progress), "sha256": hashlib.sha256(tensors.read_bytes()).hexdigest()}
        (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")
        for file in (tensors, temporary / "state.json"):
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        final = folder / f"{progress.step:09d}"
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


def _written(folder: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())


def load_checkpoint(folder: Path, model: nn.Module, optimizer: Optimizer) -> Progress:
    """Restore the newest intact checkpoint into ``model`` and ``optimizer``; a fresh start where there is none.

    A truncated or corrupted one is skipped with a warning and a note in the returned progress.
    """
    notes: list[str] = []
    for path in reversed(_written(folder)):
        try:
            state = json.loads((path / "state.json").read_text(encoding="utf-8"))
            blob = (path / "tensors.safetensors").read_bytes()
            if hashlib.sha256(blob).hexdigest() != state.pop("sha256"):
                raise ValueError("its tensors do not match their checksum")
            progress = Progress(**{**state, "notes": tuple(state["notes"])})
            _restore(load(blob), model, optimizer)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            notes.append(f"checkpoint at step {int(path.name)} was damaged and skipped")
            warnings.warn(f"{path}: {notes[-1]} ({error})", RuntimeWarning, stacklevel=2)
            shutil.rmtree(path, ignore_errors=True)
            continue
        return Progress(**{**asdict(progress), "notes": (*progress.notes, *notes)})
    return Progress(notes=tuple(notes))


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
            field, _, name = rest.partition(".")
            parameter = parameters[name]
            device = value.device if field == "step" and not parameter.is_cuda else parameter.device
            optimizer.state[parameter][field] = value.to(device)
