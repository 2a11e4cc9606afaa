"""A worker that is frozen, loses its cell and wakes up writes nothing into what is its successor's by then."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest

from harness.runs.claim import Claim, holder, take
from harness.runs.curve import curve_problem
from harness.runs.record import read_record
from harness.train.job import Job, PreemptedError, Watch
from harness.train.run import train_cell
from harness.train.saver import Saver
from tests.commands.test_sweep import wait_for
from tests.device import ON_CPU
from tests.train.small import small_jobs
from tests.train.test_run import assert_same, elsewhere, essence, stop_at
from tests.workers import forked


def worker(file: Path, number: int, side: str) -> None:
    """Train a job under a claim, saving at every step, and stop at a write: right before or right after asking whether
    it may. The exit status is 75 where the run was found to be another's.
    """
    job, left = Job.from_json(json.loads(file.read_text())), number
    Saver.is_due = at_every_step  # type: ignore[method-assign]
    fence = Watch.fence

    def stopping(watch: Watch) -> None:
        nonlocal left
        left -= 1
        if left == 0 and side == "before":
            os.kill(os.getpid(), signal.SIGSTOP)
        fence(watch)
        if left == 0 and side == "after":
            os.kill(os.getpid(), signal.SIGSTOP)

    Watch.fence = stopping  # type: ignore[method-assign]
    with take(job.folder.path, beat_seconds=0.2) or pytest.fail("it is another's") as claim:
        try:
            train_cell(job, Watch(claim=claim))
        except PreemptedError:
            sys.exit(75)


def at_every_step(saver: Saver, seconds: float) -> bool:
    saver.wait()
    return True


@dataclass(frozen=True)
class Setup:
    """A job, the same undisturbed, and how often a worker asks whether it may write."""

    job: Job
    straight: Job
    writes: int


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> Setup:
    folder = tmp_path_factory.mktemp("frozen")
    _, jobs = small_jobs(folder, text_folder, "train.log_points=10", ON_CPU)
    straight = elsewhere(jobs[1], folder / "straight")
    writes = 0

    class Counting(Watch):
        def fence(self) -> None:
            nonlocal writes
            writes += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Saver, "is_due", at_every_step)
        train_cell(straight, Counting())
    return Setup(jobs[1], straight, writes)


@contextmanager
def frozen(job: Job, number: int, side: str, folder: Path) -> Iterator[BaseProcess]:
    """A worker that has stopped itself at its ``number``-th write."""
    file = folder / "job.json"
    file.write_text(json.dumps(job.to_json()))
    process = forked(worker, file, number, side)
    try:
        wait_for(lambda: process.exitcode is not None or psutil.Process(process.pid).status() == "stopped")
        assert process.exitcode is None, "it ended before that write"
        yield process
    finally:
        process.kill()
        process.join()


def followed(job: Job) -> Claim:
    """The claim of a successor of the worker, which is taken for dead."""
    owner = holder(job.folder.path)
    assert owner is not None
    return take(job.folder.path, [owner.token]) or pytest.fail("nobody else follows it")


def wake(process: BaseProcess) -> int | None:
    assert process.pid is not None, "it was started"
    os.kill(process.pid, signal.SIGCONT)
    process.join(120)
    return process.exitcode


def files(job: Job) -> dict[str, bytes]:
    """All that the run has written under a name."""
    found = {path.relative_to(job.folder.path): path for path in sorted(job.folder.path.rglob("*"))}
    return {
        str(name): path.read_bytes()
        for name, path in found.items()
        if path.is_file() and not any(part.startswith((".", "claim")) for part in name.parts)
    }


WRITES: dict[str, Callable[[int], int]] = {
    "curve begun": lambda writes: 1,
    "first checkpoint begun": lambda writes: 2,
    "first checkpoint named": lambda writes: 3,
    "middle": lambda writes: writes // 2,
    "middle + 1": lambda writes: writes // 2 + 1,
    "middle + 2": lambda writes: writes // 2 + 2,
    "curve ended": lambda writes: writes - 2,
    "record": lambda writes: writes - 1,
    "checkpoints removed": lambda writes: writes,
}
QUICK = ("middle", "record")
SOME = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in WRITES]


@pytest.mark.parametrize("when", SOME)
def test_woken_after_its_successor_has_finished(when: str, setup: Setup, tmp_path: Path) -> None:
    job = elsewhere(setup.job, tmp_path / "sweep")
    with frozen(job, WRITES[when](setup.writes), "before", tmp_path) as process:
        assert take(job.folder.path) is None, "it is not dead"
        with followed(job) as claim:
            train_cell(job, Watch(claim=claim))
            assert_same(job, setup.straight)
            before = files(job)
            assert wake(process) == 75
            assert files(job) == before
            assert claim.holds()
    assert_same(job, setup.straight)
    assert files(job) == before


@pytest.mark.slow
@pytest.mark.parametrize("when", WRITES)
def test_woken_while_its_successor_trains(when: str, setup: Setup, tmp_path: Path) -> None:
    job = elsewhere(setup.job, tmp_path / "sweep")
    with frozen(job, WRITES[when](setup.writes), "before", tmp_path) as process, followed(job) as claim:
        if not job.folder.record.exists():
            with pytest.raises(PreemptedError):
                train_cell(job, Watch(should_stop=stop_at(1), claim=claim))
        before = files(job)
        assert wake(process) == 75
        assert files(job) == before
        train_cell(job, Watch(claim=claim))
    assert_same(job, setup.straight)
    assert not job.folder.checkpoint.exists() or when == "checkpoints removed"


@pytest.mark.slow
@pytest.mark.parametrize("when", WRITES)
def test_frozen_between_the_question_and_the_write(when: str, setup: Setup, tmp_path: Path) -> None:
    """What comes late then is whole: the record is the same run's, and of a curve that is not it the record tells."""
    job = elsewhere(setup.job, tmp_path / "sweep")
    with frozen(job, WRITES[when](setup.writes), "after", tmp_path) as process, followed(job) as claim:
        train_cell(job, Watch(claim=claim))
        assert wake(process) == (0 if when == "checkpoints removed" else 75)
    assert essence(job) == essence(setup.straight)
    record = read_record(job.folder.record, job.cell.run_id)
    assert record is not None
    same = job.folder.curve.read_bytes() == setup.straight.folder.curve.read_bytes()
    assert same == (curve_problem(job.folder.curve, record) == "")
    assert same or when == "curve begun"


