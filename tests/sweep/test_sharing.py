"""Several runs on one GPU: how many, on which, with whose daemon. No GPU is touched: only names and programs."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.commands import array_task
from harness.commands.resources import (
    placed,
    pool_options,
    runs_per_device,
    runs_per_gpu,
    shared_gpus,
    worker_count,
)
from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.errors import UserError
from harness.plan.cell import Cell
from harness.sweep.config import LauncherConfig
from harness.sweep.memory import CONTEXT_BYTES, fitting, free_bytes, training_bytes
from harness.sweep.mps import CONTROL, mps
from harness.sweep.pool import PoolOptions
from harness.sweep.slurm.request import concurrency
from harness.train.config import TrainConfig
from tests.train.small import small_jobs

GPU = TrainConfig(device="auto")


@pytest.fixture
def cells(tmp_path: Path, text_folder: Path) -> list[Cell]:
    return [job.cell for job in small_jobs(tmp_path, text_folder)[1]]


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH to put programs in."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    return folder


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport os, sys\n{text}")
    path.chmod(0o755)


def config(*more: str) -> Config:
    return compose_config(["experiment=demo", "tracker=none", *more])[0]


@pytest.mark.parametrize(
    ("visible", "more", "workers", "per_device"),
    [
        ("0,1", (), 2, 1),
        ("0,1", ("launcher.per_gpu=3",), 6, 3),
        ("0,1", ("+throughput.per_device=4",), 8, 4),
        ("0,1", ("+throughput.per_device=4", "launcher.per_gpu=1"), 2, 1),
        ("GPU-aa", ("launcher.workers=5",), 5, 5),
        ("0,1,2,3", ("launcher.processes=2", "+throughput.per_device=4"), 2, 1),
        ("0,1", ("train.device=cpu", "launcher.per_gpu=3", "launcher.workers=2"), 2, 0),
    ],
)
def test_how_many_runs_at_once(
    visible: str, more: tuple[str, ...], workers: int, per_device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    made = config(*(one.replace("+throughput", "throughput") for one in more))
    assert worker_count(made) == workers
    assert runs_per_device(made) == per_device


def test_a_run_on_several_gpus_shares_none() -> None:
    with pytest.raises(UserError, match="shares none"):
        LauncherConfig(per_gpu=2, processes=2)
    assert runs_per_gpu(config("launcher.processes=2", "throughput.per_device=4")) == 1


def test_workers_are_dealt_out_evenly_and_know_the_daemon(
    cells: list[Cell], bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    options = replace(pool_options(config("launcher.per_gpu=2"), cells), environment={"A": "b"})
    settings = [options.setting(slot).environment for slot in range(options.workers)]
    assert [setting["CUDA_VISIBLE_DEVICES"] for setting in settings if setting] == ["4", "7", "4", "7"]
    assert all(setting and setting["A"] == "b" for setting in settings)


def test_memory_bounds_how_many_share_a_gpu(
    cells: list[Cell], bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = sorted((CONTEXT_BYTES + training_bytes(cell, GPU) for cell in cells), reverse=True)
    assert fitting(cells, GPU, (sizes[0] + sizes[1]) / 0.89) == 2
    assert fitting(cells, GPU, (sizes[0] + sizes[1]) / 0.91) == 1
    assert fitting(cells, GPU, 1.0) == 1, "one run is always tried; it halves its micro-batch"
    assert fitting(cells, GPU, float("inf")) == len(cells)
    assert free_bytes(["0"]) == float("inf"), "no nvidia-smi"
    program(bin_folder, "nvidia-smi", "print('81000')\nprint('3000')\nassert '--id=0,1' in sys.argv")
    assert free_bytes(["0", "1"]) == 3000 * 2**20
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    options = placed(PoolOptions(workers=6), cells, GPU)
    assert options.workers == 2 * fitting(cells, GPU, 3000 * 2**20) == 6
    program(bin_folder, "nvidia-smi", "print('1800')")
    assert placed(PoolOptions(workers=6), cells, GPU).workers == 2
    program(bin_folder, "nvidia-smi", "print('No devices were found')\nsys.exit(6)")
    assert free_bytes(["0"]) == float("inf")


DAEMON = """
folder = os.environ["CUDA_MPS_PIPE_DIRECTORY"]
assert len(folder) < 90 and os.path.isdir(os.environ["CUDA_MPS_LOG_DIRECTORY"])
assert "CUDA_VISIBLE_DEVICES" not in os.environ
with open({log!r}, "a") as log:
    print("start" if "-d" in sys.argv else sys.stdin.read().strip(), file=log)
"""


def test_the_daemon_lives_as_long_as_the_sweep(
    tmp_path: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    program(bin_folder, CONTROL, DAEMON.format(log=str(log)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    said: list[str] = []
    with (  # noqa: PT012
        pytest.raises(KeyboardInterrupt),
        shared_gpus(PoolOptions(workers=2), GPU, said.append) as options,
    ):
        folder = Path(options.environment["CUDA_MPS_PIPE_DIRECTORY"])
        assert folder.is_dir()
        assert log.read_text() == "start\n"
        raise KeyboardInterrupt
    assert log.read_text() == "start\nquit\n"
    assert not folder.exists()
    assert said == ["runs share GPUs by MPS"]


def test_a_daemon_that_is_not_there_or_may_not_run_is_one_line(bin_folder: Path) -> None:
    said: list[str] = []
    with mps(said.append) as environment:
        assert environment == {}
    program(bin_folder, CONTROL, "print('An instance of this daemon is not permitted')\nsys.exit(1)")
    with mps(said.append) as environment:
        assert environment == {}
    assert [CONTROL in said[0], "not permitted" in said[1]] == [True, True]
    assert len(said) == 2


def test_a_users_own_daemon_is_left_alone(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bin_folder, CONTROL, "raise SystemExit('nobody should call this')")
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/tmp/theirs")
    said: list[str] = []
    with mps(said.append) as environment:
        assert environment == {}
    assert len(said) == 1


def test_no_daemon_where_nothing_is_shared(bin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bin_folder, CONTROL, "raise SystemExit('nobody should call this')")
    said: list[str] = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    for options in (PoolOptions(workers=2), PoolOptions(workers=1, processes=2)):
        with shared_gpus(options, GPU, said.append) as same:
            assert same is options
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with shared_gpus(PoolOptions(workers=9), GPU, said.append) as same:
        assert same.workers == 9
    assert said == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with shared_gpus(PoolOptions(workers=2, mps=False), GPU, said.append):
        pass
    assert said == ["runs that share a GPU take turns on it (launcher.mps is off)"]


def test_an_array_task_packs_its_gpus(
    tmp_path: Path,
    text_folder: Path,
    bin_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    assert concurrency(LauncherConfig(gres="gpu:2", per_gpu=3), GPU) == 6
    assert concurrency(LauncherConfig(gres="gpu:2"), GPU) == 2
    jobs = small_jobs(tmp_path, text_folder)[1][:4]
    jobs = [replace(job, train=replace(job.train, device="auto")) for job in jobs]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    monkeypatch.setattr(array_task, "read_task", lambda *_: (jobs, PoolOptions(workers=6)))
    seen: list[PoolOptions] = []
    monkeypatch.setattr(array_task, "run_pool", lambda jobs, options, view: seen.append(options) or [])
    assert array_task.main(tmp_path, 0) == 0
    assert (seen[0].workers, seen[0].gpus) == (4, ("0", "3"))
    assert CONTROL in capsys.readouterr().out, "how they share is in the task's log"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,3"
