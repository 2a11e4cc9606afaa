"""The training loop: from the last checkpoint to the horizon, with curve rows, checkpoints and stops on the way."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import torch
from accelerate import Accelerator

from harness.plan.spec import RunSpec
from harness.train.branch import Branch
from harness.train.checkpoint import RunState
from harness.train.device import Backlog
from harness.train.job import PreemptedError, Watch
from harness.train.meter import CurveRow, LossMeter, check_loss
from harness.train.saver import Saver
from harness.train.stepper import Stepper

# Steps between two questions of GPUs to each other what to do: each answer makes the CPU wait for the device.
AGREE_STEPS = 8
# So does reading rows of the curve: at least these seconds lie between two reads. On a CPU a row is read as it ends.
# Which rows there are is part of the run and depends on no clock.
READ_SECONDS = {"cpu": 0.0, "cuda": 0.2}


@dataclass(frozen=True)
class WriteIntervals:
    """How often a loop writes: a curve row every ``row_steps`` steps, a checkpoint every ``checkpoint_seconds``."""

    row_steps: int
    checkpoint_seconds: float


class Loop:
    """Trains one run. ``state`` always says where it stands, and ``rows`` its curve, as far as rows were read."""

    def __init__(
        self,
        accelerator: Accelerator,
        stepper: Stepper,
        saver: Saver,
        state: RunState,
        notes: list[str],
        branches: Sequence[Branch] = (),
    ) -> None:
        """``state`` is that of the checkpoint; ``notes`` may still grow; ``branches`` lie at its step or later."""
        self.state = state
        self.rows = list(state.rows)
        self._accelerator, self._stepper, self._saver, self._notes = accelerator, stepper, saver, notes
        self._branches = list(branches)
        self._meter = LossMeter(accelerator, state.loss_sum, state.loss_steps)
        self._backlog = Backlog(accelerator.device)
        self._read_seconds = READ_SECONDS[accelerator.device.type]
        self._read_step, self._read_time = state.step, time.monotonic()
        self._speeds: list[float] = []
        self._seconds_before, self._started = state.seconds, time.monotonic()

    def seconds(self) -> float:
        """Training time so far, over all attempts."""
        return self._seconds_before + time.monotonic() - self._started

    def tokens_per_second(self) -> float | None:
        """Speed of this attempt: the median over all reads but the first, which warms up; None before there is one."""
        speeds = self._speeds[1:] or self._speeds
        return median(speeds) if speeds else None

    def run(
        self,
        spec: RunSpec,
        every: WriteIntervals,
        on_row: Callable[[CurveRow, float], None],
        watch: Watch,
    ) -> float | None:
        """Step to the horizon; returns the last row's loss (None where there is no row).

        Args:
            on_row: gets each row of the curve when it is read, and the tokens per second of the steps that were done
                by then and not yet at the read before.

        Raises:
            PreemptedError: asked to stop, after writing a checkpoint; or the run is another's, and none was written.
            DivergedError: the loss is not finite or blew up; ``state`` has the step.
            OSError: a checkpoint could not be written.
        """
        self._started = self._read_time = time.monotonic()  # not when a tracker was still connecting

        def read(done: int) -> None:
            rows, speed = self._read(spec, done)
            for row in rows:
                self.rows.append(row)
                self.state = replace(self.state, step=row.step)
                on_row(row, speed)
                check_loss(row.loss, row.step, spec.shape.vocab_size)

        try:
            for step in range(self.state.step + 1, spec.steps + 1):
                branching = [branch for branch in self._branches if branch.step == step - 1]
                if branching:
                    read(step - 1)
                    # before a checkpoint of this step: who resumes from that knows that the branches have theirs
                    self._save_branches(branching)
                stop, save, late = self._agree(
                    step, watch.must_stop(), self._save_is_due(every), self._read_is_due()
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
                self._meter.add(loss)
                for branch in self._branches:
                    branch.add(step, loss, norm)
                if step % every.row_steps == 0 or step == spec.steps:
                    self._meter.end_row(step, norm)
                    if not self._read_seconds or step == spec.steps:
                        read(step)
        finally:
            self._saver.close()
        assert self.state.step == spec.steps, "a run ends on its horizon, neither before nor after"
        return self.rows[-1].loss if self.rows else None

    def _save_is_due(self, every: WriteIntervals) -> bool:
        return self._accelerator.is_main_process and self._saver.is_due(every.checkpoint_seconds)

    def _read_is_due(self) -> bool:
        return self._meter.has_unread and time.monotonic() - self._read_time >= self._read_seconds

    def _read(self, spec: RunSpec, done: int) -> tuple[list[CurveRow], float]:
        """The rows that were not read yet, and the tokens per second since the last read that had some.

        The CPU waits until the device has done ``done`` steps.
        """
        rows = self._meter.read_rows()
        if not rows:
            return [], 0.0
        now = time.monotonic()
        speed = (done - self._read_step) * spec.batch_tokens / max(now - self._read_time, 1e-9)
        self._read_step, self._read_time = done, now
        self._speeds.append(speed)
        return rows, speed

    def _agree(self, step: int, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true where it is true in any process: processes must stop, save and read at the same step."""
        if self._accelerator.num_processes == 1:
            return flags
        if self._accelerator.device.type == "cuda" and step % AGREE_STEPS:
            return tuple(False for _ in flags)
        tensor = torch.tensor([float(flag) for flag in flags], device=self._accelerator.device)
        return tuple(bool(value) for value in self._accelerator.reduce(tensor, "sum").tolist())

    def _save_branches(self, branches: Sequence[Branch]) -> None:
        """Write a checkpoint for each of ``branches``, whose branch point is the last step."""
        for branch in branches:
            branch.save(self._saver, self.seconds(), tuple(self._notes))
            self._branches.remove(branch)

    def _save(self, step: int) -> None:
        self.state = replace(
            self.state,
            step=step,
            rows=tuple(self.rows),
            loss_sum=self._meter.sum(),
            loss_steps=self._meter.steps,
            seconds=self.seconds(),
            notes=tuple(self._notes),
            micro_batch=self._stepper.reduced,
            branches={branch.run_id: branch.state() for branch in self._branches},
        )
        if self._accelerator.is_main_process:
            self._saver.save(self.state)
