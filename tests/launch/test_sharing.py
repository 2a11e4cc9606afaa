"""Several runs on one GPU: how many, on which, with whose daemon. No GPU is touched: only names and programs."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.errors import UserError
from harness.launch import sharing as daemons
from harness.launch.launcher import LauncherConfig
from harness.launch.local import LocalConfig, LocalLauncher
from harness.launch.memory import CONTEXT_BYTES, fitting, free_bytes, needed_bytes, share
from harness.launch.pool import PoolOptions
from harness.launch.sharing import CONTROL, QUIT, mps, placed, shared_gpus
from harness.launch.slurm import task as array_task
from harness.launch.slurm.request import SlurmConfig, concurrency
from harness.plan.cell import Cell
from harness.train.config import TrainConfig
from harness.train.driver import DriverError
from harness.train.gpus import SHARE_VARIABLE
from harness.workflow.experiment import plan_experiment, prepare_corpus
from harness.workflow.resources import runs_per_device, runs_per_gpu, worker_count
from tests.train.small import small_jobs

GPU = TrainConfig(device="auto")


@pytest.fixture
def cells(tmp_path: Path, text_folder: Path) -> list[Cell]:
    return [job.cell for job in small_jobs(tmp_path, text_folder)[1]]


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty PATH to put programs in, on a machine without a driver and without the daemons of other sweeps."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setattr("harness.train.driver.LIBRARY", "libno-such-driver.so.1")
    with tempfile.TemporaryDirectory() as temporary:  # tmp_path is too long for a socket
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        yield folder


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
        ("0,1", ("throughput=h100", "throughput.per_device=4"), 8, 4),
        ("0,1", ("throughput=h100", "throughput.per_device=4", "launcher.per_gpu=1"), 2, 1),
        ("0,1", ("throughput.per_device=4",), 2, 1),  # measured on a CPU: it says nothing of a GPU,
        ("GPU-aa", ("launcher.workers=5",), 5, 5),
        ("0,1,2,3", ("launcher.processes=2", "throughput=h100", "throughput.per_device=4"), 2, 1),
        ("0,1", ("train.device=cpu", "launcher.per_gpu=3", "launcher.workers=2"), 2, 2),
    ],
)
def test_how_many_runs_at_once(
    visible: str, more: tuple[str, ...], workers: int, per_device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    made = config(*more)
    assert worker_count(made) == workers
    assert runs_per_device(made) == per_device


def test_a_run_on_several_gpus_shares_none() -> None:
    with pytest.raises(UserError, match="shares none"):
        LauncherConfig(per_gpu=2, processes=2)
    assert runs_per_gpu(config("launcher.processes=2", "throughput=h100", "throughput.per_device=4")) == 1


def test_workers_are_dealt_out_evenly_and_know_the_daemon(
    cells: list[Cell], bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    options = replace(LocalLauncher(LocalConfig(per_gpu=2)).pool(cells, GPU), environment={"A": "b"})
    settings = [options.setting(slot).environment for slot in range(options.workers)]
    assert [setting["CUDA_VISIBLE_DEVICES"] for setting in settings if setting] == ["4", "7", "4", "7"]
    assert all(setting and setting["A"] == "b" for setting in settings)


def test_memory_bounds_how_many_share_a_gpu(
    cells: list[Cell], bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = CONTEXT_BYTES + max(needed_bytes(cell, GPU) for cell in cells)
    assert fitting(cells, GPU, 2 * largest / 0.89) == 2
    assert fitting(cells, GPU, 2 * largest / 0.91) == 1
    assert fitting(cells, GPU, 1.0) == 1, "one run is always tried; it halves its micro-batch"
    assert fitting(cells, GPU, float("inf")) == len(cells)
    assert free_bytes(["0"]) == float("inf"), "no nvidia-smi"
    program(bin_folder, "nvidia-smi", "print('81000')\nprint('3500')\nassert '--id=0,1' in sys.argv")
    assert free_bytes(["0", "1"]) == 3500 * 2**20
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    options = placed(PoolOptions(workers=6), cells, GPU)
    assert options.workers == 2 * fitting(cells, GPU, 3500 * 2**20) == 6
    program(bin_folder, "nvidia-smi", "print('1800')")
    assert placed(PoolOptions(workers=6), cells, GPU).workers == 2
    program(bin_folder, "nvidia-smi", "print('No devices were found')\nsys.exit(6)")
    assert free_bytes(["0"]) == float("inf")


def test_runs_that_share_a_gpu_are_told_their_share(
    cells: list[Cell], bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    program(bin_folder, "nvidia-smi", "print('81000')\nprint('80000')")
    options = placed(PoolOptions(workers=3, environment={"A": "b"}), cells, GPU)
    each = int(0.9 * 80000 * 2**20 / 2 - CONTEXT_BYTES)
    assert [options.setting(slot).environment[SHARE_VARIABLE] for slot in range(3)] == [str(each)] * 3
    assert 2 * (each + CONTEXT_BYTES) <= 0.9 * 80000 * 2**20
    with shared_gpus(options, GPU, lambda text: None) as running:
        assert {"A": "b", SHARE_VARIABLE: str(each)}.items() <= running.environment.items()
    for alone in (placed(PoolOptions(workers=2), cells, GPU), placed(PoolOptions(workers=1), cells, GPU)):
        assert SHARE_VARIABLE not in alone.environment, "it takes what is free"
    assert share(float("inf"), 4) == {}, "nobody knows how much there is"


def test_one_gpus_own_runs_share_a_gpu_of_80_gigabytes() -> None:
    made = config("experiment=one_gpu", "data=declared", "data.vocab_size=256", "data.eval_tokens=1000")
    planned = plan_experiment(made, prepare_corpus(made, Console(quiet=True))).cells
    assert fitting(planned, made.train, 79 * 2**30) >= 8
    whole = replace(made.train, micro_batch=10**6)
    assert fitting(planned, whole, 79 * 2**30) < fitting(planned, made.train, 79 * 2**30)
    in_full = [replace(cell, spec=replace(cell.spec, precision="fp32")) for cell in planned]
    assert fitting(in_full, made.train, 79 * 2**30) < 6
    assert fitting(planned, made.train, 23 * 2**30) == 2


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
    asked: list[Mapping[str, str]] = []
    monkeypatch.setattr(daemons, "ask", lambda question, environment: asked.append(environment))
    said: list[str] = []
    with (  # noqa: PT012
        pytest.raises(KeyboardInterrupt),
        shared_gpus(PoolOptions(workers=2), GPU, said.append) as options,
    ):
        folder = Path(options.environment["CUDA_MPS_PIPE_DIRECTORY"])
        assert folder.is_dir()
        assert log.read_text() == "start\n"
        raise KeyboardInterrupt
    assert log.read_text() == f"start\n{QUIT}"
    assert not folder.exists()
    assert [(one["CUDA_MPS_PIPE_DIRECTORY"], one["CUDA_VISIBLE_DEVICES"]) for one in asked] == [
        (str(folder), "0")
    ], "tried once, as a client will"
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


def test_a_daemon_that_serves_nobody_is_stopped_and_one_line(
    tmp_path: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    program(bin_folder, CONTROL, DAEMON.format(log=str(log)))

    def refuse(*_: object) -> None:
        raise DriverError("cuInit: MPS client failed to connect (805)")

    monkeypatch.setattr(daemons, "ask", refuse)
    said: list[str] = []
    with mps(said.append) as environment:
        assert environment == {}
        assert log.read_text() == f"start\n{QUIT}", "it is gone while the runs take turns"
    assert len(said) == 1
    assert "does not work here (cuInit: MPS client failed to connect (805)): runs" in said[0]


# A daemon that stays, as the real one does: it notes its number, has a server, and does not listen to "quit".
STUBBORN = """
import pathlib, subprocess, time
pipe = pathlib.Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"])
if sys.argv[1:] == ["-d"]:
    quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    daemon = subprocess.Popen([sys.executable, __file__, "stay"], start_new_session=True, **quiet)
    (pipe / "nvidia-cuda-mps-control.pid").write_text(str(daemon.pid))
    while not (pipe / "server").exists():
        time.sleep(0.01)
