"""Timing a short stretch of real runs: the same loop as a sweep's, stopped after some seconds, nothing of it kept.

One process or several train the same shape on one device at the same time.
"""

import math
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from threading import BrokenBarrierError

from harness.calibrate.muon import time_step
from harness.errors import UserError
from harness.interrupts import held_back, let_in
from harness.launch.retry import is_retryable
from harness.tracking.config import TrackerConfig
from harness.train.job import Job, PreemptedError, StepReport, Watch
from harness.train.launched import one_process

ROW_STEPS = 5  # steps a curve row: some rows in every stretch, even of a model whose steps are long
# Reads of the curve that are not timed: during the first the run warms up and compiles, during the second it has waited
# for the runs that are timed beside it.
WARM_UP = 2
WAIT_SECONDS = 900.0  # for the slowest of them to compile

NEVER = 1e9  # seconds: no checkpoint is due in a stretch


@dataclass(frozen=True)
class Stretch:
    """What was timed of one run.

    Attributes:
        step_seconds: of a step, over the steps between two reads of the curve, in order.
        startup_seconds: from the call to the first read, less what its steps should take: building the model,
            opening the data, compiling.
        muon_seconds: of Muon's part of a step, timed by itself afterwards; 0 where it has none.
    """

    step_seconds: tuple[float, ...]
    startup_seconds: float
    muon_seconds: float = 0.0

    def __post_init__(self) -> None:
        assert self.step_seconds, "a stretch has at least one read"


