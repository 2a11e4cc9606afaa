"""A pool of workers on this machine: longest cells first, and nothing finished is lost when one dies."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from harness.sweep.worker import Ended, Ready, work
from harness.train.job import Job, StepReport

GRACE_SECONDS = 60.0  # what a worker gets to write its checkpoint before it is killed
ATTEMPTS = 3  # a cell whose worker died is tried again: out of memory and preemption heal, a bug does not


class View(Protocol):
    """Who shows a sweep's progress."""

    def started(self, job: Job) -> None:
        """A worker took the job."""

    def stepped(self, report: StepReport) -> None:
        """A running job stands here."""

    def ended(self, job: Job, ended: Ended) -> None:
        """A job is done, failed or stopped."""

    def tick(self) -> None:
        """Called about once a second."""


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    job: Job | None = None


@dataclass
class _State:
    waiting: list[Job]
    attempts: dict[str, int] = field(default_factory=dict)
    outcomes: list[Ended] = field(default_factory=list)


def run_pool(jobs: Sequence[Job], workers: int, view: View) -> list[Ended]:
    """Train ``jobs`` on ``workers`` processes, longest first.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; every running cell wrote a checkpoint first.
    """
    state = _State(sorted(jobs, key=lambda job: job.cell.estimate_seconds))
    context = multiprocessing.get_context("spawn")
    pool: list[_Worker] = []

    def spawn() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        pool.append(_Worker(process, ours))

    with _termination_as_interrupt():
        try:
            for _ in range(min(workers, len(state.waiting))):
                spawn()
            while pool:
                _poll(pool, state, view)
                missing = min(workers, len(state.waiting) + sum(w.job is not None for w in pool)) - len(pool)
                for _ in range(missing):
                    spawn()
                view.tick()
        except KeyboardInterrupt:
            _stop(pool, state, view)
            raise
        finally:
            for worker in pool:
                worker.process.kill()
    return state.outcomes


def _poll(pool: list[_Worker], state: _State, view: View) -> None:
    """Handle what the workers say for up to a second; drop those that left."""
    by_connection = {worker.connection: worker for worker in pool}
    for ready in wait(list(by_connection), timeout=1.0):
        worker = by_connection[ready]  # type: ignore[index]
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            _gone(worker, state, view)
            pool.remove(worker)
            continue
        if isinstance(message, StepReport):
            view.stepped(message)
            continue
        if isinstance(message, Ended) and message.status == "stopped":  # someone stopped this worker, not the sweep
            state.waiting.append(_released(worker))
            continue
        if isinstance(message, Ended):
            _end(worker, message, state, view)
        if isinstance(message, Ready | Ended) and not _next(worker, state, view):
            pool.remove(worker)


def _next(worker: _Worker, state: _State, view: View) -> bool:
    """Hand the worker the longest waiting job; False, and it leaves, when there is none."""
    if not state.waiting:
        worker.connection.close()
        worker.process.join(GRACE_SECONDS)
        return False
    worker.job = state.waiting.pop()
    state.attempts[worker.job.cell.run_id] = state.attempts.get(worker.job.cell.run_id, 0) + 1
    worker.connection.send(worker.job)
    view.started(worker.job)
    return True


def _released(worker: _Worker) -> Job:
    job, worker.job = worker.job, None
    assert job is not None, "a worker without a job has nothing to say about one"
    return job


def _end(worker: _Worker, ended: Ended, state: _State, view: View) -> None:
    state.outcomes.append(ended)
    view.ended(_released(worker), ended)


def _gone(worker: _Worker, state: _State, view: View) -> None:
    """The process died. Its cell goes back to the queue, unless it has taken too many workers with it."""
    worker.process.join(GRACE_SECONDS)
    job = worker.job
    code = worker.process.exitcode
    how = signal.Signals(-code).name if code and code < 0 else f"exit status {code}"
    if job is None:
        if not state.attempts:
            raise RuntimeError(f"a worker died before its first cell ({how}); try 'isoflop train' to see why")
        return
    if state.attempts[job.cell.run_id] < ATTEMPTS:
        state.waiting.append(_released(worker))
    else:
        _end(worker, Ended(job.cell.run_id, "failed", reason=f"its worker died {ATTEMPTS} times ({how})"), state, view)


def _stop(pool: list[_Worker], state: _State, view: View) -> None:
    """Ask every worker to write a checkpoint and leave; a second Ctrl-C does not wait."""
    for worker in pool:
        if worker.job is None:
            worker.process.kill()
        else:
            worker.process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    while any(worker.process.is_alive() for worker in pool) and time.monotonic() < deadline:
        for worker in list(pool):
            try:
                while worker.connection.poll(0.05):
                    message = worker.connection.recv()
                    if isinstance(message, Ended):
                        _end(worker, message, state, view)
            except (EOFError, OSError):
                worker.process.join(1.0)
                pool.remove(worker)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """SIGTERM stops a sweep as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before: Callable | int | None = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
