"""A launcher of a batch system: it submits what is missing as a job array and leaves; a dependent job continues.

All but the batch system's own commands is here: one submission at a time, nothing submitted twice, what the queue says
of our jobs, and nothing done to anybody else's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

from harness.errors import UserError
from harness.launch.launcher import Continuation, Outcome, Queue, Work
from harness.launch.ledger import (
    ARRAY,
    REPORT,
    Ledger,
    Sight,
    Submission,
    TaskId,
    TaskState,
    UnansweredError,
    is_queued,
    placed,
    queued_jobs,
    read_task,
    write_task,
)
from harness.launch.state import pace_of
from harness.plan.cell import Cell
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
        mark: what the queue must say of it, and of no other job.
    """

    name: str
    folder: Path
    tasks: Sequence[Sequence[Job]]
    pace: float
    mark: str


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
    def states(self, jobs: Mapping[str, str]) -> Sight:
        """What the queue says of all tasks of ``jobs`` that it still knows, and of whose numbers those are now.

        Args:
            jobs: the mark of each, by its id.

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
            self._settle(submitter.ledger, submitter.say)
            jobs = work.missing()
            return submitter.next_stage(jobs) if work.continuation.submission else submitter.by_hand(jobs)

    def settle(self, folder: SweepFolder) -> list[str]:
        """Find out what became of submissions that the system never answered; returns what there is to say.

        Raises:
            UserError: the ledger cannot be read, or the system does not answer.
        """
        ledger, said = self.ledger(folder), list[str]()
        if any(one.unanswered for one in ledger.read()):
            with ledger.locked(wait=False) as mine:
                if mine:
                    self._settle(ledger, said.append)
                else:
                    said.append("another process submits at this moment")
        return said

    def _settle(self, ledger: Ledger, say: Callable[[str], None]) -> None:
        """The same, under the lock. Nothing else may be submitted before: it may be in the queue."""
        here = ""
        for submission in ledger.read():
            for part in submission.unanswered:
                here = here or self.cluster()
                if _is_elsewhere(submission, here):
                    continue
                try:
                    found = self._jobs_of(ledger, submission, part, say)
                except UserError as error:
                    raise UserError(
                        f"submission {submission.folder} may be in the queue, which does not say so: {error}; nothing "
                        "is submitted, run the same command again when it does"
                    ) from error
                submission = submission.answered(part, found[0] if found else "")
                if found:
                    say(
                        f"job {found[0]} is the {part} job of submission {submission.folder}: it has its mark"
                    )
                elif not submission.jobs and not submission.unanswered:
                    say(f"submission {submission.folder} never reached the queue and is given up")
                    ledger.give_up(submission)
                    continue
                ledger.put(submission)

    def _jobs_of(
        self, ledger: Ledger, submission: Submission, part: str, say: Callable[[str], None]
    ) -> list[str]:
        """The job that is ``part`` of ``submission``, by its mark or its logs; none where there is no such job.

        A system that took it twice has it once after this.

        Raises:
            UserError: the system does not answer.
        """
        day = (datetime.fromisoformat(submission.submitted) - timedelta(days=1)).date().isoformat()
        found = [*self.find(ledger.mark(submission, part), day)] or ledger.started(submission, part)
        if len(found) > 1:
            say(
                f"submission {submission.folder} was taken {len(found)} times: {', '.join(found[1:])} cancelled"
            )
            self.stop(found[1:])
        return found[:1]

    def queue(self, folder: SweepFolder, planned: set[str]) -> Queue:
        """What was submitted, and what the queue says of it."""
        ledger = self.ledger(folder)
        problem, notes, submissions, unplanned = "", list[str](), list[Submission](), list[Cell]()
        try:
            notes += self.settle(folder)
        except UserError as error:
            problem = str(error)
        with suppress(UserError):  # an unreadable ledger: then that is the problem
            submissions = ledger.read()
        seen, why = self._ask(ledger, submissions)
        problem = problem or why
        states = seen.states
        try:
            unplanned = [
                job.cell
                for submission in submissions[-1:]
                for task, run_ids in enumerate(submission.tasks)
                if not planned.issuperset(run_ids)
                for job in read_task(ledger.path / submission.folder, task)[0]
                if job.cell.run_id not in planned
            ]
        except UserError as error:
            notes.append(str(error))
        dependent = [
            (submission.report_job, state.state.lower())
            for submission in submissions
            if (state := states.get(TaskId(submission.report_job))) is not None and is_queued(state)
        ]
        return Queue(
            placed(ledger, submissions, states),
            states,
            tuple(unplanned),
            tuple(dependent),
            problem,
            (*notes, *seen.notes),
        )

    def _ask(self, ledger: Ledger, submissions: Sequence[Submission]) -> tuple["_Seen", str]:
        """The queue, and why it is not known."""
        if not any(submission.jobs for submission in submissions):
            return _Seen(), ""
        if not self.available():
            return _Seen(), f"{self.kind.capitalize()}'s commands are not on the PATH"
        try:
            return self.look(ledger, submissions), ""
        except UserError as error:
            return _Seen(), str(error)

    def look(self, ledger: Ledger, submissions: Sequence[Submission]) -> "_Seen":
        """What the queue says of these submissions, without those of another cluster.

        Raises:
            UserError: the system is not there, or does not answer.
        """
        here = self.cluster() if any(one.cluster for one in submissions) else ""
        ours = [one for one in submissions if not _is_elsewhere(one, here)]
        sight = self.states(ledger.marks(ours))
        notes = [
            f"submission {one.folder} (jobs {', '.join(one.jobs) or 'unknown'}) is of the cluster {one.cluster}, "
            f"this is {here}: how it stands is not known here"
            for one in submissions
            if one not in ours and not one.cancelled
        ]
        notes += [
            f"job {job} of submission {one.folder} is now {sight.strangers[job]}, not ours: it is left alone"
            for one in ours
            for job in one.jobs
            if job in sight.strangers
        ]
        return _Seen(sight.states, tuple(queued_jobs(ours, sight.states)), tuple(notes))

    def live(self, folder: SweepFolder) -> list[str]:
        """The sweep's jobs that run or will."""
        return list(self._live(self.ledger(folder)))

    def _live(self, ledger: Ledger) -> Sequence[str]:
        return self.look(ledger, ledger.read()).live

    def depend(self, name: str, folder: SweepFolder, continuation: Continuation, jobs: Sequence[str]) -> str:
        """A job that depends on the jobs of other sweeps, unless one is queued that is not this process.

        Raises:
            UserError: the system is not there, or refuses.
        """
        if not self.continues:
            return ""
        ledger = self.ledger(folder)
        with ledger.locked():
            self._settle(ledger, lambda text: None)
            waiting = [] if continuation.submission else self._live(ledger)
            if waiting:
                return waiting[-1]
            made = ledger.new_folder()
            write_atomic(made / "config.yaml", continuation.yaml)
            submission = self.intend(made.name, ())
            mark = ledger.mark(submission, REPORT)
            hand_in = lambda: self.submit_dependent(name, made, continuation.command, tuple(jobs), mark)  # noqa: E731
            return self.place(ledger, submission, REPORT, hand_in, lambda text: None).report_job

    def intend(self, folder: str, tasks: tuple[tuple[str, ...], ...]) -> Submission:
        """A submission that is about to be made."""
        return Submission(folder, _now(), tasks, token=uuid4().hex[:12], cluster=self.cluster())

    def place(
        self,
        ledger: Ledger,
        submission: Submission,
        part: str,
        hand_in: Callable[[], str],
        say: Callable[[str], None],
    ) -> Submission:
        """Have ``hand_in`` submit ``part`` of ``submission``: the ledger knows of it before, and its number after.

        Raises:
            UserError: the system has not taken it; or that is not known, and the ledger says so.
        """
        if not self.available():
            raise UserError(
                f"launcher={self.kind}: {self.kind.capitalize()}'s commands are not on the PATH "
                "(launcher=local needs none)"
            )
        submission = submission.asked(part)
        ledger.put(submission)
        try:
            job = hand_in()
        except UserError as error:
            job = self._taken_after_all(ledger, submission, part, error, say)
        submission = submission.answered(part, job)
        ledger.put(submission)
        return submission

    def _taken_after_all(
        self,
        ledger: Ledger,
        submission: Submission,
        part: str,
        error: UserError,
        say: Callable[[str], None],
    ) -> str:
        """The job of ``part`` where the system has it though it said something else.

        Raises:
            UserError: it has not, or that is not known.
        """
        problem = ""
        try:
            if found := self._jobs_of(ledger, submission, part, say):
                say(f"{error}; but job {found[0]} is in the queue and is ours")
                return found[0]
        except UserError as silence:
            problem = f" ({silence})"
        if problem or isinstance(error, UnansweredError):
            raise UserError(
                f"{error}; whether submission {submission.folder} is in the queue is not known{problem}: run the same "
                "command again, which looks for it before it submits"
            ) from error
        refused = submission.answered(part, "")
        if refused.jobs:
            ledger.put(refused)
        else:
            ledger.give_up(refused)
        raise error

    def cancel(self, folder: SweepFolder, say: Callable[[str], None]) -> list[str]:
        """Take back what was submitted; running cells keep their checkpoints."""
        ledger = self.ledger(folder)
        if not ledger.read():
            return []
        # a dependent job that is just submitting the next stage comes before this or not at all
        with ledger.locked():
            self._settle(ledger, say)
            submissions = ledger.read()
            seen = self.look(ledger, submissions)
            for note in seen.notes:
                say(note)
            if seen.live:
                # first: a task that is told to stop must not requeue itself
                ledger.mark_cancelled(one.folder for one in submissions if set(one.jobs) & set(seen.live))
                self.stop(seen.live[::-1])  # the dependent job before the array, whose end would start it
        return list(seen.live)

    def latest(self, folder: SweepFolder) -> Path | None:
        """The folder of the latest submission."""
        ledger = self.ledger(folder)
        submissions = ledger.read()
        return ledger.path / submissions[-1].folder if submissions else None

    def touched(self, folder: SweepFolder) -> float:
        """When this launcher last submitted a part of the sweep, in seconds since 1970; 0 where it never did."""
        path = self.ledger(folder).path
        files = [path / "submitted.json", *path.glob("[0-9]*/config.yaml")]
        return max((file.stat().st_mtime for file in files if file.exists()), default=0.0)


