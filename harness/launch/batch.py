"""A launcher of a batch system: it submits what is missing as a job array and leaves; a dependent job continues.

All but the batch system's own commands is here: one submission at a time, nothing submitted twice, what the queue says.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from harness.errors import UserError
from harness.launch.launcher import Continuation, Outcome, Queue, Work
from harness.launch.ledger import (
    Ledger,
    Submission,
    TaskId,
    TaskState,
    is_queued,
    placed,
    queued_jobs,
    read_task,
    write_task,
)
from harness.launch.state import pace_of
from harness.plan.plan import Plan
from harness.runs.claim import gone, holder
from harness.runs.files import SweepFolder, write_atomic
from harness.runs.table import records
from harness.train.config import TrainConfig
from harness.train.job import Job


@dataclass(frozen=True)
class Array:
    """A job array before it is submitted.

    Attributes:
        tasks: the jobs of each array task, of nearly equal estimated length.
        pace: how much longer finished runs took than their estimates.
    """

    name: str
    folder: Path
    tasks: Sequence[Sequence[Job]]
    pace: float


class BatchLauncher(ABC):
    """What launchers of batch systems have in common; a subclass knows one system's commands."""

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
    def submit_array(self, array: Array) -> tuple[str, str]:
        """Submit; returns the job's id, and what one task asks for, for the user.

        Raises:
            UserError: the system is not there, or refuses.
        """

    @abstractmethod
    def submit_dependent(self, name: str, folder: Path, command: str, after: Sequence[str]) -> str:
        """Submit the job that continues with ``command`` once the jobs ``after`` have ended, however they ended.

        Raises:
            UserError: the system is not there, or refuses.
        """

    @property
    @abstractmethod
    def continues(self) -> bool:
        """Whether dependent jobs are wanted."""

    @abstractmethod
    def states(self, jobs: Sequence[str]) -> Mapping[TaskId, TaskState]:
        """What the queue says of all tasks of these jobs that it still knows.

        Raises:
            UserError: the system is not there, or does not answer.
        """

    @abstractmethod
    def stop(self, jobs: Sequence[str]) -> None:
        """Cancel these jobs, with all their tasks."""

    def ledger(self, folder: SweepFolder) -> Ledger:
        """Of the submissions of the sweep in ``folder``."""
        return Ledger(folder.path / self.kind)

    def train(self, work: Work) -> Outcome:
        """Submit the cells that have not ended and that nobody trains or will; returns at once.

        Raises:
            UserError: the system is not there, or refuses; a dependent job says so and is ``INCOMPLETE``.
        """
        submitter = _Submitter(self, self.ledger(work.folder), work)
        with submitter.ledger.locked():
            jobs = work.missing()
            return submitter.next_stage(jobs) if work.continuation.submission else submitter.by_hand(jobs)

    def queue(self, folder: SweepFolder, planned: set[str]) -> Queue:
        """What was submitted, and what the queue says of it."""
        ledger = self.ledger(folder)
        submissions = ledger.read()
        states, problem = self._ask(submissions)
        unplanned = [
            job.cell
            for submission in submissions[-1:]
            for task, run_ids in enumerate(submission.tasks)
            if not planned.issuperset(run_ids)
            for job in read_task(ledger.path / submission.folder, task)[0]
            if job.cell.run_id not in planned
        ]
        dependent = [
            (submission.report_job, state.state.lower())
            for submission in submissions
            if (state := states.get(TaskId(submission.report_job))) is not None and is_queued(state)
        ]
        return Queue(placed(ledger, submissions, states), states, tuple(unplanned), tuple(dependent), problem)

    def _ask(self, submissions: Sequence[Submission]) -> tuple[Mapping[TaskId, TaskState], str]:
        """The queue, and why it is not known."""
        jobs = _jobs(submissions)
        if not jobs:
            return {}, ""
        if not self.available():
            return {}, f"{self.kind.capitalize()}'s commands are not on the PATH"
        try:
            return self.states(jobs), ""
        except UserError as error:
            return {}, str(error)

    def live(self, folder: SweepFolder) -> list[str]:
        """The sweep's jobs that run or will."""
        return self._live(self.ledger(folder))

    def _live(self, ledger: Ledger) -> list[str]:
        submissions = ledger.read()
        return queued_jobs(submissions, self.states(_jobs(submissions)))

    def depend(self, name: str, folder: SweepFolder, continuation: Continuation, jobs: Sequence[str]) -> str:
        """A job that depends on the jobs of other sweeps, unless one is queued that is not this process.

        Raises:
            UserError: the system is not there, or refuses.
        """
        if not self.continues:
            return ""
        ledger = self.ledger(folder)
        with ledger.locked():
            waiting = [] if continuation.submission else self._live(ledger)
            if waiting:
                return waiting[-1]
            made = ledger.new_folder()
            write_atomic(made / "config.yaml", continuation.yaml)
            job = self.submit_dependent(name, made, continuation.command, tuple(jobs))
            ledger.put(Submission(made.name, _now(), tasks=(), report_job=job))
            return job

    def cancel(self, folder: SweepFolder) -> list[str]:
        """Take back what was submitted; running cells keep their checkpoints."""
        ledger = self.ledger(folder)
        if not ledger.file.exists():
            return []
        # a dependent job that is just submitting the next stage comes before this or not at all
        with ledger.locked():
            queued = self._live(ledger)
            if queued:
                ledger.mark_cancelled()  # first: a task that is told to stop must not requeue itself
                self.stop(queued[::-1])  # the dependent job before the array, whose end would start it
        return queued

    def latest(self, folder: SweepFolder) -> Path | None:
        """The folder of the latest submission."""
        ledger = self.ledger(folder)
        submissions = ledger.read()
        return ledger.path / submissions[-1].folder if submissions else None


