"""What a batch system says of its tasks, in words that are the same for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from harness.errors import UserError


@dataclass(frozen=True)
class TaskId:
    """One task of a job array, or (``task`` None) a plain job."""

    job: str
    task: int | None = None

    def __str__(self) -> str:
        return self.job if self.task is None else f"{self.job}_{self.task}"


class TaskState(Protocol):
    """What a queue says of a task."""

    @property
    def id(self) -> TaskId:
        """Which task."""

    @property
    def state(self) -> str:
        """The batch system's own word."""

    @property
    def node(self) -> str:
        """Where it runs, or ran; empty where that is unknown."""

    @property
    def reason(self) -> str:
        """Why it waits; empty where nothing is said."""

    @property
    def restarts(self) -> int:
        """How often it was sent back to the queue."""

    @property
    def waiting(self) -> bool:
        """It will run."""

    @property
    def running(self) -> bool:
        """It runs."""

    @property
    def cancelled(self) -> bool:
        """Somebody took it back."""


def is_queued(state: TaskState) -> bool:
    """Whether the task runs or will."""
    return state.waiting or state.running


@dataclass(frozen=True)
class JobStates:
    """What a queue says of the jobs it is asked about.

    Attributes:
        states: of the tasks of those that are ours.
        foreign: by job id, what now has that number and is not ours, for people.
        silence: why nothing is known of jobs that the queue has forgotten; empty where whoever keeps them answered.
    """

    states: Mapping[TaskId, TaskState] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)
    silence: str = ""


class UnansweredError(UserError):
    """The batch system neither took a job nor refused it: it may be in the queue."""
