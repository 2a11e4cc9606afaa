"""From the last checkpoint to the horizon: steps, curve rows, checkpoints, and when to stop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from accelerate import Accelerator

from harness.plan.spec import RunSpec
from harness.train.branch import Branch
from harness.train.checkpoint import Progress, Saver
from harness.train.device import Backlog
from harness.train.job import PreemptedError, Watch
from harness.train.meter import Tally, check_loss
from harness.train.stepper import Stepper

# GPUs ask each other this seldom what to do: the answer makes the CPU wait for the device
AGREE_STEPS = 8
# and so does reading rows of the curve, so this much time lies between two reads; on a CPU a row is read as it ends.
# Which rows there are is part of the run and depends on no clock.
READ_SECONDS = {"cpu": 0.0, "cuda": 0.2}


@dataclass(frozen=True)
class Row:
    """One row of the curve: ``loss`` is the mean training loss since the row before, nats per token.

    ``tokens_per_second`` is the speed of the steps that were done when it was read and not yet at the read before.
    """

    step: int
    lr: float
    loss: float
    grad_norm: float
    tokens_per_second: float


@dataclass(frozen=True)
class Pace:
    """How often a loop writes: a curve row every ``row_steps`` steps, a checkpoint every so many seconds."""

    row_steps: int
    checkpoint_seconds: float


class Loop:
    """Trains one run. ``progress`` always says where it stands, as far as rows were read."""

    def __init__(
        self,
        accelerator: Accelerator,
        stepper: Stepper,
        saver: Saver,
        progress: Progress,
        notes: list[str],
        branches: Sequence[Branch] = (),
    ) -> None:
        """``notes`` may still grow; ``branches`` fork from this run at this step or later."""
        self.progress = progress
        self._accelerator, self._stepper, self._saver, self._notes = accelerator, stepper, saver, notes
        self._branches = list(branches)
        self._tally = Tally(accelerator, progress.loss_sum, progress.loss_steps)
        self._backlog = Backlog(accelerator.device)
        self._read_seconds = READ_SECONDS[accelerator.device.type]
        self._read_step, self._read_time = progress.step, time.monotonic()
        self._speeds: list[float] = []
        self._seconds_before, self._started = progress.seconds, time.monotonic()

    def seconds(self) -> float:
        """Training time so far, over all attempts."""
        return self._seconds_before + time.monotonic() - self._started

    def tokens_per_second(self) -> float | None:
        """Of the steps so far, the median over reads but the first, which warms up; None before there is one."""
        speeds = self._speeds[1:] or self._speeds
        return median(speeds) if speeds else None

    def run(self, spec: RunSpec, pace: Pace, on_row: Callable[[Row], None], watch: Watch) -> float | None:
        """Step to the horizon; returns the last row's loss (None when nothing was left to do).

        Raises:
            PreemptedError: asked to stop, after writing a checkpoint.
            DivergedError: the loss is not finite or blew up; ``progress`` has the step.
            OSError: a checkpoint could not be written.
        """
        self._started = self._read_time = time.monotonic()  # not when a tracker was still connecting
        mean = None

        def read(done: int) -> None:
            nonlocal mean
            for row in self._read(spec, done):
                mean = row.loss
                self.progress = replace(self.progress, step=row.step)
                on_row(row)
                check_loss(mean, row.step, spec.shape.vocab_size)

        try:
            for step in range(self.progress.step + 1, spec.steps + 1):
                leaving = [branch for branch in self._branches if branch.step == step - 1]
                if leaving:
                    read(step - 1)
                    # before a checkpoint of this step: then whoever resumes from that has left it
                    self._leave(leaving)
                stop, save, late = self._agree(
                    step, watch.should_stop(), self._save_is_due(pace), self._read_is_due()
                )
                if stop or save or late:
                    read(step - 1)
                if stop or save:
                    self._save(step - 1)
                if stop:
                    self._saver.wait()
                    raise PreemptedError(
                        f"stopped after step {step - 1} of {spec.steps}; a checkpoint was written"
                    )
                loss, norm = self._stepper.step(step)
                self._backlog.add_step()
                self._tally.add(loss)
                for branch in self._branches:
                    branch.add(step, loss, norm)
                if step % pace.row_steps == 0 or step == spec.steps:
                    self._tally.end_row(step, norm)
                    if not self._read_seconds or step == spec.steps:
                        read(step)
        finally:
            self._saver.close()
        assert self.progress.step == spec.steps, "a run ends on its horizon, neither before nor after"
        return mean

    def _save_is_due(self, pace: Pace) -> bool:
        return self._accelerator.is_main_process and self._saver.is_due(pace.checkpoint_seconds)

    def _read_is_due(self) -> bool:
        return self._tally.has_unread and time.monotonic() - self._read_time >= self._read_seconds

    def _read(self, spec: RunSpec, done: int) -> list[Row]:
        """The rows that were not read yet, once the device has done ``done`` steps, which the CPU waits for."""
        rows = self._tally.read_rows()
        if not rows:
            return []
        now = time.monotonic()
        speed = (done - self._read_step) * spec.batch_tokens / max(now - self._read_time, 1e-9)
        self._read_step, self._read_time = done, now
        self._speeds.append(speed)
        return [Row(row.step, self._stepper.rate(row.step), row.loss, row.grad_norm, speed) for row in rows]

    def _agree(self, step: int, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true where it is true in any process: processes must stop, save and read at the same step."""
        if self._accelerator.num_processes == 1:
            return flags
        if self._accelerator.device.type == "cuda" and step % AGREE_STEPS:
            return tuple(False for _ in flags)
        tensor = torch.tensor([float(flag) for flag in flags], device=self._accelerator.device)
        return tuple(bool(value) for value in self._accelerator.reduce(tensor, "sum").tolist())

    def _leave(self, branches: Sequence[Branch]) -> None:
        """A checkpoint for each of ``branches``, which fork after the last step."""
        for branch in branches:
            branch.leave(self._saver, self.seconds(), tuple(self._notes))
            self._branches.remove(branch)

    def _save(self, step: int) -> None:
        self.progress = replace(
            self.progress,
            step=step,
            loss_sum=self._tally.sum(),
            loss_steps=self._tally.steps,
            seconds=self.seconds(),
            notes=tuple(self._notes),
            micro_batch=self._stepper.reduced,
            branches={branch.run_id: branch.state() for branch in self._branches},
        )
        if self._accelerator.is_main_process:
            self._saver.save(self.progress)
