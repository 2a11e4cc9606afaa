"""A process that does one job after another: libraries are imported once, not once a cell."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from harness.errors import UserError
from harness.interrupts import let_in
from harness.launch.ranks import RanksError, train_on_ranks
from harness.launch.retry import is_retryable
from harness.runs.claim import Claim, holder, take
from harness.train.job import End, Job, PreemptedError, StepReport, Watch
from harness.train.launched import one_process

HELD, STOPPED = "held", "stopped"


@dataclass(frozen=True)
class Task:
    """A cell to train, with the tokens of dead claims that may be followed."""

    job: Job
    dead: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """A worker's last word on a cell.

    Attributes:
        status: the record's, or ``failed``, ``stopped``, or ``held`` where another trains it.
        retryable: another attempt may well succeed.
    """

    run_id: str
    status: str
    loss: float | None = None
    seconds: float = 0.0
    reason: str = ""
    retryable: bool = False


@dataclass(frozen=True)
class Ready:
    """The worker has its libraries and waits for a task."""


@dataclass(frozen=True)
class Setting:
    """What a worker is told once: processes a run, and variables of its environment (which GPUs are its, say)."""

    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


def work(connection: Connection, setting: Setting) -> None:
    """Take tasks from ``connection`` until it closes; send a :class:`StepReport` at every curve row."""
    stop = _StopFlag()
    one_process()  # several of them are started by torchrun
    os.environ.update(setting.environment)
    execute = _executor(setting.processes)
    try:
        connection.send(Ready())
        while True:
            ended = _do(connection.recv(), connection, stop, execute)
            connection.send(ended)
            # after a failure of the device or its memory a fresh process is the safer one
            if ended.status == STOPPED or ended.retryable:
                return
    except (EOFError, OSError):
        return


def _executor(processes: int) -> Callable[[Job, Watch], End]:
    if processes == 1:
        import harness.train.run  # noqa: F401  (torch and transformers: seconds, once, before the worker is ready)

    def execute(job: Job, watch: Watch) -> End:
        if processes == 1 or job.kind != Job.kind:  # only training is shared by several processes
            return job.execute(watch)
        record = train_on_ranks(job, watch, processes)
        return End(record.status, record.loss, record.seconds, record.reason)

    return execute


def _do(task: Task, connection: Connection, stop: "_StopFlag", execute: Callable[[Job, Watch], End]) -> Ended:
    job = task.job
    try:
        claim = take(job.folder.path, task.dead)
        if claim is None:
            return _held(job)
        with claim, _output_to(job.folder.log):
            return _do_claimed(job, claim, connection, stop, execute)
    except OSError as error:  # no claim or no log can be made there; the connection's end is not among these
        return _failed(job.cell.run_id, error)


def _do_claimed(
    job: Job,
    claim: Claim,
    connection: Connection,
    stop: "_StopFlag",
    execute: Callable[[Job, Watch], End],
) -> Ended:
    run_id, started = job.cell.run_id, time.monotonic()

    def report(step: StepReport) -> None:
        try:
            connection.send(step)
        except OSError:
            stop.set()  # the sweep is gone; keep what there is and leave

    def warn(text: str) -> None:
        print(text, file=sys.stderr)

    try:
        end = execute(job, Watch(report, stop, warn, claim))
    except PreemptedError as error:
        print(error, file=sys.stderr)
        if claim.lost and not stop():
            return _held(job)
        return Ended(run_id, STOPPED, reason=str(error))
    except Exception as error:  # one bad cell must not take the worker, or the sweep, with it
        traceback.print_exc()
        return _failed(run_id, error)
    return Ended(run_id, end.status, end.loss, time.monotonic() - started, end.reason)


def _held(job: Job) -> Ended:
    owner = holder(job.folder.path)
    return Ended(job.cell.run_id, HELD, reason=owner.label if owner else "")


def _failed(run_id: str, error: Exception) -> Ended:
    if isinstance(error, RanksError):
        return Ended(run_id, "failed", reason=str(error), retryable=error.retryable)
    reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    return Ended(run_id, "failed", reason=reason, retryable=is_retryable(error))


class _StopFlag:
    """True once the process got SIGTERM or SIGUSR1, or lost its parent. Ctrl-C is the parent's to handle."""

    def __init__(self) -> None:
        self._asked = False
        self._parent = os.getppid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda *_: self.set())
        let_in()

    def set(self) -> None:
        self._asked = True

    def __call__(self) -> bool:
        return self._asked or os.getppid() != self._parent


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Append all this process prints, libraries included, to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for handle in (*kept, log):
            os.close(handle)
