"""A run as a trainer is given it, as an object or as a file's JSON, and how the trainer reports on it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from harness.plan.cell import Cell
from harness.runs.claim import Hold
from harness.runs.files import CellFolder, SweepFolder
from harness.runs.record import FAILED, read_record
from harness.tracking.config import TrackerConfig
from harness.train.config import TrainConfig

OTHER_KINDS = {"evaluate": "harness.evaluate.job:EvaluateJob"}
"""What else can be done to a run, by the entry that its JSON has: where its class is."""


@dataclass(frozen=True)
class End:
    """How a job ended: ``status`` is a record's, ``loss`` nats per token, ``reason`` what there is to say."""

    status: str
    loss: float | None
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Job:
    """One run to train. Plain data: it can be sent to another process, or written down for one (:meth:`to_json`).

    A subclass does something else to a run (:data:`OTHER_KINDS`): launchers know of jobs only that they are executed
    and can be found to have ended.

    Attributes:
        corpus: folder of the prepared token files.
        sweep: folder of the sweep; the run writes below ``cells/<run_id>/`` and ``wandb/`` only.
        domains: folders of further texts that the trained model is scored on, by name.
        kind, verb: what is done to the run: the entry of its JSON, and what is told of it.
        branches: shorter runs that begin as this one does; at its branch point each gets a checkpoint in its folder.
    """

    kind: ClassVar[str] = "train"
    verb: ClassVar[str] = "train"

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

    def end(self) -> End | None:
        """How it ended, as its files say; None where it is still to be done."""
        record = read_record(self.folder.record, self.cell.run_id)
        if record is None or record.status == FAILED:
            return None
        return End(record.status, record.loss, record.seconds, record.reason)

    def execute(self, watch: "Watch") -> End:
        """Do it in this process; raises as :func:`harness.train.run.train_cell`."""
        from harness.train.run import train_cell  # torch and transformers: seconds, once

        record = train_cell(self, watch)
        return End(record.status, record.loss, record.seconds, record.reason)

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
        """Inverse of :meth:`to_json`, of whatever kind the job is."""
        for kind, place in OTHER_KINDS.items():
            if kind in data:
                module, name = place.split(":")
                other: type[Job] = getattr(import_module(module), name)
                return other.from_json(data)
        return Job.plain_from_json(data)

    @staticmethod
    def plain_from_json(data: dict[str, Any]) -> "Job":
        """What jobs of every kind have in common, as a job of training."""
        return Job(
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
