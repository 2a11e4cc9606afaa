"""What a trainer is handed, and what it tells whoever watches.

A job as plain data: what a sweep leaves on disk for a process that it does not start itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.plan.cell import Cell
from harness.runs.folder import CellFolder, SweepFolder
from harness.tracking.config import TrackerConfig
from harness.train.config import TrainConfig


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


def pack(job: Job) -> dict[str, Any]:
    """The job as JSON holds it."""
    return {
        "cell": job.cell.to_json(),
        "corpus": str(Path(job.corpus).resolve()),
        "sweep": str(job.sweep),
        "sweep_name": job.sweep_name,
        "train": asdict(job.train),
        "tracker": asdict(job.tracker),
        "domains": {name: str(folder.resolve()) for name, folder in job.domains.items()},
        "forks": [cell.to_json() for cell in job.forks],
    }


def unpack(data: dict[str, Any]) -> Job:
    """Inverse of :func:`pack`."""
    return Job(
        cell=Cell.from_json(data["cell"]),
        corpus=Path(data["corpus"]),
        sweep=Path(data["sweep"]),
        sweep_name=data["sweep_name"],
        train=TrainConfig(**data["train"]),
        tracker=TrackerConfig(**data["tracker"]),
        domains={name: Path(folder) for name, folder in data.get("domains", {}).items()},
        forks=tuple(Cell.from_json(cell) for cell in data.get("forks", [])),
    )