elif sys.argv[1:] == ["stay"]:
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (pipe / "part").write_text(str(server.pid))
    (pipe / "part").rename(pipe / "server")
    time.sleep(600)
else:
    sys.exit("the server does not answer")
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def are_gone(pids: list[int]) -> bool:
    """Within a moment: a signal is sent at once and heeded a little later."""
    deadline = time.monotonic() + 60
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(is_alive(pid) for pid in pids)


def numbers(folder: Path) -> list[int]:
    """The daemon's and its server's process."""
    return [int((folder / name).read_text()) for name in ("nvidia-cuda-mps-control.pid", "server")]


def test_a_daemon_that_does_not_quit_is_killed_with_its_server(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_folder, CONTROL, STUBBORN)
    monkeypatch.setattr(daemons, "ask", lambda *_: [])
    said: list[str] = []
    with mps(said.append) as environment:
        pids = numbers(Path(environment["CUDA_MPS_PIPE_DIRECTORY"]))
        assert all(is_alive(pid) for pid in pids)
    assert are_gone(pids)
    assert said == ["runs share GPUs by MPS"]


OWNER = """
import sys, time, harness.launch.sharing as daemons
daemons.ask = lambda *_: []
with daemons.mps(lambda text: None) as environment:
    print(environment["CUDA_MPS_PIPE_DIRECTORY"], flush=True)
    time.sleep(600)
"""


