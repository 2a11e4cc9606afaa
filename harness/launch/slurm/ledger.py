"""What a sweep submitted: ``slurm/submitted.json`` in its folder."""

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness.launch.slurm.client import TaskId, TaskState
from harness.runs.files import write_json


@dataclass(frozen=True)
class Submission:
    """One job array and the job behind it.

    Attributes:
        folder: name of its folder below ``slurm/``.
        job: the array's id; empty where there is none, but only a job behind the arrays of other sweeps.
        report_job: the id of the job behind the array, which goes on with the next stage: follow-ups, or fit and
            report; empty where there is none.
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
        """What a job behind an older one says of this."""
        then = (
            f"job {self.report_job} goes on" if self.report_job else "run the command again when it has ended"
        )
        return f"submission {self.folder} is newer: {then}"

    def log(self, task: int) -> str:
        """Name of an array task's log below its folder."""
        return f"logs/{self.job}_{task}.txt"


@dataclass(frozen=True)
class Ledger:
    """``runs/<name>/slurm/``."""

    path: Path

    @property
    def file(self) -> Path:
        """The list of submissions."""
        return self.path / "submitted.json"

    def read(self) -> list[Submission]:
        """All submissions, oldest first."""
        try:
            data = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        return [
            Submission(**{**entry, "tasks": tuple(tuple(task) for task in entry["tasks"])})
            for entry in data["submissions"]
        ]

    def newer(self, folder: str) -> Submission | None:
        """The last submission where it comes after that in ``folder``: the job behind it goes on, and no other."""
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

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One submission at a time."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class Placed:
    """Where a cell is, or last was, in the queue: ``state`` is None where Slurm has forgotten the task."""

    submission: Submission
    task: int
    state: TaskState | None


def queued_jobs(submissions: Iterable[Submission], states: Mapping[TaskId, TaskState]) -> list[str]:
    """The jobs of ``submissions``, arrays and those behind them, that run or will."""
    live = {id_.job for id_, state in states.items() if state.queued}
    return [job for submission in submissions for job in submission.jobs if job in live]


def placed(submissions: Iterable[Submission], states: Mapping[TaskId, TaskState]) -> dict[str, Placed]:
    """By run id, the task of its latest submission; a task that is queued goes before one that is not."""
    places: dict[str, Placed] = {}
    for submission in submissions:
        for task, run_ids in enumerate(submission.tasks):
            state = states.get(TaskId(submission.job, task))
            for run_id in run_ids:
                before = places.get(run_id)
                keeps = before is not None and before.state is not None and before.state.queued
                if not keeps or (state is not None and state.queued):
                    places[run_id] = Placed(submission, task, state)
    return places
