"""What a batch launcher submitted of a sweep: ``<kind>/submitted.json`` in its folder, and the folders beside it.

A submission's folder has all that its jobs need: ``config.yaml``, the configuration of the command, and
``tasks/N.json``, the jobs of each array task. It is self-contained, for a compute node may lack everything else.
"""

import fcntl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from harness.launch.pool import PoolOptions
from harness.runs.files import read_json, write_json
from harness.train.job import Job


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
class Submission:
    """One job array and the dependent job that continues after it.

    Attributes:
        folder: name of its folder below the ledger's.
        job: the array's id; empty where there is none, but only a job that depends on the arrays of other sweeps.
        report_job: the id of the dependent job, which continues with the next stage (follow-ups, or fit and report);
            empty where there is none.
        tasks: the run ids of each array task.
    """

    folder: str
    submitted: str
    tasks: tuple[tuple[str, ...], ...]
    job: str = ""
    report_job: str = ""
    cancelled: bool = False

    @property
    def jobs(self) -> tuple[str, ...]:
        """Both ids, those that there are."""
        return tuple(job for job in (self.job, self.report_job) if job)

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The cells of all tasks."""
        return tuple(run_id for task in self.tasks for run_id in task)

    @property
    def takes_over(self) -> str:
        """What the dependent job of an older submission says of this one."""
        then = (
            f"job {self.report_job} continues"
            if self.report_job
            else "run the command again when it has ended"
        )
        return f"submission {self.folder} is newer: {then}"

    def log(self, task: int) -> str:
        """Name of an array task's log below its folder."""
        return f"logs/{self.job}_{task}.txt"


@dataclass(frozen=True)
class Ledger:
    """``runs/<name>/<kind>/``, for the submissions of the launcher ``kind``."""

    path: Path

    @property
    def kind(self) -> str:
        """The launcher whose submissions these are."""
        return self.path.name

    @property
    def file(self) -> Path:
        """The list of submissions."""
        return self.path / "submitted.json"

    def read(self) -> list[Submission]:
        """All submissions, oldest first."""
        try:
            return read_json(
                self.file, "see what is queued, cancel it, and move this file away", _submissions
            )
        except FileNotFoundError:
            return []

    def newer(self, folder: str) -> Submission | None:
        """The last submission where it comes after that in ``folder``: its dependent job continues, and no other."""
        last = self.read()[-1:]
        return last[0] if last and int(last[0].folder) > int(folder) else None

    def write(self, submissions: Iterable[Submission]) -> None:
        """Replace the list, atomically."""
        write_json(self.file, {"submissions": [asdict(submission) for submission in submissions]})

    def put(self, submission: Submission) -> None:
        """Add a submission, or replace the one of the same folder."""
        others = [known for known in self.read() if known.folder != submission.folder]
        self.write([*others, submission])

    def mark_cancelled(self) -> None:
        """Remember that all were cancelled: a task that is told to stop must not go back to the queue."""
        self.write([replace(submission, cancelled=True) for submission in self.read()])

    def new_folder(self) -> Path:
        """``0001``, ``0002``, …, with its folder for logs."""
        numbers = [int(path.name) for path in self.path.glob("[0-9]*") if path.name.isdigit()]
        folder = self.path.resolve() / f"{max(numbers, default=0) + 1:04d}"
        (folder / "logs").mkdir(parents=True)
        return folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One submission at a time."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class Placed:
    """Where a cell is, or last was, in the queue: ``state`` is None where the queue has forgotten the task."""

    submission: Submission
    task: int
    state: TaskState | None
    log: Path = Path()


def _submissions(data: Any) -> list[Submission]:
    return [
        Submission(**{**entry, "tasks": tuple(tuple(task) for task in entry["tasks"])})
        for entry in data["submissions"]
    ]


def queued_jobs(submissions: Iterable[Submission], states: Mapping[TaskId, TaskState]) -> list[str]:
    """The jobs of ``submissions``, arrays and their dependent jobs, that run or will."""
    live = {id_.job for id_, state in states.items() if is_queued(state)}
    return [job for submission in submissions for job in submission.jobs if job in live]


def placed(
    ledger: Ledger, submissions: Iterable[Submission], states: Mapping[TaskId, TaskState]
) -> dict[str, Placed]:
    """By run id, the task of its latest among the ledger's ``submissions``; one that is queued goes before others."""
    places: dict[str, Placed] = {}
    for submission in submissions:
        for task, run_ids in enumerate(submission.tasks):
            state = states.get(TaskId(submission.job, task))
            for run_id in run_ids:
                before = places.get(run_id)
                keeps = before is not None and before.state is not None and is_queued(before.state)
                if not keeps or (state is not None and is_queued(state)):
                    log = ledger.path / submission.folder / submission.log(task)
                    places[run_id] = Placed(submission, task, state, log)
    return places


def write_task(folder: Path, index: int, jobs: Iterable[Job], options: Mapping[str, object]) -> None:
    """Leave what array task ``index`` of the submission in ``folder`` trains, and ``options`` of its pool."""
    write_json(
        folder / "tasks" / f"{index}.json", {"pool": dict(options), "jobs": [job.to_json() for job in jobs]}
    )


def read_task(folder: Path, index: int) -> tuple[list[Job], PoolOptions]:
    """What array task ``index`` of the submission in ``folder`` trains, and how."""
    return read_json(
        folder / "tasks" / f"{index}.json",
        "the command that submitted it submits what is missing again",
        lambda data: ([Job.from_json(job) for job in data["jobs"]], PoolOptions(**data["pool"])),
    )
