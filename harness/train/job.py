"""What a trainer is handed, and what it tells whoever watches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.plan.cell import Cell
from harness.runs.folder import CellFolder, SweepFolder
from harness.train.config import TrackerConfig, TrainConfig


@dataclass(frozen=True)
class Job:
    """One run to train. Plain data, so that it can be sent to another process.

    Attributes:
        corpus: folder of the prepared token files.
        sweep: folder of the sweep; the run writes below ``cells/<run_id>/`` and ``wandb/`` only.
        domains: folders of further texts that the trained model is scored on, by name.
        forks: shorter runs that begin as this one does; it leaves each a checkpoint where they part, in its folder.
    """

    cell: Cell
    corpus: Path
    sweep: Path
    sweep_name: str
    train: TrainConfig
    tracker: TrackerConfig
    domains: Mapping[str, Path] = field(default_factory=dict)
    forks: tuple[Cell, ...] = ()

    @property
    def folder(self) -> CellFolder:
        """Where this run writes."""
        return SweepFolder(self.sweep).cell(self.cell.run_id)


@dataclass(frozen=True)
class StepReport:
    """Where a running job stands; ``loss`` is the mean training loss since the report before, nats per token."""

    run_id: str
    step: int
    steps: int
    loss: float
    tokens_per_second: float


@dataclass(frozen=True)
class Watch:
    """Callbacks of whoever watches a run: ``report`` at every curve row, ``should_stop`` before every step."""

    report: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False
    warn: Callable[[str], None] = print


class PreemptedError(Exception):
    """The run was asked to stop; it wrote a checkpoint and can be continued."""


class DivergedError(Exception):
    """The loss is not finite, or far above that of guessing."""
