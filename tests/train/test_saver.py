"""Checkpoints that are written in a thread: what is in them, what waits for them, and where their errors come out."""

import errno
import hashlib
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.train import saver as savers
from harness.train.checkpoint import RunState, load_checkpoint, write_checkpoint
from harness.train.meter import CurveRow
from harness.train.optimizer import Optimizers
from harness.train.saver import Saver, Snapshot


class Model(torch.nn.Module):
    """Two matrices, one not contiguous, one shared and Muon's, and a vector that was never stepped."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Parameter(torch.randn(3, 5).T)
        self.vector = torch.nn.Parameter(torch.randn(7))
        self.second = torch.nn.Parameter(torch.randn(4, 2))
        self.tied = self.second


def made(seed: int = 0) -> tuple[Model, Optimizers]:
    torch.manual_seed(seed)
    model = Model()
    optimizer = Optimizers(
        [torch.optim.AdamW([model.first, model.vector], fused=True), torch.optim.Muon([model.second])]
    )
    for parameter in (model.first, model.second):
        parameter.grad = torch.randn_like(parameter)
    optimizer.step(0.5)
    return model, optimizer


def loaded(folder: Path, model: Model, optimizer: Optimizers) -> RunState:
    return load_checkpoint(folder, model, optimizer, "run", 10)


def at(step: int) -> RunState:
    """The state of a run whose first row has not ended."""
    return RunState(step=step, run_id="run", loss_sum=2.5 * step, loss_steps=step)


def state(model: Model, optimizer: Optimizers) -> list[torch.Tensor]:
    moments = [value.clone() for p in model.parameters() for value in optimizer.state(p).values()]
    return [*(p.detach().clone() for p in model.parameters()), *moments]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[Saver]:
    saver = Saver(tmp_path, *made())
    yield saver
    saver._thread.shutdown()


def test_a_checkpoint_is_a_safetensors_file_that_restores_the_state(tmp_path: Path) -> None:
    model, optimizer = made()
    write_checkpoint(tmp_path, Snapshot().take(model, optimizer), at(3))
    file = tmp_path / "000000003" / "tensors.safetensors"
    tensors = load_file(file)
    assert torch.equal(tensors["model.first"], model.first)
    assert torch.equal(tensors["optimizer.exp_avg.first"], optimizer.state(model.first)["exp_avg"])
    momentum = optimizer.state(model.second)["momentum_buffer"]
    assert torch.equal(tensors["optimizer.momentum_buffer.second"], momentum)
    assert {name.split(".", 2)[-1] for name in tensors if name.startswith("optimizer")} == {"first", "second"}
    assert "model.tied" not in tensors
    written = json.loads((file.parent / "state.json").read_text())
    assert written["tensors_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    other = made(seed=1)
    assert not equal(state(*other), state(model, optimizer))
    assert loaded(tmp_path, *other) == at(3)
    assert equal(state(*other), state(model, optimizer))


def test_what_is_written_is_the_state_of_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimizer steps on while the disk is slow; the next save waits for the one before."""
    go = threading.Event()

    def slow(*arguments: Any) -> None:
        assert go.wait(60)
        write_checkpoint(*arguments)

    monkeypatch.setattr(savers, "write_checkpoint", slow)
    model, optimizer = made()
    saver = Saver(tmp_path, model, optimizer)
    states = [state(model, optimizer)]
    saver.save(at(1))
    optimizer.step(0.5)
    states.append(state(model, optimizer))
    assert not saver.is_due(0.0), "one is on its way"
    assert not list(tmp_path.glob("[0-9]*"))
    threading.Timer(0.1, go.set).start()
    saver.save(at(2))
    assert (tmp_path / "000000001").exists()
    optimizer.step(0.5)
    saver.close()
    for number, expected in enumerate(states, 1):
        other = made(seed=number)
        folder = tmp_path / f"only {number}"
        folder.mkdir()
        (tmp_path / f"{number:09d}").rename(folder / f"{number:09d}")
        assert loaded(folder, *other).step == number
        assert equal(state(*other), expected)


@pytest.mark.parametrize("call", ["is_due", "save", "wait", "close"])
def test_an_error_of_the_disk_comes_out_once_at_the_next_call(
    call: str, saver: Saver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(savers, "write_checkpoint", full)
    saver.save(at(1))
    assert saver._writing is not None
    assert saver._writing.exception(60) is not None
    arguments = {"is_due": (0.0,), "save": (at(2),)}.get(call, ())
    with pytest.raises(OSError, match="No space left"):
        getattr(saver, call)(*arguments)
    monkeypatch.undo()
    if call != "close":
        saver.save(at(3))
        saver.wait()
        assert [path.name for path in tmp_path.glob("[0-9]*")] == ["000000003"]


def test_a_second_save_takes_no_more_memory(saver: Saver) -> None:
    saver.save(at(1))
    saver.wait()
    place = saver._snapshot._memory.data_ptr()
    saver.save(at(2))
    assert saver._snapshot._memory.data_ptr() == place
    saver.close()
    assert len(saver._snapshot._memory) == 0


def test_a_state_of_a_run_about_to_diverge_is_no_damage(tmp_path: Path) -> None:
    model, optimizer = made()
    diverging = RunState(5, "run", (CurveRow(4, 3.0, math.inf),), loss_sum=math.nan, loss_steps=1)
    write_checkpoint(tmp_path, Snapshot().take(model, optimizer), diverging)
    found = loaded(tmp_path, *made())
    assert repr(found) == repr(diverging)


def test_a_checkpoint_that_cannot_be_read_now_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file server that is away for a moment has it whole when it is back."""
    model, optimizer = made()
    for step in (3, 4):
        write_checkpoint(tmp_path, Snapshot().take(model, optimizer), at(step))
    real = Path.read_bytes

    def away(path: Path) -> bytes:
        if path.parent.name == "000000004":
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", away)
        with pytest.warns(RuntimeWarning, match="Input/output error"):
            found = loaded(tmp_path, *made())
    assert (found.step, found.notes) == (3, ("checkpoint at step 4 was not readable and skipped",))
    assert loaded(tmp_path, *made()) == at(4)
