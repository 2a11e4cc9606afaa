"""A device, and runs on it. Runs are driven by what a sweep drives them with: a job, and who watches it."""

import math
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState

from harness.runs.curve import curve_rows
from harness.runs.record import Record
from harness.tracking.config import TrackerConfig
from harness.train.job import PreemptedError, StepReport, Watch
from harness.train.run import train_cell
from scripts.cases import Case, byte_corpus, make_case, plain_shape
from scripts.loops import wait


@dataclass
class Ran:
    """What a run did.

    Attributes:
        record: None where it was stopped.
        began, ended: of the call; ``first_step`` when the first step was about to begin, ``last_row`` when the last
            curve row was there: behind it comes the evaluation, or the checkpoint of a run that was stopped.
    """

    record: Record | None = None
    began: float = field(default_factory=time.perf_counter)
    first_step: float = math.nan
    first_row: float = math.nan
    last_row: float = math.nan
    stopped: float = math.nan
    ended: float = math.nan
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)


# By about their parameters: width, layers, width of a head, and sequences per step, of one_gpu's ladder with the
# batches of its recipe; and the toys that stand for them on a CPU.
ON_CUDA = {
    "1M": (160, 3, 32, 14),
    "3M": (256, 4, 32, 32),
    "9M": (352, 6, 32, 62),
    "36M": (576, 9, 64, 154),
    "100M": (832, 13, 64, 320),
}
ON_CPU = {
    "1M": (16, 1, 8, 4),
    "3M": (24, 2, 8, 4),
    "9M": (32, 2, 8, 4),
    "36M": (40, 2, 8, 6),
    "100M": (48, 2, 8, 6),
}


class World:
    """The device, and what it trains."""

    def __init__(self, device: str, cache: Path) -> None:
        self.device, self.cuda = device, device == "cuda"
        self.corpus = byte_corpus(cache)
        self.shapes = ON_CUDA if self.cuda else ON_CPU
        self.seq_len = 1024 if self.cuda else 64

    def case(
        self,
        width: int,
        layers: int,
        head: int,
        sequences: int,
        steps: int,
        seq_len: int | None = None,
        family: str = "llama",
        vocabulary: int = 256,
    ) -> Case:
        """A run of ``steps`` steps; its evaluation is of one sequence."""
        seq_len = seq_len or self.seq_len
        shape = plain_shape(width, layers, head, seq_len, family, vocabulary)
        return make_case(shape, sequences, seq_len, steps, self.corpus)

    def run(
        self,
        case: Case,
        folder: Path | None = None,
        before: Callable[[int], bool | None] = lambda step: None,
        on: str = "",
        **train: Any,
    ) -> Ran:
        """Train ``case`` eagerly, with a curve row every four steps, unless ``train`` says otherwise.

        Args:
            folder: of the sweep; None is one that is thrown away.
            before: called before every step with its number in this call; True stops the run there.
            on: the device, where it is another than this one.
        """
        ran = Ran()
        number = 0

        def should_stop() -> bool:
            nonlocal number
            number += 1
            if number == 1:
                ran.first_step = time.perf_counter()
            stop = before(number) is True
            if stop:
                ran.stopped = time.perf_counter()
            return stop

        def report(row: StepReport) -> None:
            ran.last_row = time.perf_counter()
            if not ran.losses:
                ran.first_row = ran.last_row
            ran.losses.append(row.loss)

        if on:  # Accelerate takes a process to have one device, whatever it is told later
            AcceleratorState._reset_state(reset_partial_state=True)
        rows = max(1, case.cell.spec.steps // 4)
        options = {"device": on or self.device, "compile": "off", "log_points": rows, **train}
        with tempfile.TemporaryDirectory() as name:
            job = case.job(folder or Path(name), TrackerConfig(name="none"), **options)
            with suppress(PreemptedError):
                ran.record = train_cell(job, Watch(report, should_stop, lambda text: None))
            ran.ended = time.perf_counter()
            if ran.record is not None:
                ran.norms = [row["grad_norm"] for row in curve_rows(job.folder.curve)]
        if on:
            AcceleratorState._reset_state(reset_partial_state=True)
        return ran

    def wait(self) -> None:
        """Until the device has nothing left to do."""
        wait(self.device)

    def finished(self, ran: Ran) -> Record:
        """The record of a run that was not stopped."""
        assert ran.record is not None
        assert ran.record.status == "finished", ran.record.reason
        assert ran.record.loss is not None
        return ran.record


def gib(amount: float) -> str:
    """Bytes for people."""
    return f"{amount / 2**30:.2f} GiB"


def apart(a: Ran, b: Ran) -> float:
    """Largest difference between two runs' curves of gradient norms, as a share."""
    return max(abs(x / y - 1) for x, y in zip(a.norms, b.norms, strict=True))


def seconds_until(ran: Ran) -> str:
    """To the first row, and in all."""
    return f"first row after {ran.first_row - ran.began:.1f} s, all {ran.ended - ran.began:.1f} s"
