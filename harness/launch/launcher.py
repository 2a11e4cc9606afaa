"""What a launcher is: it executes the runs of a sweep, and knows how those stand that it has not executed itself.

:class:`LauncherConfig` is what every launcher can be told; a launcher's own options stand in a subclass.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import ClassVar, Protocol

from rich.console import Console

from harness.bounds import bounded, check_bounds
from harness.errors import UserError
from harness.launch.ledger import Placed
from harness.launch.queued import TaskId, TaskState
from harness.plan.cell import Cell
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder
from harness.train.config import TrainConfig
from harness.train.job import Job


@dataclass
class LauncherConfig:
    """Where and how the runs of a sweep execute; a launcher's own options stand in its subclass.

    Attributes:
        kind: a key of :data:`harness.launch.registry.LAUNCHERS`.
        workers: runs at once, on this machine or in one array task; 0 is one per CPU core, or ``per_gpu`` per GPU.
        per_gpu: runs side by side on each GPU, as far as its memory goes; 0 is what ``isoflop calibrate`` measured
            to be fastest (``throughput.per_device``), or one where nothing was measured.
        mps: start CUDA's MPS daemon for the sweep where runs share a GPU.
        processes: processes a run, by torchrun on one node: one for each of that many GPUs.
        attempts: how often a run is tried whose worker was killed or ran out of memory.
    """

    kind: str = "local"
    workers: int = bounded(0, 0, 4096)
    per_gpu: int = bounded(0, 0, 256)
    mps: bool = True
    processes: int = bounded(1, 1, 1024)
    attempts: int = bounded(3, 1, 1000)

    here: ClassVar[bool] = False
    """Whether runs execute on the machine of the command, with its GPUs and its packages."""

    def __post_init__(self) -> None:
        check_bounds(self, "launcher")
        if self.per_gpu > 1 and self.processes > 1:
            raise UserError(
                f"launcher: a run on {self.processes} GPUs (processes) shares none; leave per_gpu at 0 or 1"
            )


class Outcome(Enum):
    """How far a command, or the training of what was missing, came.

    Attributes:
        DONE: everything has ended; the next stage may begin.
        QUEUED: runs are left to a queue; this process stops here, and the dependent job does the rest.
        INCOMPLETE: runs are missing that this process may not submit.
    """

    DONE = "done"
    QUEUED = "queued"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Continuation:
    """How a command continues when the jobs that it submitted have ended.

    Attributes:
        command: which one, a key of :data:`harness.commands.next_stage.COMMANDS`.
        yaml: the composed configuration it was asked with.
        submission: the folder's name of the submission whose dependent job this process is; empty by hand. Such a job
            submits what was never submitted, the next stage, and nothing a second time: what failed once is left to
            the user, so nothing is repeated for ever.
    """

    command: str
    yaml: str
    submission: str = ""


@dataclass(frozen=True)
class Work:
    """What a command asks a launcher to train.

    Attributes:
        plan: all cells, whether or not they have ended, the ablations beside the grid among them.
        folder: of the sweep.
        train: how runs are executed.
        missing: makes the jobs of the cells that have not ended; a launcher calls it when nobody else submits.
        continuation: what a dependent job continues with.
        say_cost: tells the user what the plan takes on so many workers.
        say_status: tells the user how every cell stands.
    """

    plan: Plan
    folder: SweepFolder
    train: TrainConfig
    missing: Callable[[], Sequence[Job]]
    continuation: Continuation
    say_cost: Callable[[int], None]
    say_status: Callable[[], None]
    console: Console


@dataclass(frozen=True)
class Queue:
    """What is known of a sweep's runs that were submitted.

    Attributes:
        places: by run id, the array task of its latest submission.
        states: what the queue says, by task.
        unplanned: cells of the latest submission that the plan does not have.
        dependent: jobs that continue when others have ended, and are queued: their ids and states.
        problem: why the queue is not known; empty where it is.
        silence: why it is not known how tasks ended that the queue has forgotten; empty where it is.
        notes: what else the user must know: numbers that are somebody else's now, submissions of another cluster.
    """

    places: Mapping[str, Placed] = field(default_factory=dict)
    states: Mapping[TaskId, TaskState] = field(default_factory=dict)
    unplanned: tuple[Cell, ...] = ()
    dependent: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    notes: tuple[str, ...] = ()
    silence: str = ""


class Launcher(Protocol):
    """Where and how the runs of a sweep execute. To add one: implement this, and name it in the registry."""

    def gpus(self, train: TrainConfig) -> int:
        """GPUs that all runs at once have together: of this machine, or of one array task."""

    def workers(self, train: TrainConfig) -> int:
        """Runs at once: on this machine, or in one array task."""

    def train(self, work: Work) -> Outcome:
        """Train what is missing, or submit it.

        Raises:
            UserError: runs failed here, or nothing can be submitted.
            KeyboardInterrupt: asked to stop; running cells wrote checkpoints.
        """

    def available(self) -> bool:
        """Whether the queue can be asked from here."""

    def queue(self, folder: SweepFolder, planned: Collection[str], settle: bool = True) -> Queue:
        """What was submitted of the sweep in ``folder``; never raises for a queue that does not answer.

        Args:
            settle: find out first what became of submissions that were never answered, and write it down; without it
                nothing is written.
        """

    def live(self, folder: SweepFolder) -> list[str]:
        """The sweep's jobs that run or will.

        Raises:
            UserError: the queue does not answer.
        """

    def depend(self, name: str, folder: SweepFolder, continuation: Continuation, jobs: Sequence[str]) -> str:
        """Have ``continuation`` done when ``jobs`` have ended: the dependent job's id, empty where nothing waits.

        Raises:
            UserError: nothing can be submitted.
        """

    def settle(self, folder: SweepFolder) -> list[str]:
        """Find out what became of submissions that were never answered; returns what there is to say.

        Raises:
            UserError: that cannot be known now.
        """

    def cancel(self, folder: SweepFolder, say: Callable[[str], None]) -> list[str]:
        """Take back the sweep's jobs and no others; returns their ids."""

    def latest(self, folder: SweepFolder) -> Path | None:
        """The folder of the sweep's latest submission; None where nothing was submitted."""

    def touched(self, folder: SweepFolder) -> float:
        """When anything of the sweep was last submitted by this launcher, in seconds since 1970; 0 for never."""
