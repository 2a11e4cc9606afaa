"""A run as a trainer is given it, as an object or as a file's JSON, and how the trainer reports on it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.plan.cell import Cell
from harness.runs.claim import Hold
from harness.runs.files import CellFolder, SweepFolder
from harness.tracking.config import TrackerConfig
from harness.train.config import TrainConfig


@dataclass(frozen=True)
class Job:
    """One run to train. Plain data: it can be sent to another process, or written down for one (:meth:`to_json`).

    Attributes:
        corpus: folder of the prepared token files.
        sweep: folder of the sweep; the run writes below ``cells/<run_id>/`` and ``wandb/`` only.
        domains: folders of further texts that the trained model is scored on, by name.
        branches: shorter runs that begin as this one does; at its branch point each gets a checkpoint in its folder.
    """

    cell: Cell
    corpus: Path
    sweep: Path
    sweep_name: str
    train: TrainConfig
    tracker: TrackerConfig
    domains: Mapping[str, Path] = field(default_factory=dict)
    branches: tuple[Cell, ...] = ()

    @property
    def folder(self) -> CellFolder:
        """Where this run writes."""
        return SweepFolder(self.sweep).cell(self.cell.run_id)

    def to_json(self) -> dict[str, Any]:
        """As plain data, with absolute paths to the corpora; :meth:`from_json` is its inverse."""
        return {
            "cell": self.cell.to_json(),
            "corpus": str(Path(self.corpus).resolve()),
            "sweep": str(self.sweep),
            "sweep_name": self.sweep_name,
            "train": asdict(self.train),
            "tracker": asdict(self.tracker),
            "domains": {name: str(folder.resolve()) for name, folder in self.domains.items()},
            "forks": [
                cell.to_json() for cell in self.branches
            ],  # the name that submitted sweeps have on disk
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Job":
        """Inverse of :meth:`to_json`."""
        return cls(
            cell=Cell.from_json(data["cell"]),
            corpus=Path(data["corpus"]),
            sweep=Path(data["sweep"]),
            sweep_name=data["sweep_name"],
            train=TrainConfig(**data["train"]),
            tracker=TrackerConfig(**data["tracker"]),
            domains={name: Path(folder) for name, folder in data.get("domains", {}).items()},
            branches=tuple(Cell.from_json(cell) for cell in data.get("forks", [])),
        )


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
    """Callbacks of whoever watches a run: ``report`` at every curve row, ``should_stop`` before every step.

    ``claim`` is the one that the run is trained under; None where no other process could train it.
    """

    report: Callable[[StepReport], None] = lambda report: None
    should_stop: Callable[[], bool] = lambda: False
    warn: Callable[[str], None] = print
    claim: Hold | None = None

    def must_stop(self) -> bool:
        """Whether the run is to stop: it is asked to, or is known to be another's by now."""
        return self.should_stop() or (self.claim is not None and self.claim.lost)

    def holds(self) -> bool:
        """Whether the run is still this attempt's, as the claim's files say now."""
        return self.claim is None or self.claim.holds()

    def fence(self) -> None:
        """To be called right before anything of the run is written.

        Raises:
            PreemptedError: the run is another's: one that was frozen, say, has woken up, and must not write.
        """
        if not self.holds():
            raise PreemptedError("another process has taken this run over; nothing more was written")


class PreemptedError(Exception):
    """The run was asked to stop; it wrote a checkpoint and can be continued."""


class DivergedError(Exception):
    """The loss is not finite, or far above that of guessing."""
