"""A pool of workers on this machine: long cells first, and nothing finished is lost when one dies."""

import math
import multiprocessing
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from harness.errors import UserError
from harness.interrupts import asked, held_back, interrupt_on
from harness.launch.branching import Trunks
from harness.launch.exports import tidy_after
from harness.launch.memory import compile_threads
from harness.launch.retry import back_off, cause_of_death
from harness.launch.worker import HELD, STOPPED, Ended, Ready, Setting, Task, work
from harness.model.shape import Shape
from harness.runs.record import FAILED
from harness.runs.watch import Observation, Watcher
from harness.text import counted
from harness.train.job import Job, StepReport

GRACE_SECONDS = 60.0  # what a worker gets to write its checkpoint before it is killed
KILL_SECONDS = 10.0  # a killed process is gone at once, unless a file server or a driver holds it
POLL_SECONDS = 3.0  # between two looks at a cell that another trains
FAILED_STARTS = 3  # so many workers in a row that never come up: the machine or the installation is at fault


class View(Protocol):
    """Who shows a sweep's progress."""

    def started(self, job: Job) -> None:
        """A worker took the job."""

    def stepped(self, report: StepReport) -> None:
        """A running job stands here."""

    def ended(self, job: Job, ended: Ended) -> None:
        """A job is done, failed, stopped, or left to another that holds it."""

    def retried(self, job: Job, reason: str, seconds: float) -> None:
        """A job failed in a way that is retryable, and is tried again after ``seconds``."""

    def held(self, job: Job, owner: str) -> None:
        """Another process trains the job; it is looked at again later."""

    def tick(self) -> None:
        """Called about once a second."""


@dataclass(frozen=True)
class PoolOptions:
    """How a pool works.

    Attributes:
        workers: runs at once.
        attempts: how often a run is tried that fails in a way that is retryable.
        processes: processes a run.
        gpus: GPUs by the names CUDA_VISIBLE_DEVICES knows, dealt out to the workers in turn; empty leaves all to
            each.
        mps: runs that share a GPU may do so by CUDA's MPS.
        environment: further variables of the workers' environment.
        patience: seconds to wait, when nothing else is left, for cells that others hold.
    """

    workers: int
    attempts: int = 3
    processes: int = 1
    gpus: tuple[str, ...] = ()
    mps: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    patience: float = math.inf

    def setting(self, slot: int) -> Setting:
        """What the worker in ``slot`` is told."""
        environment = {**compile_threads(self.workers * self.processes), **self.environment}
        if self.gpus:
            first = slot * self.processes
            mine = [self.gpus[(first + i) % len(self.gpus)] for i in range(self.processes)]
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
        return Setting(self.processes, environment)


@dataclass
class _Worker:
    slot: int
    process: BaseProcess
    connection: Connection
    ready: bool = False
    job: Job | None = None
    shape: Shape | None = None  # of its last job: it has the kernels of that


@dataclass
class _Waiting:
    job: Job
    due: float = 0.0
    seen: Observation | None = None  # of the claim of another; None while nobody else was seen to hold it
    trunk: str | None = None  # the run that will leave it a checkpoint; None where it can be trained now


@dataclass
class _Pool:
    """The state of one :func:`run_pool`."""

    options: PoolOptions
    view: View
    queue: list[_Waiting]
    watcher: Watcher
    trunks: Trunks
    workers: list[_Worker] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    outcomes: list[Ended] = field(default_factory=list)
    failed_starts: int = 0
    busy: float = field(default_factory=time.monotonic)  # when there was last something to do

    def running(self) -> int:
        """How many workers train."""
        return sum(worker.job is not None for worker in self.workers)