RANKS = """
import json, pathlib, sys
from harness.launch.ranks import train_on_ranks
from harness.runs.claim import take
from harness.train.job import Job, PreemptedError, Watch
job = Job.from_json(json.loads(pathlib.Path(sys.argv[1]).read_text()))
with take(job.folder.path, beat_seconds=0.2) as claim:
    try:
        train_on_ranks(job, Watch(claim=claim), 2)
    except PreemptedError as error:
        sys.exit(75)
"""


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["all", "worker", "ranks"])
def test_processes_of_one_run_that_are_frozen(whom: str, tmp_path: Path, text_folder: Path) -> None:
    """Also where only the worker is frozen, which holds the claim, or only those that train."""
    long = ("recipe.batch_tokens.value=64", "train.checkpoint_seconds=0.1", "train.log_points=50", ON_CPU)
    _, jobs = small_jobs(tmp_path, text_folder, *long)
    job = jobs[3]
    file = tmp_path / "job.json"
    file.write_text(json.dumps(job.to_json()))
    process = subprocess.Popen([sys.executable, "-c", RANKS, str(file)])
    worker = psutil.Process(process.pid)
    try:
        wait_for(lambda: job.folder.checkpoint_step() > 0 or process.poll() is not None)
        assert process.poll() is None
        ranks = worker.children(recursive=True)
        victims = {"all": [worker, *ranks], "worker": [worker], "ranks": ranks}[whom]
        for victim in victims:
            victim.suspend()
        with followed(job) as claim:
            if whom == "worker":
                wait_for(lambda: not any(rank.is_running() and rank.status() != "zombie" for rank in ranks))
            train_cell(job, Watch(claim=claim))
            before = files(job)
            for victim in victims:
                victim.resume()
            time.sleep(1.0)
            code = process.wait(120)
            assert files(job) == before
            # it found a record when it woke up, or its ranks had stopped before
            assert code in (0, 75)
    finally:
        with suppress(psutil.NoSuchProcess):
            for left in worker.children(recursive=True):
                left.kill()
        process.kill()
        process.wait()