@dataclass(frozen=True)
class _Submitter:
    """Hands in jobs of one sweep, under its ledger's lock."""

    launcher: BatchLauncher
    ledger: Ledger
    work: Work

    def by_hand(self, missing: Sequence[Job]) -> Outcome:
        """Submit what is not queued; the new dependent job comes last of all, so that only it has to continue."""
        submissions = self.ledger.read()
        states = self.launcher.states(_jobs(submissions))
        live = queued_jobs(submissions, states)
        places = placed(self.ledger, submissions, states)
        queued = {
            run_id for run_id, place in places.items() if place.state is not None and is_queued(place.state)
        }
        jobs = [job for job in missing if job.cell.run_id not in queued and not _is_trained_here(job)]
        total = len(self.work.plan.cells)
        self._say(
            f"{total - len(missing)} of {total} cells finished, {len(missing) - len(jobs)} queued or running, "
            f"{len(jobs)} to submit"
        )
        if jobs:
            self._submit(jobs, after=live)
            return Outcome.QUEUED
        dependent = [submission.report_job for submission in submissions if submission.report_job in live]
        if dependent:
            self._say(f"job {dependent[-1]} continues when they have ended ('isoflop cancel' takes it back)")
        elif missing:
            self._say("run the same command again when they have ended")
        return Outcome.QUEUED if dependent or missing else Outcome.DONE

    def next_stage(self, missing: Sequence[Job]) -> Outcome:
        """Submit what was never submitted. All that was has ended: this job depends on it, and asks no queue."""
        if newer := self.ledger.newer(self.work.continuation.submission):
            self._say(newer.takes_over)
            return Outcome.QUEUED
        total = len(self.work.plan.cells)
        known = {run_id for submission in self.ledger.read() for run_id in submission.run_ids}
        lost = [job.cell.run_id for job in missing if job.cell.run_id in known]
        if lost:
            self.work.say_status()
            more = " …" if len(lost) > 8 else ""
            self._say(
                f"{len(lost)} of {total} cells are missing ({', '.join(lost[:8])}{more}); "
                "run the same command again to submit them again"
            )
            return Outcome.INCOMPLETE
        if not missing:
            return Outcome.DONE
        self._say(f"{total - len(missing)} of {total} cells finished, {len(missing)} to submit")
        try:
            warning = self._submit(missing)
        except UserError as error:
            # a container without the commands, or a cluster that takes no jobs from jobs
            self._say(
                f"the next {len(missing)} cells are not submitted: {error}; run the same command again by hand"
            )
            return Outcome.INCOMPLETE
        return Outcome.INCOMPLETE if warning else Outcome.QUEUED

    def _submit(self, jobs: Sequence[Job], after: Sequence[str] = ()) -> str:
        """One array of ``jobs``, and a dependent job that waits for the jobs ``after``, too; returns a warning.

        Raises:
            UserError: the array is refused.
        """
        launcher, pace = self.launcher, _pace(self.work.plan, self.work.folder)
        tasks = launcher.tasks(jobs, pace)
        folder = self.ledger.new_folder()
        for index, task in enumerate(tasks):
            write_task(folder, index, task, launcher.pool_options(self.work.train))
        write_atomic(folder / "config.yaml", self.work.continuation.yaml)
        name = jobs[0].sweep_name
        job, asks = launcher.submit_array(Array(name, folder, tasks, pace))
        run_ids = tuple(tuple(job.cell.run_id for job in task) for task in tasks)
        submission = Submission(folder.name, _now(), run_ids, job)
        self.ledger.put(submission)
        warning = ""
        if launcher.continues:
            try:
                dependent = launcher.submit_dependent(
                    name, folder, self.work.continuation.command, (job, *after)
                )
                submission = replace(submission, report_job=dependent)
                self.ledger.put(submission)
            except UserError as error:
                warning = f"no job depends on it: {error}"
        self._say_submitted(submission, asks)
        if warning:
            self._say(f"{warning}; run the same command again when the array has ended")
        return warning

    def _say_submitted(self, submission: Submission, asks: str) -> None:
        lengths = [len(task) for task in submission.tasks]
        cells = f"{min(lengths)}-{max(lengths)}" if min(lengths) < max(lengths) else str(lengths[0])
        then = f"; dependent job {submission.report_job} continues" if submission.report_job else ""
        self._say(
            f"submitted job array {submission.job}: {len(lengths)} tasks of {cells} cells{then}\n"
            f"each asks for {asks}; files and logs: {self.ledger.path / submission.folder}"
        )

    def _say(self, text: str) -> None:
        self.work.console.print(text, highlight=False, soft_wrap=True)


def _jobs(submissions: Sequence[Submission]) -> list[str]:
    return [job for submission in submissions for job in submission.jobs]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_trained_here(job: Job) -> bool:
    """Whether a process of this machine trains it, which is all that can be known at once."""
    owner = holder(job.folder.path)
    return owner is not None and owner.locked and not owner.job and not gone(job.folder.path)


def _pace(plan: Plan, folder: SweepFolder) -> float:
    """How much longer finished runs took than planned; never less than 1, for the cluster may be slower."""
    return max(1.0, pace_of(plan.cells, records(folder, plan)))
