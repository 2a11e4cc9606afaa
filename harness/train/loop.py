"""From the last checkpoint to the horizon: steps, curve rows, checkpoints, and when to stop."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator

from harness.plan.spec import RunSpec
from harness.train.checkpoint import Progress, save_checkpoint
from harness.train.job import DivergedError, PreemptedError, Watch
from harness.train.stepper import Stepper

AGREE_STEPS = (
    8  # GPUs ask each other this seldom whether to stop: the answer makes the CPU wait for the device
)
BLOW_UP = 1.5  # a mean loss this many times that of guessing (ln V) is no training any more


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
    ) -> None:
        """``model`` and ``optimizer`` are the unwrapped ones, as checkpoints know them; ``notes`` may still grow."""
        self.progress = progress
        self._accelerator, self._model, self._optimizer = accelerator, model, optimizer
        self._stepper, self._checkpoints, self._notes = stepper, checkpoints, notes
        self._seconds_before, self._started = progress.seconds, time.monotonic()

    def seconds(self) -> float:
        """Training time so far, over all attempts."""
        return self._seconds_before + time.monotonic() - self._started

    def run(self, spec: RunSpec, pace: Pace, on_row: Callable[[Row], None], watch: Watch) -> float | None:
        """Step to the horizon; returns the last row's loss (None when nothing was left to do).

        Raises:
            PreemptedError: asked to stop, after writing a checkpoint.
            DivergedError: the loss is not finite or blew up; ``progress`` has the step.
        """
        self._started = time.monotonic()  # not when a tracker was still connecting
        mine = self.progress.loss_sum if self._accelerator.is_main_process else 0.0
        total = torch.tensor(mine, dtype=torch.float64, device=self._accelerator.device)
        count = self.progress.loss_steps
        row_step, row_time = self.progress.step, time.monotonic()
        saved, mean = time.monotonic(), None
        for step in range(self.progress.step + 1, spec.steps + 1):
            stop, due = self._agree(
                step, watch.should_stop(), time.monotonic() - saved > pace.checkpoint_seconds
            )
            if stop or due:
                self._save(step - 1, total, count)
                saved = time.monotonic()
            if stop:
                raise PreemptedError(
                    f"stopped after step {step - 1} of {spec.steps}; a checkpoint was written"
                )
            loss, norm = self._stepper.step(step)
            total += loss
            count += 1
            if step % pace.row_steps == 0 or step == spec.steps:
                mean = self._sum(total) / count
                total.zero_()
                count = 0
                now = time.monotonic()
                speed = (step - row_step) * spec.batch_tokens / max(now - row_time, 1e-9)
                row_step, row_time = step, now
                self.progress = replace(self.progress, step=step)
                on_row(Row(step, self._stepper.rate(step), mean, float(norm), speed))
                _check(mean, step, spec.shape.vocab_size)
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

    def _sum(self, total: torch.Tensor) -> float:
        return float(self._accelerator.reduce(total.clone(), "sum"))

    def _save(self, step: int, total: torch.Tensor, count: int) -> None:
        loss_sum = self._sum(total)
        self.progress = Progress(step, loss_sum, count, self.seconds(), tuple(self._notes))
        if self._accelerator.is_main_process:
            save_checkpoint(self._checkpoints, self._model, self._optimizer, self.progress)


def _check(loss: float, step: int, vocab_size: int) -> None:
    if not math.isfinite(loss):
        raise DivergedError(f"the loss is {loss} at step {step}")
    if loss > BLOW_UP * math.log(vocab_size):
        raise DivergedError(
            f"the loss blew up to {loss:.3g} by step {step} (guessing gives {math.log(vocab_size):.3g})"
        )