@dataclass(frozen=True)
class _Seen:
    """What a look at the queue gives: ``live``, our jobs that run or will; ``notes``, what else the user must know."""

    states: Mapping[TaskId, TaskState] = field(default_factory=dict)
    live: Sequence[str] = ()
    notes: tuple[str, ...] = ()


def _is_elsewhere(submission: Submission, here: str) -> bool:
    """Whether a submission was made on another cluster, whose numbers mean something else ``here``."""
    return bool(submission.cluster and here and submission.cluster != here)


@dataclass(frozen=True)
class _Submitter:
    """Hands in jobs of one sweep, under its ledger's lock."""

    launcher: BatchLauncher
    ledger: Ledger
    work: Work

    def by_hand(self, missing: Sequence[Job]) -> Outcome:
        """Submit what is not queued; the new dependent job comes last of all, so that only it has to continue."""
        submissions = self.ledger.read()
        seen = self.launcher.look(self.ledger, submissions)
        for note in seen.notes:
            self.say(note)
        live = seen.live
        places = placed(self.ledger, submissions, seen.states)
        queued = {
            run_id for run_id, place in places.items() if place.state is not None and is_queued(place.state)
        }
        jobs = [job for job in missing if job.cell.run_id not in queued and not _is_trained_here(job)]
        total = len(self.work.plan.cells)
        self.say(
            f"{total - len(missing)} of {total} cells finished, {len(missing) - len(jobs)} queued or running, "
            f"{len(jobs)} to submit"
        )
        if jobs:
            self._submit(jobs, after=live)
            return Outcome.QUEUED
        dependent = [submission.report_job for submission in submissions if submission.report_job in live]
        # an array whose dependent job never reached the queue, for want of an answer or of time to ask
        alone = [submission for submission in submissions if submission.job in live]
        if alone and not dependent and self.launcher.continues and not alone[-1].report_job:
            warning, submission = self._continue(alone[-1], self.work.plan.name, live)
            dependent = [submission.report_job] if submission.report_job else []
            if warning:
                self.say(warning)
        if dependent:
            self.say(f"job {dependent[-1]} continues when they have ended ('isoflop cancel' takes it back)")
        elif missing:
            self.say("run the same command again when they have ended")
        return Outcome.QUEUED if dependent or missing else Outcome.DONE

    def next_stage(self, missing: Sequence[Job]) -> Outcome:
        """Submit what was never submitted. All that was has ended: this job depends on it, and asks no queue."""
        if newer := self.ledger.newer(self.work.continuation.submission):
            self.say(newer.takes_over)
            return Outcome.QUEUED
        total = len(self.work.plan.cells)
        known = {run_id for submission in self.ledger.read() for run_id in submission.run_ids}
        lost = [job.cell.run_id for job in missing if job.cell.run_id in known]
        if lost:
            self.work.say_status()
            more = " …" if len(lost) > 8 else ""
            self.say(
                f"{len(lost)} of {total} cells are missing ({', '.join(lost[:8])}{more}); "
                "run the same command again to submit them again"
            )
            return Outcome.INCOMPLETE
        if not missing:
            return Outcome.DONE
        self.say(f"{total - len(missing)} of {total} cells finished, {len(missing)} to submit")
        try:
            warning = self._submit(missing)
        except UserError as error:
            # a container without the commands, or a cluster that takes no jobs from jobs
            self.say(
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
        run_ids = tuple(tuple(job.cell.run_id for job in task) for task in tasks)
        submission = launcher.intend(folder.name, run_ids)
        array = Array(name, folder, tasks, pace, self.ledger.mark(submission, ARRAY))
        submission = launcher.place(
            self.ledger, submission, ARRAY, lambda: launcher.submit_array(array), self.say
        )
        warning = ""
        if launcher.continues:
            warning, submission = self._continue(submission, name, (submission.job, *after))
        self._say_submitted(submission, launcher.asks(array))
        if warning:
            self.say(f"{warning}; run the same command again when the array has ended")
        return warning

    def _continue(self, submission: Submission, name: str, after: Sequence[str]) -> tuple[str, Submission]:
        """A dependent job for ``submission``, and a warning where there is none."""
        folder, mark = self.ledger.path.resolve() / submission.folder, self.ledger.mark(submission, REPORT)
        command = self.work.continuation.command
        hand_in = lambda: self.launcher.submit_dependent(name, folder, command, after, mark)  # noqa: E731
        try:
            return "", self.launcher.place(self.ledger, submission, REPORT, hand_in, self.say)
        except UserError as error:
            return f"no job depends on it: {error}", submission

    def _say_submitted(self, submission: Submission, asks: str) -> None:
        lengths = [len(task) for task in submission.tasks]
        cells = f"{min(lengths)}-{max(lengths)}" if min(lengths) < max(lengths) else str(lengths[0])
        then = f"; dependent job {submission.report_job} continues" if submission.report_job else ""
        self.say(
            f"submitted job array {submission.job}: {len(lengths)} tasks of {cells} cells{then}\n"
            f"each asks for {asks}; files and logs: {self.ledger.path / submission.folder}"
        )

    def say(self, text: str) -> None:
        """Tell the user."""
        self.work.console.print(text, highlight=False, soft_wrap=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_trained_here(job: Job) -> bool:
    """Whether a process of this machine trains it, which is all that can be known at once."""
    owner = holder(job.folder.path)
    return owner is not None and owner.locked and not owner.job and not gone(job.folder.path)


def _pace(plan: Plan, folder: SweepFolder) -> float:
    """How much longer finished runs took than planned; never less than 1, for the cluster may be slower."""
    return max(1.0, pace_of(plan.cells, records(folder, plan)))