def run_pool(
    jobs: Sequence[Job], options: PoolOptions, view: View, watcher: Watcher | None = None
) -> list[Ended]:
    """Train ``jobs`` on some workers, longest first; those that others hold are waited for.

    As long as that cannot delay the end, a worker goes on with the shape it has just trained: it need not compile anew.
    A branch waits as long as its trunk is in the pool and has not left it a checkpoint.

    Raises:
        KeyboardInterrupt: Ctrl-C, SIGTERM or SIGUSR1; every running cell wrote a checkpoint first.
        UserError: no worker comes up.
    """
    longest_first = sorted(jobs, key=lambda job: -job.cell.estimate_seconds)
    queue = [_Waiting(job) for job in longest_first]
    pool = _Pool(options, view, queue, watcher or Watcher(), Trunks.among(jobs))
    with signals_as_interrupt():
        try:
            while pool.queue or pool.running():
                _observe(pool)
                _spawn(pool)
                _assign(pool)
                _listen(pool)
                view.tick()
                if asked():  # a signal's exception fell where none may be raised
                    raise KeyboardInterrupt
                if _patience_is_over(pool):
                    break
        except KeyboardInterrupt:
            _stop(pool)
            raise
        finally:
            for worker in pool.workers:
                worker.connection.close()
            for worker in pool.workers:
                if worker.job is None:  # it leaves by itself; a tracker may still want to say goodbye
                    worker.process.join(GRACE_SECONDS if worker.ready else 0)
                worker.process.kill()
            for worker in pool.workers:
                worker.process.join(KILL_SECONDS)  # what it holds, MPS's server for one, is free only then
    for waiting in pool.queue:
        owner = waiting.seen.owner.label if waiting.seen and waiting.seen.owner else "another process"
        _end(pool, waiting.job, Ended(waiting.job.cell.run_id, HELD, reason=f"held by {owner}"))
    return pool.outcomes


def _observe(pool: _Pool) -> None:
    """See which waiting cells others hold, have finished, or have left behind, and which wait for their trunk."""
    now = time.monotonic()
    mine = {worker.job.cell.run_id for worker in pool.workers if worker.job is not None}
    mine |= {waiting.job.cell.run_id for waiting in pool.queue}
    for waiting in list(pool.queue):
        trunk = pool.trunks.awaited(waiting.job)
        waiting.trunk = trunk if trunk in mine else None
        if waiting.trunk is not None or waiting.due > now:
            continue
        before = waiting.seen
        seen = pool.watcher.observe(waiting.job.folder.path)
        waiting.seen = seen if seen.owner is not None else None
        end = waiting.job.end()
        if end is not None and not seen.held:
            pool.queue.remove(waiting)
            ended = Ended(waiting.job.cell.run_id, end.status, end.loss, end.seconds, end.reason)
            _end(pool, waiting.job, ended)
        elif seen.held:
            waiting.due = now + POLL_SECONDS
            if seen.owner is not None and not (before and before.held):
                pool.view.held(waiting.job, seen.owner.label)
        elif waiting.seen is None or seen.dead:
            pool.busy = now


def _is_free(waiting: _Waiting) -> bool:
    held = waiting.seen is not None and waiting.seen.held
    return waiting.due <= time.monotonic() and not held and waiting.trunk is None


def _spawn(pool: _Pool) -> None:
    """Start workers for the cells that can be trained now."""
    free = sum(_is_free(waiting) for waiting in pool.queue)
    wanted = min(pool.options.workers, free + pool.running())
    slots = sorted(set(range(pool.options.workers)) - {worker.slot for worker in pool.workers})
    context = multiprocessing.get_context("spawn")
    for slot in slots[: max(0, wanted - len(pool.workers))]:
        ours, theirs = context.Pipe()
        arguments = (theirs, pool.options.setting(slot))
        # no daemon: a run on several processes starts torchrun; a worker leaves by itself when its parent is gone
        process = context.Process(target=work, args=arguments)
        with held_back():
            process.start()
        theirs.close()
        pool.workers.append(_Worker(slot, process, ours))


def _assign(pool: _Pool) -> None:
    """Give every idle worker a cell that is free."""
    for worker in pool.workers:
        if not worker.ready or worker.job is not None:
            continue
        waiting = _next_for(worker, pool)
        if waiting is None:
            return
        run_id = waiting.job.cell.run_id
        try:
            worker.connection.send(Task(waiting.job, waiting.seen.tokens if waiting.seen else ()))
        except OSError:
            continue  # it died idle; listening finds out
        pool.queue.remove(waiting)
        pool.attempts[run_id] = pool.attempts.get(run_id, 0) + 1
        worker.job, worker.shape = waiting.job, waiting.job.cell.spec.shape
        pool.view.started(waiting.job)


def _next_for(worker: _Worker, pool: _Pool) -> _Waiting | None:
    """The longest cell that is free; the longest of the worker's shape while that one is shorter than the rest needs.

    All workers together need as long for the free cells as an even share of them; a cell that takes longer is begun
    at once, or the end would wait for it.
    """
    free = [waiting for waiting in pool.queue if _is_free(waiting)]
    if not free:
        return None
    seconds = [waiting.job.cell.estimate_seconds for waiting in free]
    alike = [waiting for waiting in free if waiting.job.cell.spec.shape == worker.shape]
    return alike[0] if alike and max(seconds) < sum(seconds) / pool.options.workers else free[0]


