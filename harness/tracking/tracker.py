"""Mirroring a run to W&B, or to any tracker that Accelerate knows, in a thread of its own.

The run does not wait for the tracker but at its end, and goes on where the tracker fails.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from accelerate import Accelerator

from harness.runs.record import Record
from harness.tracking.client import (
    WANDB,
    Destination,
    close_run,
    forget_failed_start,
    init_options,
    next_step,
    wandb_mode,
)
from harness.tracking.config import TrackerConfig
from harness.tracking.files import summary_values

END_SECONDS = 30.0  # what a tracker gets, once the run has ended, to send what it still holds
EXIT_STOPPED = 75  # the run is not over: W&B then shows it as preempted, not as finished


@dataclass(frozen=True)
class TrackedRun:
    """How one run is known to a tracker: ``id`` is the run's id, ``group`` the sweep's name."""

    id: str
    name: str
    group: str
    folder: Path
    config: dict[str, Any]


class Tracker:
    """Calls Accelerate's trackers, in a thread of its own, until one fails; then says so once and stays silent."""

    def __init__(
        self, accelerator: Accelerator, config: TrackerConfig, run: TrackedRun, warn: Callable[[str], None]
    ) -> None:
        self._accelerator, self._config, self._run, self._warn = accelerator, config, run, warn
        self._known = 0  # the tracker has the steps before this one
        self._alive = config.name != "none" and accelerator.is_main_process
        self._background = Background(self._failed) if self._alive else None
        self._call(self._start)

    def log(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Rows of the curve, each with its ``step``; those that the tracker has from before a resume are skipped."""
        for row in rows:
            self._call(self._log, dict(row))

    def summary(self, record: Record) -> None:
        """The run's record: W&B's summary where that is the tracker, a last point elsewhere."""
        self._call(self._summary, record)

    def finish(self, exit_code: int = 0) -> None:
        """Send what is left and close, in at most about :data:`END_SECONDS`."""
        self._call(self._end, exit_code)
        if self._background and not self._background.close(END_SECONDS):
            self._failed(TimeoutError(f"no end after {END_SECONDS:.0f} s"))
        self._alive, self._background = False, None
        self._accelerator.trackers.clear()

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        if self._alive and self._background:
            self._background.call(function, *arguments)

    def _failed(self, error: Exception) -> None:
        if self._alive:
            self._alive = False
            text = " ".join(str(error).split())
            self._warn(
                f"tracker stopped ({type(error).__name__}: {text}); the run goes on, its curve is on disk"
            )

    def _start(self) -> None:
        name = self._config.name
        if not self._accelerator.log_with:
            raise ModuleNotFoundError(f"the package of tracker.name={name} is not installed")
        if name != WANDB:
            self._accelerator.init_trackers(self._config.project, config=_flat(self._run.config))
            return
        mode = wandb_mode(self._config.mode)
        try:
            self._start_wandb(mode)
        except Exception as error:
            if mode != "online":
                raise
            text = " ".join(str(error).split())
            self._warn(f"W&B does not answer ({text}); offline from here, 'isoflop report' sends it later")
            # the next runs of this process ask W&B's own variable, and do not wait again
            os.environ["WANDB_MODE"] = "offline"
            self._accelerator.trackers.clear()
            forget_failed_start()
            self._start_wandb("offline")

    def _start_wandb(self, mode: str) -> None:
        run, config = self._run, self._config
        to = Destination(config.project, config.entity, mode)
        options = init_options(run.folder, to, run.id, run.name, run.group)
        self._accelerator.init_trackers(config.project, config=run.config, init_kwargs={WANDB: options})
        self._known = next_step(self._accelerator.get_tracker(WANDB, unwrap=True), run.folder)

    def _log(self, row: dict[str, float]) -> None:
        step = int(row.pop("step"))
        if step >= self._known:
            self._accelerator.log(row, step=step)

    def _summary(self, record: Record) -> None:
        if self._config.name == WANDB:
            self._accelerator.get_tracker(WANDB, unwrap=True).summary.update(summary_values(record))
        else:
            numbers = {name: value for name, value in vars(record).items() if isinstance(value, int | float)}
            self._accelerator.log(numbers, step=record.steps)

    def _end(self, exit_code: int) -> None:
        if self._config.name != WANDB:
            for tracker in self._accelerator.trackers:
                tracker.finish()
            return
        run = self._accelerator.get_tracker(WANDB, unwrap=True)
        if exit_code == EXIT_STOPPED:
            run.mark_preempting()
        close_run(run, exit_code)


class Background:
    """A queue of calls, which may be slow or never return, and the thread that makes them until one raises."""

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        """``on_error`` gets what a call raised, in that thread."""
        self._on_error = on_error
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        # a daemon: one that hangs must not keep the process from ending
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have ``function`` called after those before it; returns at once."""
        self._calls.put(partial(function, *arguments))

    def close(self, seconds: float) -> bool:
        """Take no more calls and wait for those that are left; False where that takes longer than ``seconds``."""
        self._calls.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:
                self._on_error(error)
                return


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values under dotted names: most trackers take numbers and words only."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float | str):
            flat[prefix + name] = value
    return flat
