"""What is tried again and what is not, and cells that others hold; with a fake worker."""

import errno
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.launch import pool as pools
from harness.launch.branching import Trunks
from harness.launch.memory import VARIABLE
from harness.launch.pool import PoolOptions, run_pool
from harness.launch.retry import back_off, cause_of_death, is_retryable
from harness.launch.worker import HELD, Ended, Ready
from harness.model.shape import Shape
from harness.plan.duration import RunTime
from harness.runs.claim import take
from harness.runs.watch import Watcher
from harness.train.job import Job, StepReport
from tests.launch.fake_worker import fake_worker
from tests.train.small import small_jobs

pytestmark = pytest.mark.usefixtures("spawned_workers")


@dataclass
class Seen:
    """A view that remembers."""

    started_: list[str] = field(default_factory=list)
    retried_: list[tuple[str, str]] = field(default_factory=list)
    held_: list[str] = field(default_factory=list)
    ended_: list[str] = field(default_factory=list)
    on_tick: Callable[[], None] = lambda: None

    def started(self, job: Job) -> None:
        self.started_.append(job.cell.run_id)

    def stepped(self, report: StepReport) -> None:
        pass

    def ended(self, job: Job, ended: Ended) -> None:
        self.ended_.append(job.cell.run_id)

    def retried(self, job: Job, reason: str, seconds: float) -> None:
        self.retried_.append((job.cell.run_id, reason))

    def held(self, job: Job, owner: str) -> None:
        self.held_.append(job.cell.run_id)

    def tick(self) -> None:
        self.on_tick()


@pytest.fixture
def jobs(tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs that a fake worker trains: it does what ``fake_worker.txt`` in a cell's folder says."""
    monkeypatch.setattr(pools, "work", fake_worker)
    monkeypatch.setattr(pools, "back_off", lambda attempt: 0.01 * attempt)
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.2)
    _, jobs = small_jobs(tmp_path, text_folder)
    return jobs[:3]


def tell(job: Job, *lines: str) -> None:
    """What the fake worker does at each attempt at ``job``; it finishes when the lines are used up."""
    job.folder.path.mkdir(parents=True, exist_ok=True)
    (job.folder.path / "fake_worker.txt").write_text("\n".join(lines))


def statuses(ended: list[Ended]) -> dict[str, str]:
    return {one.run_id: one.status for one in ended}


def test_a_killed_worker_and_a_full_memory_are_tried_again_an_error_is_not(jobs: list[Job]) -> None:
    tell(jobs[0], "kill", "memory")
    tell(jobs[1], "error")
    tell(jobs[2], "kill", "kill", "kill", "kill")
    view = Seen()
    ended = run_pool(jobs, PoolOptions(workers=2, attempts=3), view)
    ids = [job.cell.run_id for job in jobs]
    assert statuses(ended) == {ids[0]: "finished", ids[1]: "failed", ids[2]: "failed"}
    reasons = {one.run_id: one.reason for one in ended}
    assert "ValueError: wrong" in reasons[ids[1]]
    assert reasons[ids[2]] == "its worker died (SIGKILL), 3 times"
    assert [view.started_.count(run_id) for run_id in ids] == [3, 1, 3]
    assert {reason for run_id, reason in view.retried_ if run_id == ids[0]} == {
        "its worker died (SIGKILL)",
        "RuntimeError: CUDA out of memory",
    }
    assert not list(jobs[0].folder.path.glob("claim*")), "who finishes clears up after the dead"


def test_a_worker_goes_on_with_its_shape_while_that_delays_nobody(jobs: list[Job]) -> None:
    large, small = (replace(jobs[0].cell.spec.shape, width=width) for width in (64, 32))

    def cell(shape: Shape, seconds: float, seed: int = 0) -> Job:
        spec = replace(jobs[0].cell.spec, shape=shape, seed=seed)
        return replace(
            jobs[0], cell=replace(jobs[0].cell, spec=spec, estimate=RunTime("eager", 0.0, 0.0, seconds, 0.0))
        )

    mine = [cell(large, 50), cell(small, 40), cell(large, 30, 1), cell(small, 20, 1), cell(small, 20, 2)]
    view = Seen()
    run_pool(mine, PoolOptions(workers=1), view)
    order = [mine.index(next(job for job in mine if job.cell.run_id == run_id)) for run_id in view.started_]
    assert order == [0, 2, 1, 3, 4], "the large shape, then the small one"

    def next_of_two_workers(*left: Job) -> Job:
        pool = pools._Pool(
            PoolOptions(workers=2), view, [pools._Waiting(job) for job in left], Watcher(), Trunks({})
        )
        worker = pools._Worker(0, None, None, shape=small)  # type: ignore[arg-type]
        waiting = pools._next_for(worker, pool)
        assert waiting is not None
        return waiting.job

    assert next_of_two_workers(mine[0], *mine[2:]) is mine[3]
    assert next_of_two_workers(mine[0], mine[3], mine[4]) is mine[0], (
        "two halves of 45 s: 50 s are begun at once"
    )
    assert next_of_two_workers(mine[0], mine[2]) is mine[0], "none of its shape is left"


