"""A short stretch of a real run: the same loop, stopped after some seconds, its checkpoint thrown away."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import median

from harness.train.job import Job, PreemptedError, StepReport, Watch

ROW_STEPS = 5  # a curve row makes the CPU wait for the device; more often, small models would be slowed by it


@dataclass(frozen=True)
class Stretch:
    """One shape's speed.

    Attributes:
        params: its size N.
        flops_per_second: achieved training FLOP/s (Appendix F) over each curve row of the stretch, in order.
        startup_seconds: from the call to the first curve row, less what its steps should take, and what the
            evaluation should take at the same speed (a third of training's FLOPs a token).
    """

    params: int
    flops_per_second: tuple[float, ...]
    startup_seconds: float

    def __post_init__(self) -> None:
        assert self.flops_per_second, "a stretch has at least one row"


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
    speeds = [row.tokens_per_second for row in rows[1:] or rows]
    per_token = job.cell.flops_by_count["appendix_f"] / job.cell.tokens
    start = max(0.0, first - rows[0].step * batch / median(speeds))
    evaluation = job.cell.spec.eval_tokens / 3 / median(speeds)
    return Stretch(job.cell.params.total, tuple(speed * per_token for speed in speeds), start + evaluation)
