"""What a batch launcher submitted of a sweep: ``<kind>/submitted.json`` in its folder, and the folders beside it.

A submission's folder has all that its jobs need: ``config.yaml``, the configuration of the command, and
``tasks/N.json``, the jobs of each array task. It is self-contained, for a compute node may lack everything else.

A submission is listed before the batch system is asked, with the parts it is asked for as ``unanswered``; they are
answered by the system, or, where it never did, by looking for jobs that carry the submission's token. A number alone
says nothing: another cluster, or this one after a reset, gives it to somebody else.
"""

import fcntl
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import UserError
from harness.files import sync_folder, write_json
from harness.launch.pool import PoolOptions
from harness.launch.queued import TaskId, TaskState, is_queued
from harness.launch.submission import ARRAY, REPORT, SCRIPT, Submission, read_submission
from harness.runs.files import read_json
from harness.train.job import Job


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
        """All submissions, oldest first; where the list is gone, those whose folders are there, as unanswered.

        In a copy of a sweep's folder those of the original are none: their jobs write there.

        Raises:
            UserError: the list cannot be read: nothing may be submitted, for it may be queued already.
        """
        return [one for one in self._listed() if not self._is_of_original(one)]

    def of_original(self) -> tuple[str, ...]:
        """Sentences about the submissions that were copied here with the folder; raises as :meth:`read`."""
        return tuple(
            f"submission {one.folder} (jobs {', '.join(one.jobs) or 'unknown'}) was made in {one.place}, of which this "
            "is a copy: its jobs write there, and are left alone"
            for one in self._listed()
            if self._is_of_original(one) and not one.cancelled
        )

    def _is_of_original(self, submission: Submission) -> bool:
        """Whether the place where it was made is there and another; a folder that was moved is its own."""
        place = Path(submission.place)
        try:
            return bool(submission.place) and place.exists() and not place.samefile(self.path)
        except OSError:
            return False

    def _listed(self) -> list[Submission]:
        try:
            return read_json(
                self.file,
                "move it away, and the next command looks in the queue for what the folders beside it tell",
                lambda data: [read_submission(entry) for entry in data["submissions"]],
            )
        except FileNotFoundError:
            return self._found()

    def _found(self) -> list[Submission]:
        """What the folders of submissions tell of them."""
        found = []
        for folder in sorted(path for path in self.path.glob("[0-9]*") if path.name.isdigit()):
            scripts = [match for path in folder.iterdir() if (match := SCRIPT.fullmatch(path.name))]
            if not scripts:
                continue
            when = datetime.fromtimestamp(folder.stat().st_mtime, UTC).isoformat(timespec="seconds")
            numbers = range(len(list((folder / "tasks").glob("*.json"))))
            tasks = tuple(tuple(job.cell.run_id for job in read_task(folder, i)[0]) for i in numbers)
            parts = tuple(sorted({match[1] for match in scripts}))
            token = next((match[2] for match in scripts if match[2]), "")
            found.append(Submission(folder.name, when, tasks, token=token, unanswered=parts))
        return found

    def knows(self, folder: str) -> bool:
        """Whether the submission in ``folder`` was not given up; True where that cannot be told."""
        try:
            return not self.file.exists() or any(one.folder == folder for one in self.read())
        except UserError:
            return True

    def mark(self, submission: Submission, part: str, anywhere: bool = False) -> str:
        """What the queue says of the job that is ``part`` of ``submission``, and of no other job.

        Jobs of earlier versions have no token; they run the only script of that path. Of a job whose number is known
        its end will do, for other machines may have the folder elsewhere.

        Args:
            anywhere: among all jobs, where another sweep of the same name may have one whose script ends alike.
        """
        if submission.token:
            return f"{part}-{submission.token}"
        sweep = self.path.resolve().parent
        return f"{sweep if anywhere else f'/{sweep.name}'}/{self.kind}/{submission.folder}/{part}.sbatch"

    def marks(self, submissions: Iterable[Submission]) -> dict[str, str]:
        """The mark of every job of ``submissions``, by its id."""
        found: dict[str, str] = {}
        for one in submissions:
            parts = ((ARRAY, one.job), (REPORT, one.report_job))
            found.update({job: self.mark(one, part) for part, job in parts if job})
        return found

    def started(self, submission: Submission, part: str) -> list[str]:
        """The jobs that left logs as ``part`` of ``submission``."""
        pattern = re.compile(r"(\d+)_\d+\.txt" if part == ARRAY else r"report-(\d+)\.txt")
        names = [path.name for path in (self.path / submission.folder / "logs").glob("*.txt")]
        return sorted({match[1] for name in names if (match := pattern.fullmatch(name))}, key=int)

    def newer(self, folder: str) -> Submission | None:
        """The last submission where it comes after that in ``folder``: its dependent job continues, and no other."""
        last = self.read()[-1:]
        return last[0] if last and int(last[0].folder) > int(folder) else None

    def write(self, submissions: Iterable[Submission]) -> None:
        """Replace the list, atomically; it has reached the disk before the batch system is asked for anything."""
        write_json(self.file, {"submissions": [asdict(submission) for submission in submissions]})
        sync_folder(self.path)

    def put(self, submission: Submission) -> None:
        """Add a submission, or replace the one of the same folder."""
        known = {one.folder: one for one in self.read()} | {submission.folder: submission}
        self.write(known.values())

    def give_up(self, submission: Submission) -> None:
        """Forget a submission that never reached the queue; should it come there after all, its tasks do nothing."""
        self.write(one for one in self.read() if one.folder != submission.folder)

    def mark_cancelled(self, folders: Iterable[str]) -> None:
        """Remember that these were cancelled: a task that is told to stop must not go back to the queue."""
        gone = set(folders)
        self.write(replace(one, cancelled=one.cancelled or one.folder in gone) for one in self.read())

    def new_folder(self) -> Path:
        """``0001``, ``0002``, …, with its folder for logs."""
        numbers = [int(path.name) for path in self.path.glob("[0-9]*") if path.name.isdigit()]
        folder = self.path.resolve() / f"{max(numbers, default=0) + 1:04d}"
        (folder / "logs").mkdir(parents=True)
        return folder

    @contextmanager
    def locked(self, wait: bool = True) -> Iterator[bool]:
        """One submission at a time; without ``wait`` it may be False, and another process submits."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True


@dataclass(frozen=True)
class Placed:
    """Where a cell is, or last was, in the queue: ``state`` is None where the queue has forgotten the task."""

    submission: Submission
    task: int
    state: TaskState | None
    log: Path = Path()


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
    """What array task ``index`` of the submission in ``folder`` trains, and how.

    Raises:
        UserError: its file is not there, or is not whole.
    """
    path, remedy = folder / "tasks" / f"{index}.json", "'isoflop cancel' the sweep and submit it again"
    try:
        return read_json(
            path,
            remedy,
            lambda data: ([Job.from_json(job) for job in data["jobs"]], PoolOptions(**data["pool"])),
        )
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {remedy}") from None