def test_a_cell_that_cannot_be_claimed_fails_with_its_reason(jobs: list[Job]) -> None:
    jobs[0].folder.path.parent.mkdir(parents=True, exist_ok=True)
    jobs[0].folder.path.write_text("a file where its folder belongs")
    ended = run_pool(jobs, PoolOptions(workers=1), Seen())
    assert sorted(statuses(ended).values()) == ["failed", "finished", "finished"]
    assert next(one.reason for one in ended if one.status == "failed").startswith("FileExistsError")


def test_a_cell_that_another_holds_is_left_and_taken_when_it_is_free(jobs: list[Job]) -> None:
    claim = take(jobs[0].folder.path)
    assert claim is not None
    view = Seen()
    view.on_tick = lambda: claim.release() if claim.holds() and len(view.ended_) == 2 else None
    ended = run_pool(jobs, PoolOptions(workers=2), view)
    assert set(statuses(ended).values()) == {"finished"}
    assert view.held_ == [jobs[0].cell.run_id]
    assert view.started_[-1] == jobs[0].cell.run_id
    assert len(view.started_) == 3


def test_patience_ends(jobs: list[Job]) -> None:
    claim = take(jobs[0].folder.path)
    assert claim is not None
    ended = run_pool(jobs, PoolOptions(workers=2, patience=0.5), Seen())
    assert statuses(ended)[jobs[0].cell.run_id] == HELD
    assert sorted(statuses(ended).values()) == ["finished", "finished", HELD]
    claim.release()


def test_a_silent_claim_of_another_machine_is_followed(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        other.setattr("harness.runs.claim.boot_id", lambda: "another kernel")
        claim = take(jobs[0].folder.path, beat_seconds=1e6)
    assert claim is not None
    ended = run_pool(jobs, PoolOptions(workers=1), Seen(), Watcher(stale_seconds=1.0))
    assert set(statuses(ended).values()) == {"finished"}
    claim.beat()
    assert claim.lost


def test_workers_that_never_come_up_are_a_users_error(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "work", os._exit)
    with pytest.raises(UserError, match="workers die while they start"):
        run_pool(jobs, PoolOptions(workers=2), Seen())


def test_each_worker_has_its_own_gpus_and_its_share_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.delenv(VARIABLE, raising=False)
    options = PoolOptions(workers=2, processes=2, gpus=("0", "1", "2", "3"))
    assert options.setting(1).environment == {"CUDA_VISIBLE_DEVICES": "2,3", VARIABLE: "4"}
    assert PoolOptions(workers=2).setting(1).environment == {VARIABLE: "8"}
    assert PoolOptions(workers=99).setting(1).environment == {VARIABLE: "1"}
    monkeypatch.setenv(VARIABLE, "5")
    assert PoolOptions(workers=2).setting(1).environment == {}, "the user's own number is inherited"


def stubborn(connection: Connection, _: object) -> None:
    """A worker that does not leave when it is told to."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection.send(Ready())
    time.sleep(600)


def test_no_worker_is_alive_once_the_pool_is_left(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    workers: list[BaseProcess] = []
    seen = Seen()

    def stop() -> None:
        workers[:] = multiprocessing.active_children()
        if seen.started_:
            raise KeyboardInterrupt

    seen.on_tick = stop
    monkeypatch.setattr(pools, "work", stubborn)
    monkeypatch.setattr(pools, "GRACE_SECONDS", 0.2)
    with pytest.raises(KeyboardInterrupt):
        run_pool(jobs[:1], PoolOptions(workers=1), seen)
    # asked without Process.is_alive, which would wait for it itself
    assert [worker._popen.returncode for worker in workers] == [-signal.SIGKILL]


def test_how_a_worker_died_is_said_in_words() -> None:
    assert cause_of_death(-9) == "SIGKILL"
    assert cause_of_death(3) == "exit status 3"
    assert cause_of_death(-7).startswith("SIGBUS: a file it reads was cut short")


def test_what_is_retryable() -> None:
    assert is_retryable(MemoryError())
    assert is_retryable(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_retryable(RuntimeError("CUDA error: out of memory"))
    assert is_retryable(RuntimeError("Triton Error [CUDA]: out of memory"))
    assert is_retryable(
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    )
    assert is_retryable(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_retryable(OSError(errno.ENOENT, "No such file"))
    assert not is_retryable(UserError("wrong"))
    assert not is_retryable(TypeError("a bug"))
    assert not is_retryable(RuntimeError("shapes do not match"))
    delays = [back_off(attempt) for attempt in range(1, 9)]
    assert delays == sorted(delays)
    assert delays[0] >= 1
    assert delays[-1] == 60
