"""What differs between devices: compiled steps, bf16, and when either is chosen."""

import gc
import os
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from torch._dynamo.utils import counters

from harness.errors import UserError
from harness.model.build import build_model
from harness.plan.duration import Timing
from harness.train import compile as compiling
from harness.train.compile import lacking_for_triton, settle
from harness.train.config import TrainConfig
from harness.train.device import Device
from harness.train.job import Job
from harness.train.run import train_cell
from tests.device import DEVICE, about
from tests.train.small import small_jobs
from tests.train.test_run import curve, elsewhere

CUDA = Device("cuda", "a GPU", "bf16", 9.89e14)
CPU = Device("cpu", "a CPU", "fp32", None)


@pytest.fixture
def jobs(tmp_path: Path, text_folder: Path) -> list[Job]:
    return small_jobs(tmp_path, text_folder, "train.log_points=10")[1]


@pytest.mark.parametrize(
    ("compile", "device", "planned", "settled"),
    [
        ("auto", CUDA, "compiled", "on"),
        ("auto", CUDA, "graphs", "graphs"),
        ("auto", CUDA, "eager", "off"),
        ("auto", CPU, "graphs", "off"),
        ("on", CPU, "eager", "on"),
        ("graphs", CUDA, "eager", "graphs"),
        ("off", CUDA, "graphs", "off"),
    ],
)
def test_when_a_run_is_compiled(
    compile: str, device: Device, planned: str, settled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    monkeypatch.setattr("harness.train.compile.lacking_for_triton", lambda: "")
    assert settle(TrainConfig(compile=compile), device, planned, notes).compile == settled
    assert any("compiled" in note for note in notes) is (settled != "off")


def test_a_machine_without_a_compiler_trains_eagerly_unless_told_to_compile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.train.compile.find_spec", lambda name: object())
    monkeypatch.setattr("harness.train.compile.shutil.which", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    notes: list[str] = []
    assert settle(TrainConfig(), CUDA, "graphs", notes).compile == "off"
    assert notes == ["not compiled: this machine lacks a C compiler (gcc or clang, or CC that names one)"]
    with pytest.raises(UserError, match=r"train\.compile: this machine lacks a C compiler"):
        settle(TrainConfig(compile="on"), CUDA, "eager", notes)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(
        UserError, match=r"train\.compile: this machine lacks a C\+\+ compiler \(g\+\+, or CXX"
    ):
        settle(TrainConfig(compile="on"), CPU, "eager", notes)
    assert settle(TrainConfig(), CPU, "eager", notes).compile == "off"
    monkeypatch.setenv("CC", "cc")
    monkeypatch.setattr("harness.train.compile.sysconfig.get_paths", lambda: {"include": "/nowhere"})
    assert "header files (/nowhere/Python.h)" in lacking_for_triton()
    monkeypatch.setattr("harness.train.compile.find_spec", lambda name: None)
    assert lacking_for_triton() == "the package triton"


def test_all_runs_of_a_shape_are_executed_alike(tmp_path: Path, text_folder: Path) -> None:
    # two milliseconds saved a step: the long runs of the small shape earn two compilations back, the others do not
    model = {"eager.step_seconds": 3e-3, "graphs.step_seconds": 1e-3, "graphs.compile_seconds": 0.07}
    model |= {"eager.layer_seconds": 0.0, "graphs.layer_seconds": 0.0, "compiled.compile_seconds": 99.0}
    overrides = [f"throughput.modes.{key}={value}" for key, value in model.items()]
    config, jobs = small_jobs(tmp_path, text_folder, "throughput=h100", *overrides)
    by_shape: dict[str, list[Job]] = {}
    for job in jobs:
        by_shape.setdefault(job.cell.spec.shape.label, []).append(job)
    assert any(len(same) > 1 for same in by_shape.values())
    modes = {label: {job.cell.estimate.mode for job in same} for label, same in by_shape.items()}
    assert all(len(found) == 1 for found in modes.values())
    timing = Timing(config.throughput)
    for label, same in by_shape.items():
        eager, graphs = (
            sum(timing.run(job.cell.spec, mode).training for job in same) for mode in ("eager", "graphs")
        )
        assert modes[label] == {"graphs" if graphs < eager else "eager"}
    assert len(set.union(*modes.values())) == 2, "both are met"


def test_nothing_of_a_run_stays_in_memory(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast makes a cycle of the model: only the collector frees it, and it may not come for long."""
    models: list[weakref.ref[torch.nn.Module]] = []

    def build(*args: Any, **options: Any) -> torch.nn.Module:
        model = build_model(*args, **options)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr("harness.train.run.build_model", build)
    spec = replace(jobs[0].cell.spec, precision="bf16")
    gc.disable()
    try:
        train_cell(replace(jobs[0], cell=replace(jobs[0].cell, spec=spec)))
        assert [model() for model in models] == [None]
    finally:
        gc.enable()


@pytest.mark.slow
def test_compiled_runs_train_the_same_and_share_their_kernels(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is unset again afterwards
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    for job, how in (
        (jobs[0], "on"),
        (jobs[1], "graphs"),
    ):  # two shapes in one process: no trace is in the way
        # an odd batch in micro-batches of two: the last one has another shape
        plain = train_cell(elsewhere(job, tmp_path / "plain", micro_batch=3))
        quick = elsewhere(job, tmp_path / how, compile=how, micro_batch=3)
        record = train_cell(quick)
        assert record.loss == pytest.approx(plain.loss, rel=1e-3)
        assert any("compiled" in note for note in record.notes)
        assert not any("compiled" in note for note in plain.notes)
    cache = jobs[0].corpus.parent / "inductor"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(cache)
    assert list(cache.rglob("*.so" if DEVICE == "cpu" else "*.cubin")), (
        "kernels are kept where all sweeps find them"
    )


@pytest.mark.slow
def test_a_shape_is_traced_once_in_a_process_and_its_models_are_freed(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    models: list[weakref.ref[torch.nn.Module]] = []

    def build(*args: Any, **options: Any) -> torch.nn.Module:
        model = build_model(*args, **options)
        models.append(weakref.ref(model))
        return model

    monkeypatch.setattr("harness.train.run.build_model", build)

    def traces(job: Job, folder: str, **train: Any) -> int:
        before = counters["stats"]["unique_graphs"]
        train_cell(elsewhere(job, tmp_path / folder, **train))
        return counters["stats"]["unique_graphs"] - before

    large, small = jobs[0], jobs[1]
    assert large.cell.spec.shape != small.cell.spec.shape
    assert traces(large, "first", compile="on") == 1
    assert traces(large, "second", compile="on") == 0
    assert curve(elsewhere(large, tmp_path / "second")) == about(curve(elsewhere(large, tmp_path / "first")))
    assert traces(small, "small", compile="on") == 1
    assert traces(large, "third", compile="on") == 1, "that of another shape was forgotten"
    assert traces(large, "eager") == 0
    assert traces(large, "fourth", compile="on") == 1, "an eager run leaves none behind"
    assert [model() for model in models] == [None] * 6


def test_what_a_failed_run_has_traced_is_forgotten(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    resets: list[str] = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append("reset"))
    monkeypatch.setattr(compiling, "_traced", "a shape")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr("harness.train.run.build_model", broken)
    with pytest.raises(RuntimeError, match="launch failure"):
        train_cell(jobs[0])
    assert resets == ["reset"]
    assert compiling._traced is None


def test_a_process_that_has_trained_on_another_device_trains_on_this_one(
    jobs: list[Job], tmp_path: Path
) -> None:
    plain = train_cell(elsewhere(jobs[0], tmp_path / "plain", device="cpu"))
    for state in (AcceleratorState, PartialState):  # as after a run on a GPU
        state._shared_state["device"] = torch.device("cuda", 0)
    record = train_cell(elsewhere(jobs[0], tmp_path / "again", device="cpu"))
    assert (record.device, record.loss) == (plain.device, plain.loss)


def test_bf16_is_near_fp32_and_says_so(jobs: list[Job], tmp_path: Path) -> None:
    job = jobs[0]
    full = train_cell(elsewhere(job, tmp_path / "full"))
    spec = replace(job.cell.spec, precision="bf16")
    half = replace(job, cell=replace(job.cell, spec=spec), sweep=tmp_path / "half")
    record = train_cell(half)
    assert (full.precision, record.precision) == ("fp32", "bf16")
    assert record.run_id != full.run_id, "precision is part of what a run is"
    assert record.loss == pytest.approx(full.loss, rel=0.02)
    assert record.loss != full.loss, "autocast was on"
    assert len(curve(half)) == len(curve(elsewhere(job, tmp_path / "full")))
    full_again = train_cell(elsewhere(job, tmp_path / "again"))
    assert full_again.loss == about(full.loss)
    assert torch.get_float32_matmul_precision() == "highest", "fp32 after bf16 is fp32"
