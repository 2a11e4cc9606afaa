"""What is different in each batch system: its commands, and what a task of a job array asks it for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.launch.queued import JobStates
from harness.train.config import TrainConfig
from harness.train.job import Job


@dataclass(frozen=True)
class Array:
    """A job array before it is submitted.

    Attributes:
        tasks: the jobs of each array task, of nearly equal estimated length.
        pace: how much longer finished runs took than their estimates.
        mark: what the queue must say of it, and of no other job.
    """

    name: str
    folder: Path
    tasks: Sequence[Sequence[Job]]
    pace: float
    mark: str


class BatchSystem(ABC):
    """What a launcher has to know of one batch system: its commands, and what a task asks it for."""

    kind: ClassVar[str]
    """The launcher's name, and that of the folder of its submissions below a sweep's."""

    @abstractmethod
    def available(self) -> bool:
        """Whether the system's commands are here."""

    @abstractmethod
    def gpus(self, train: TrainConfig) -> int:
        """GPUs of one array task that its runs are trained on."""

    @abstractmethod
    def workers(self, train: TrainConfig) -> int:
        """Runs at once in one array task."""

    @abstractmethod
    def tasks(self, jobs: Sequence[Job], pace: float) -> list[list[Job]]:
        """``jobs`` as array tasks."""

    @abstractmethod
    def pool_options(self, train: TrainConfig) -> Mapping[str, object]:
        """Fields of the :class:`harness.launch.pool.PoolOptions` of a task."""

    @abstractmethod
    def check(self, array: Array | None, name: str, folder: Path, command: str) -> None:
        """Refuse what could not be handed in, before anything of it is written.

        Args:
            array: the array; None for a dependent job alone.
            name, folder, command: of the dependent job.

        Raises:
            UserError: a template, an option or a program is missing or wrong.
        """

    @abstractmethod
    def asks(self, array: Array) -> str:
        """What one task asks for, for the user."""

    @abstractmethod
    def submit_array(self, array: Array) -> str:
        """Submit; returns the job's id.

        Raises:
            UserError: the system is not there, or refuses.
            UnansweredError: it may have the job.
        """

    @abstractmethod
    def submit_dependent(self, name: str, folder: Path, command: str, after: Sequence[str], mark: str) -> str:
        """Submit the job that continues with ``command`` once the jobs ``after`` have ended, however they ended.

        Raises:
            UserError: the system is not there, or refuses.
            UnansweredError: it may have the job.
        """

    @abstractmethod
    def cluster(self) -> str:
        """The system's name for itself; empty where it has none."""

    @abstractmethod
    def find(self, mark: str, since: str) -> Sequence[str]:
        """The jobs that carry ``mark``, submitted since the day ``since`` (2026-01-31).

        Raises:
            UserError: the system is not there, or does not answer.
        """

    @property
    @abstractmethod
    def continues(self) -> bool:
        """Whether dependent jobs are wanted."""

    @abstractmethod
    def states(self, jobs: Mapping[str, str]) -> JobStates:
        """What the queue says of all tasks of ``jobs`` that it still knows, and of whose numbers those are now.

        Args:
            jobs: the mark of each, by its id.

        Raises:
            UserError: the system is not there, or does not answer.
        """

    @abstractmethod
    def stop(self, jobs: Sequence[str]) -> None:
        """Cancel these jobs, with all their tasks."""