def _listen(pool: _Pool) -> None:
    """Handle what the workers say for up to a second; drop those that left."""
    if not pool.workers:
        time.sleep(1.0)
        return
    by_connection = {worker.connection: worker for worker in pool.workers}
    for ready in wait(list(by_connection), timeout=1.0):
        worker = by_connection[ready]  # type: ignore[index]
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            pool.workers.remove(worker)
            _gone(pool, worker)
            continue
        if isinstance(message, Ready):
            worker.ready, pool.failed_starts = True, 0
        elif isinstance(message, StepReport):
            pool.view.stepped(message)
        elif isinstance(message, Ended):
            _ended(pool, worker, message)


def _ended(pool: _Pool, worker: _Worker, ended: Ended) -> None:
    """A cell's attempt is over: done, to be tried again, or another's."""
    job, worker.job = worker.job, None
    assert job is not None, "a worker without a cell has nothing to say about one"
    pool.busy = time.monotonic()
    if ended.status == STOPPED:  # someone stopped this worker, not the sweep
        pool.attempts[ended.run_id] -= 1
        pool.queue.insert(0, _Waiting(job))
    elif ended.status == HELD:
        pool.attempts[ended.run_id] -= 1
        pool.queue.append(_Waiting(job, due=time.monotonic() + POLL_SECONDS))
        pool.view.held(job, ended.reason)
    elif ended.retryable:
        _try_again(pool, job, ended.reason)
    else:
        _end(pool, job, ended)
    if ended.status == STOPPED or ended.retryable:
        worker.ready = False  # it leaves


def _gone(pool: _Pool, worker: _Worker) -> None:
    """The process died. Its cell goes back to the queue, unless it has taken too many workers with it."""
    worker.process.join(GRACE_SECONDS)
    code = worker.process.exitcode
    how = cause_of_death(code)
    if worker.job is not None:
        _try_again(pool, worker.job, f"its worker died ({how})")
    elif not worker.ready and code != 0:
        pool.failed_starts += 1
        if pool.failed_starts >= FAILED_STARTS:
            raise UserError(f"workers die while they start ({how}); 'isoflop train … run=ID' shows why")


def _try_again(pool: _Pool, job: Job, reason: str) -> None:
    attempt = pool.attempts[job.cell.run_id]
    if attempt >= pool.options.attempts:
        _end(pool, job, Ended(job.cell.run_id, FAILED, reason=f"{reason}, {counted(attempt, 'time')}"))
        return
    seconds = back_off(attempt)
    pool.queue.append(_Waiting(job, due=time.monotonic() + seconds))
    pool.queue.sort(key=lambda waiting: -waiting.job.cell.estimate_seconds)
    pool.view.retried(job, reason, seconds)


def _end(pool: _Pool, job: Job, ended: Ended) -> None:
    pool.outcomes.append(ended)
    pool.view.ended(job, ended)
    training = [worker.job for worker in pool.workers if worker.job is not None]
    tidy_after(job, (*training, *(waiting.job for waiting in pool.queue)))


def _patience_is_over(pool: _Pool) -> bool:
    """Whether only cells of others are left, and have been for long."""
    held = {waiting.job.cell.run_id for waiting in pool.queue if waiting.seen and waiting.seen.held}
    if pool.running() or not all({waiting.job.cell.run_id, waiting.trunk} & held for waiting in pool.queue):
        pool.busy = time.monotonic()
        return False
    return time.monotonic() - pool.busy > pool.options.patience


def _stop(pool: _Pool) -> None:
    """Ask every worker to write a checkpoint and leave; a second Ctrl-C does not wait."""
    for worker in pool.workers:
        if worker.job is None:
            worker.process.kill()
        else:
            worker.process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    left = list(pool.workers)
    while left and time.monotonic() < deadline:
        for worker in list(left):
            try:
                while worker.connection.poll(0.05):
                    message = worker.connection.recv()
                    if isinstance(message, Ended) and worker.job is not None:
                        _end(pool, worker.job, message)
            except (EOFError, OSError):
                worker.process.join(1.0)
                left.remove(worker)


def signals_as_interrupt() -> AbstractContextManager[None]:
    """SIGTERM stops a sweep as Ctrl-C does; so does SIGUSR1, a batch system's warning."""
    return interrupt_on(signal.SIGTERM, signal.SIGUSR1)
