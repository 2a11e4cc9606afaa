"""A short stretch of a real run: the same loop, stopped after some seconds, its checkpoint thrown away."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import median

from harness.train.job import Job, PreemptedError, StepReport, Watch

ROW_STEPS = 5  # steps a curve row: some rows in every stretch, even of a model whose steps are long


@dataclass(frozen=True)
class Stretch:
    """What was timed of one run.

    Attributes:
        step_seconds: of a step, over each curve row of the stretch, in order.
        startup_seconds: from the call to the first curve row, less what its steps should take: building the model,
            opening the data, compiling.
    """

    step_seconds: tuple[float, ...]
    startup_seconds: float

    def __post_init__(self) -> None:
        assert self.step_seconds, "a stretch has at least one row"


def train_stretch(job: Job, seconds: float, ready: Callable[[], None]) -> Stretch:
    """Train ``job`` for about ``seconds`` after its first curve row; ``ready`` is called at that row.

    The first row, which warms up, counts only in a run that is over before it has a second.
    """
    from harness.train.run import train_cell  # torch: only where it is wanted, after the environment is set

    rows: list[StepReport] = []
    began = time.monotonic()
    first = deadline = math.inf

    def report(row: StepReport) -> None:
        nonlocal first, deadline
        if not rows:
            first = time.monotonic() - began
            ready()
            deadline = time.monotonic() + seconds
        rows.append(row)

    steps, batch = job.cell.spec.steps, job.cell.spec.batch_tokens
    row_steps = min(ROW_STEPS, max(1, steps // 4))
    train = replace(job.train, log_points=max(1, steps // row_steps), checkpoint_seconds=math.inf)
    watch = Watch(report, lambda: time.monotonic() > deadline, lambda text: None)
    with suppress(PreemptedError):
        train_cell(replace(job, train=train), watch)
    times = tuple(batch / row.tokens_per_second for row in rows[1:] or rows)
    return Stretch(times, max(0.0, first - rows[0].step * median(times)))
