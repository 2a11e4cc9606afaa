"""A process that trains one cell after another: libraries are imported once, not once a cell."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from harness.errors import UserError
from harness.runs.lock import exclusive
from harness.train.job import Job, PreemptedError, StepReport, Watch


@dataclass(frozen=True)
class Ended:
    """A worker's last word on a cell: ``status`` is the record's, ``failed`` or ``stopped``."""

    run_id: str
    status: str
    loss: float | None = None
    seconds: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class Ready:
    """The worker has its libraries and waits for a job."""


def work(connection: Connection) -> None:
    """Take jobs from ``connection`` until it closes; send a :class:`StepReport` at every curve row."""
    stop = _StopFlag()
    from harness.train.run import train_cell  # torch and transformers: seconds, once

    connection.send(Ready())
    while True:
        try:
            job = connection.recv()
        except (EOFError, OSError):
            return
        ended = _train(job, connection, stop, train_cell)
        try:
            connection.send(ended)
        except OSError:
            return
        if ended.status == "stopped":
            return


def _train(job: Job, connection: Connection, stop: "_StopFlag", train_cell) -> Ended:  # type: ignore[no-untyped-def]
    run_id = job.cell.run_id
    started = time.monotonic()

    def report(step: StepReport) -> None:
        try:
            connection.send(step)
        except OSError:
            stop.set()  # the sweep is gone; keep what there is and leave

    watch = Watch(report=report, should_stop=stop, warn=lambda text: print(text, file=sys.stderr))
    with exclusive(job.folder.path), _output_to(job.folder.log):
        try:
            record = train_cell(job, watch)
        except PreemptedError as error:
            print(error, file=sys.stderr)
            return Ended(run_id, "stopped", reason=str(error))
        except (UserError, Exception) as error:  # one bad cell must not take the worker, or the sweep, with it
            traceback.print_exc()
            return Ended(run_id, "failed", reason=f"{type(error).__name__}: {error}")
    return Ended(run_id, record.status, record.loss, time.monotonic() - started, record.reason)


class _StopFlag:
    """True once the process got SIGTERM or SIGUSR1, or lost its parent. Ctrl-C is the parent's to handle."""

    def __init__(self) -> None:
        self._asked = False
        self._parent = os.getppid()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda *_: self.set())

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
        for descriptor in (log, *kept):
            os.close(descriptor)
