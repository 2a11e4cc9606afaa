"""What differs between devices, on the CPU: compiled steps, bf16, and when either is chosen."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.train.compile import WORTH_SECONDS, wants_compile
from harness.train.config import TrainConfig
from harness.train.device import Device
from harness.train.job import Job
from harness.train.run import train_cell
from tests.train.small import small_jobs
from tests.train.test_run import curve, elsewhere

CUDA = Device("cuda", "a GPU", "bf16", 9.89e14)
CPU = Device("cpu", "a CPU", "fp32", None)


@pytest.fixture
def jobs(tmp_path: Path, text_folder: Path) -> list[Job]:
    return small_jobs(tmp_path, text_folder, "train.log_points=10")[1]


@pytest.mark.parametrize(
    ("compile", "device", "seconds", "wanted"),
    [
        ("auto", CUDA, WORTH_SECONDS, True),
        ("auto", CUDA, WORTH_SECONDS / 2, False),
        ("auto", CPU, 1e6, False),
        ("on", CPU, 0, True),
        ("graphs", CUDA, 0, True),
        ("off", CUDA, 1e6, False),
    ],
)
def test_when_a_run_is_compiled(compile: str, device: Device, seconds: float, wanted: bool) -> None:
    assert wants_compile(TrainConfig(compile=compile), device, seconds) is wanted


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
        assert not plain.notes
    cache = jobs[0].corpus.parent / "inductor"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(cache)
    assert list(cache.rglob("*.so")), "kernels are kept where all sweeps find them"


def test_bf16_on_a_cpu_is_near_fp32_and_says_so(jobs: list[Job], tmp_path: Path) -> None:
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
    assert torch.get_float32_matmul_precision() == "highest"