def test_the_daemon_of_a_killed_sweep_is_stopped_by_the_next_and_a_living_ones_is_not(
    tmp_path: Path, bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(bin_folder, CONTROL, STUBBORN)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(daemons, "ask", lambda *_: [])
    command = [sys.executable, "-c", OWNER]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    owners: list[subprocess.Popen[str]] = []
    left: list[int] = []
    try:
        for _ in range(2):
            owners.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        pipes = [Path((owner.stdout or sys.stdin).readline().strip()) for owner in owners]
        dead, living = (numbers(pipe) for pipe in pipes)
        left += [*dead, *living]
        owners[0].kill()
        owners[0].wait()
        assert all(is_alive(pid) for pid in dead), "nobody was left to stop it"
        with mps(lambda text: None):
            assert are_gone(dead)
            assert not pipes[0].parent.exists()
            assert all(is_alive(pid) for pid in living)
            assert pipes[1].is_dir()
    finally:
        for owner in owners:
            owner.kill()
            owner.wait()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_number_that_is_anothers_now_is_not_killed(tmp_path: Path) -> None:
    (tmp_path / "pipe").mkdir()
    (tmp_path / "pipe" / f"{CONTROL}.pid").write_text(str(os.getpid()))
    assert daemons._pid(tmp_path) is None


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
    assert concurrency(SlurmConfig(gres="gpu:2", per_gpu=3), GPU) == 6
    assert concurrency(SlurmConfig(gres="gpu:2"), GPU) == 2
    jobs = small_jobs(tmp_path, text_folder)[1][:4]
    jobs = [replace(job, train=replace(job.train, device="auto")) for job in jobs]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    monkeypatch.setattr(array_task, "read_task", lambda *_: (jobs, PoolOptions(workers=6)))
    seen: list[PoolOptions] = []
    monkeypatch.setattr(array_task, "run_pool", lambda jobs, options, view: seen.append(options) or [])
    assert array_task.run_task(tmp_path, 0) == 0
    assert (seen[0].workers, seen[0].gpus) == (4, ("0", "3"))
    assert CONTROL in capsys.readouterr().out, "how they share is in the task's log"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,3"
