"""From the last checkpoint to the horizon: steps, curve rows, checkpoints, and when to stop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from accelerate import Accelerator

from harness.plan.spec import RunSpec
from harness.train.branch import Branch
from harness.train.checkpoint import Progress, save_checkpoint
from harness.train.job import PreemptedError, Watch
from harness.train.stepper import Stepper
from harness.train.tally import Tally, check_loss

# GPUs ask each other this seldom whether to stop: the answer makes the CPU wait for the device
AGREE_STEPS = 8
# a large model on a slow disk would otherwise write most of the time
SAVES_SHARE = 1 / 20


@dataclass(frozen=True)
class Row:
    """One row of the curve: ``loss`` is the mean training loss since the row before, nats per token."""

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
    """Trains one run. ``progress`` always says where it stands."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        stepper: Stepper,
        checkpoints: Path,
        progress: Progress,
        notes: list[str],
        branches: Sequence[Branch] = (),
    ) -> None:
        """``model`` and ``optimizer`` are the unwrapped ones, as checkpoints know them; ``notes`` may still grow.

        ``branches`` fork from this run at this step or later.
        """
        self.progress = progress
        self._accelerator, self._model, self._optimizer = accelerator, model, optimizer
        self._stepper, self._checkpoints, self._notes = stepper, checkpoints, notes
        self._branches = list(branches)
        self._speeds: list[float] = []
        self._seconds_before, self._started = progress.seconds, time.monotonic()

    def seconds(self) -> float:
        """Training time so far, over all attempts."""
        return self._seconds_before + time.monotonic() - self._started

    def tokens_per_second(self) -> float | None:
        """Of the steps so far, the median over rows but the first, which warms up; None before there is a row."""
        speeds = self._speeds[1:] or self._speeds
        return median(speeds) if speeds else None

    def run(self, spec: RunSpec, pace: Pace, on_row: Callable[[Row], None], watch: Watch) -> float | None:
        """Step to the horizon; returns the last row's loss (None when nothing was left to do).

        Raises:
            PreemptedError: asked to stop, after writing a checkpoint.
            DivergedError: the loss is not finite or blew up; ``progress`` has the step.
        """
        self._started = time.monotonic()  # not when a tracker was still connecting
        tally = Tally(self._accelerator, self.progress.loss_sum, self.progress.loss_steps)
        row_step, row_time = self.progress.step, time.monotonic()
        saved, wait, mean = time.monotonic(), pace.checkpoint_seconds, None
        for step in range(self.progress.step + 1, spec.steps + 1):
            # before a checkpoint of this step: then whoever resumes from that has left it
            self._leave(step - 1)
            stop, due = self._agree(step, watch.should_stop(), time.monotonic() - saved > wait)
            if stop or due:
                began = time.monotonic()
                self._save(step - 1, tally)
                saved = time.monotonic()
                wait = max(pace.checkpoint_seconds, (saved - began) / SAVES_SHARE)
            if stop:
                raise PreemptedError(
                    f"stopped after step {step - 1} of {spec.steps}; a checkpoint was written"
                )
            loss, norm = self._stepper.step(step)
            tally.add(loss)
            for branch in self._branches:
                branch.add(step, loss, norm)
            if step % pace.row_steps == 0 or step == spec.steps:
                mean = tally.take_mean()
                now = time.monotonic()
                speed = (step - row_step) * spec.batch_tokens / max(now - row_time, 1e-9)
                row_step, row_time = step, now
                self._speeds.append(speed)
                self.progress = replace(self.progress, step=step)
                on_row(Row(step, self._stepper.rate(step), mean, float(norm), speed))
                check_loss(mean, step, spec.shape.vocab_size)
        assert self.progress.step == spec.steps, "a run ends on its horizon, neither before nor after"
        return mean

    def _agree(self, step: int, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true where it is true in any process: processes must stop and save at the same step."""
        if self._accelerator.num_processes == 1:
            return flags
        if self._accelerator.device.type == "cuda" and step % AGREE_STEPS:
            return tuple(False for _ in flags)
        tensor = torch.tensor([float(flag) for flag in flags], device=self._accelerator.device)
        return tuple(bool(value) for value in self._accelerator.reduce(tensor, "sum").tolist())

    def _leave(self, step: int) -> None:
        """A checkpoint for every run that forks after ``step``."""
        for branch in [branch for branch in self._branches if branch.step == step]:
            branch.leave(self._model, self._optimizer, self.seconds(), tuple(self._notes))
            self._branches.remove(branch)

    def _save(self, step: int, tally: Tally) -> None:
        self.progress = replace(
            self.progress,
            step=step,
            loss_sum=tally.sum(),
            loss_steps=tally.steps,
            seconds=self.seconds(),
            notes=tuple(self._notes),
            micro_batch=self._stepper.reduced,
            branches={branch.run_id: branch.state() for branch in self._branches},
        )
        if self._accelerator.is_main_process:
            save_checkpoint(self._checkpoints, self._model, self._optimizer, self.progress)
