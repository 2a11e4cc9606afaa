"""A sweep is a folder: where each of its files is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CellFolder:
    """``cells/<run_id>/``: everything one run leaves behind."""

    path: Path

    @property
    def record(self) -> Path:
        """The record; it exists once the run has ended."""
        return self.path / "record.json"

    @property
    def curve(self) -> Path:
        """The training curve, one row per logging interval."""
        return self.path / "curve.csv"

    @property
    def checkpoint(self) -> Path:
        """Folder of checkpoints; removed once the record is written."""
        return self.path / "checkpoint"

    def checkpoint_step(self) -> int:
        """The step of the newest checkpoint, intact or not; 0 without one."""
        return max((int(path.name) for path in self.checkpoint.glob("[0-9]*")), default=0)

    @property
    def log(self) -> Path:
        """What the run printed, and why it failed."""
        return self.path / "log.txt"

    @property
    def model(self) -> Path:
        """The exported model, where asked for."""
        return self.path / "model"


@dataclass(frozen=True)
class SweepFolder:
    """``runs/<name>/``: copy it and you have copied the experiment."""

    path: Path

    @property
    def config(self) -> Path:
        """The composed configuration the plan was made from."""
        return self.path / "config.yaml"

    @property
    def plan(self) -> Path:
        """The frozen plan."""
        return self.path / "plan.json"

    @property
    def table(self) -> Path:
        """The table of runs: what the fit reads."""
        return self.path / "runs.csv"

    @property
    def controls(self) -> Path:
        """What other learning rates and longer schedules give at each budget's best cell."""
        return self.path / "controls.json"

    @property
    def tuning(self) -> Path:
        """What a tuning found, in the tuning's own folder."""
        return self.path / "tune.json"

    @property
    def tuned_in(self) -> "SweepFolder":
        """The folder that this sweep's recipe is tuned in: beside it."""
        return SweepFolder(self.path.parent / f"{self.path.name}-tune")

    @property
    def fit(self) -> Path:
        """The fit."""
        return self.path / "fit.json"

    @property
    def figures(self) -> Path:
        """Folder of figures."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def cells(self) -> Path:
        """The folders of all runs."""
        return self.path / "cells"

    def cell(self, run_id: str) -> CellFolder:
        """The folder of one run."""
        return CellFolder(self.cells / run_id)
