"""Mirroring a run to W&B, or any tracker Accelerate knows. A tracker that fails is dropped; the run goes on."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from harness.train.config import TrackerConfig


@dataclass(frozen=True)
class TrackedRun:
    """How one run is known to a tracker: ``id`` is the run's id, ``group`` the sweep's name."""

    id: str
    name: str
    group: str
    folder: Path
    config: dict[str, Any]


def wandb_mode(mode: str) -> str:
    """``auto`` resolved: what WANDB_MODE says, else online where there is a key, else offline."""
    if mode != "auto":
        return mode
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    if os.environ.get("WANDB_API_KEY"):
        return "online"
    import wandb

    return "online" if wandb.api.api_key else "offline"


class Tracker:
    """Calls Accelerate's trackers until one fails; then says so once and stays silent."""

    def __init__(
        self, accelerator: Accelerator, config: TrackerConfig, run: TrackedRun, warn: Callable[[str], None]
    ):
        self._accelerator = accelerator
        self._warn = warn
        self._alive = config.name != "none"
        self._wandb = config.name == "wandb"
        options: dict[str, Any] = {}
        if self._wandb and self._alive:
            run.folder.mkdir(parents=True, exist_ok=True)
            os.environ.setdefault("WANDB_SILENT", "true")
            options["wandb"] = {
                "id": run.id,
                "name": run.name,
                "group": run.group,
                "entity": config.entity,
                "mode": wandb_mode(config.mode),
                "dir": str(run.folder),
                "resume": "allow",
                "reinit": "finish_previous",
            }
        self._try(lambda: accelerator.init_trackers(config.project, config=run.config, init_kwargs=options))

    def _try(self, call: Callable[[], Any]) -> None:
        if not self._alive:
            return
        try:
            call()
        except Exception as error:  # a mirror must never stop a run, whatever it raises
            self._alive = False
            self._warn(
                f"tracker stopped ({type(error).__name__}: {error}); the run goes on, its curve is on disk"
            )

    def log(self, values: dict[str, float], step: int) -> None:
        """One point of the curve."""
        self._try(lambda: self._accelerator.log(values, step=step))

    def summary(self, values: dict[str, Any]) -> None:
        """The run's final numbers: W&B's summary where that is the tracker, a last point elsewhere."""
        if self._wandb:
            self._try(lambda: self._accelerator.get_tracker("wandb", unwrap=True).summary.update(values))
        else:
            numbers = {key: value for key, value in values.items() if isinstance(value, int | float)}
            self._try(lambda: self._accelerator.log(numbers))

    def finish(self) -> None:
        """Flush and close."""
        self._try(self._accelerator.end_training)
