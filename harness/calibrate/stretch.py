"""A short stretch of a real run: the same loop, stopped after some seconds, its checkpoint thrown away."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import median

from harness.train.job import Job, PreemptedError, StepReport, Watch

ROW_STEPS = 5  # steps a curve row: some rows in every stretch, even of a model whose steps are long


# Reads that tell no speed: the first warms up and compiles, the second has waited for the runs that are timed beside it
WARM_UP = 2


@dataclass(frozen=True)
class Stretch:
    """What was timed of one run.

    Attributes:
        step_seconds: of a step, over the steps between two reads of the curve, in order.
        startup_seconds: from the call to the first read, less what its steps should take: building the model,
            opening the data, compiling.
    """

    step_seconds: tuple[float, ...]
    startup_seconds: float

    def __post_init__(self) -> None:
        assert self.step_seconds, "a stretch has at least one read"


def train_stretch(job: Job, seconds: float, ready: Callable[[], None]) -> Stretch:
    """Train ``job`` for about ``seconds`` after the first read of its curve; ``ready`` is called at that.

    However long its steps are, it is trained until one read is not among the :data:`WARM_UP` first, which count only
    in a run that is over before.
    """
    from harness.train.run import train_cell  # torch: only where it is wanted, after the environment is set

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
    train = replace(job.train, log_points=max(1, steps // row_steps), checkpoint_seconds=math.inf)
    with suppress(PreemptedError):
        train_cell(replace(job, train=train), Watch(report, should_stop, lambda text: None))
    times = tuple(batch / speed for speed in speeds[WARM_UP:] or speeds[-1:])
    return Stretch(times, max(0.0, first - done * median(times)))