def train_stretch(job: Job, seconds: float, ready: Callable[[], None]) -> Stretch:
    """Train ``job`` for about ``seconds`` after the first read of its curve; ``ready`` is called at that.

    However long its steps are, it is trained until there is a read after the first :data:`WARM_UP`, which are used only
    where the whole run has no other.
    """
    from harness.train.device import choose_device
    from harness.train.run import train_cell  # torch: only here, after the environment is set

    speeds: list[float] = []  # one a read, which on a GPU is of many rows
    began = time.monotonic()
    first = deadline = math.inf
    done = 0  # steps at the first read

    def report(row: StepReport) -> None:
        nonlocal first, deadline, done
        if not speeds:
            first = time.monotonic() - began
            ready()
            deadline = time.monotonic() + seconds
        if not speeds or row.tokens_per_second != speeds[-1]:
            speeds.append(row.tokens_per_second)
        if len(speeds) == 1:
            done = row.step

    def should_stop() -> bool:
        return len(speeds) > WARM_UP and time.monotonic() > deadline

    steps, batch = job.cell.spec.steps, job.cell.spec.batch_tokens
    row_steps = min(ROW_STEPS, max(1, steps // 4))
    train = replace(job.train, log_points=max(1, steps // row_steps), checkpoint_seconds=NEVER)
    with suppress(PreemptedError):
        train_cell(replace(job, train=train), Watch(report, should_stop, lambda text: None))
    times = tuple(batch / speed for speed in speeds[WARM_UP:] or speeds[-1:])
    device = choose_device(job.train.device, job.cell.spec.precision)
    muon = time_step(job.cell.spec, device.kind)
    return Stretch(times, max(0.0, first - done * median(times)), muon)


@dataclass(frozen=True)
class Speed:
    """One job trained by every one of some runs at once.

    Attributes:
        step_seconds: of one run's step, the median over runs and reads of their curves.
        low, high: quartiles over these.
        startup_seconds: of one run, the median over runs; ``muon_seconds`` of Muon's part of a step likewise.
    """

    step_seconds: float
    low: float
    high: float
    startup_seconds: float
    muon_seconds: float = 0.0

    def __post_init__(self) -> None:
        steps = 0 < self.low <= self.step_seconds <= self.high < math.inf
        parts = all(0 <= seconds < math.inf for seconds in (self.startup_seconds, self.muon_seconds))
        if not (steps and parts):
            raise ValueError(f"not times in seconds: {self}")


@dataclass(frozen=True)
class MeasuredDevice:
    """The device that the processes found; ``peak`` is its peak FLOP/s, None where it is not known."""

    name: str
    precision: str
    peak: float | None


class DoesNotFitError(Exception):
    """So many runs at once do not fit the device's memory."""


def train_side_by_side(
    jobs: Sequence[Job], runs: int, seconds: float, environment: Mapping[str, str]
) -> tuple[MeasuredDevice, list[Speed]]:
    """Time ``jobs`` one after another, each trained by ``runs`` processes that begin its stretch together.

    Args:
        environment: of the processes, set before torch is imported.

    Raises:
        DoesNotFitError: the device ran out of memory.
        UserError: a process failed in another way.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(runs)
    with ExitStack() as stack:
        pipes = []
        for _ in range(runs):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isoflop-calibrate-")))
            mine = [replace(job, sweep=folder, tracker=TrackerConfig(name="none")) for job in jobs]
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(theirs, barrier, mine, seconds, dict(environment)), daemon=True
            )
            with held_back():
                process.start()
            stack.push(_ender(process))
            theirs.close()
            pipes.append(ours)
        answers = [_answer(pipe) for pipe in pipes]
    failures = [answer for answer in answers if isinstance(answer, Exception)]
    if (
        failures
    ):  # the error of the process that failed first says more than those of the processes that waited for it
        raise min(failures, key=lambda failure: not isinstance(failure, UserError))
    device, _ = answers[0]  # type: ignore[misc]
    stretches = [stretches for _, stretches in answers]  # type: ignore[misc]
    return device, [_speed(list(same)) for same in zip(*stretches, strict=True)]


def _ender(process: BaseProcess) -> Callable[..., None]:
    """An exit callback that ends ``process``, which is about to end by itself unless the caller was interrupted."""

    def end(kind: type[BaseException] | None, *_: object) -> None:
        process.join(10 if kind is None else 0)
        process.kill()
        process.join(10)

    return end


def _answer(pipe: Connection) -> tuple[MeasuredDevice, list[Stretch]] | Exception:
    try:
        return pipe.recv()
    except EOFError:
        return UserError(
            "calibrate: a process ended without an error message; try one of the runs with 'isoflop train'"
        )


def _speed(stretches: list[Stretch]) -> Speed:
    times = sorted(seconds for stretch in stretches for seconds in stretch.step_seconds)
    startups = sorted(stretch.startup_seconds for stretch in stretches)
    return Speed(
        times[len(times) // 2],
        times[len(times) // 4],
        times[(3 * len(times)) // 4],
        startups[len(startups) // 2],
        median(stretch.muon_seconds for stretch in stretches),
    )


def _work(
    pipe: Connection, barrier: Barrier, jobs: list[Job], seconds: float, environment: Mapping[str, str]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, which ends this process
    let_in()
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    one_process()
    os.environ.update(environment)
    from harness.train.device import choose_device  # only now: torch reads the environment

    try:
        device = choose_device(jobs[0].train.device, jobs[0].cell.spec.precision)
        stretches = [train_stretch(job, seconds, lambda: _together(barrier)) for job in jobs]
        pipe.send((MeasuredDevice(device.name, device.precision, device.peak), stretches))
    except BrokenBarrierError:
        pipe.send(DoesNotFitError("another of the runs failed"))
    except Exception as error:
        barrier.abort()
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        # an error that a pool would retry with the run alone on the device; one of a device that does not work is not
        full = is_retryable(error) and not isinstance(error, UserError)
        pipe.send(DoesNotFitError(said) if full else UserError(f"calibrate: {said}"))


def _leave_with_parent() -> None:
    """End this process when the one that started it has ended, even in the middle of compiling or waiting."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a process of multiprocessing has one"
    parent.join()
    os._exit(1)


def _together(barrier: Barrier) -> None:
    barrier.wait(WAIT_SECONDS)
