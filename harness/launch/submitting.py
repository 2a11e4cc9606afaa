"""Submitting to a batch system so that nothing is lost, submitted twice, or taken for ours that is somebody else's.

The ledger knows of a submission before the system is asked, and its number after. Where the answer is missing, the
queue is searched for the submission's mark; a number whose job has not that mark is a stranger's.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from harness.errors import UserError
from harness.launch.batch_system import Array, BatchSystem
from harness.launch.ledger import Ledger, queued_jobs
from harness.launch.queued import TaskId, TaskState, UnansweredError
from harness.launch.submission import Submission


@dataclass(frozen=True)
class QueueView:
    """What a look at the queue gives: ``live``, our jobs that run or will; ``notes``, what else the user must know.

    ``silence`` is that of :class:`harness.launch.queued.JobStates`.
    """

    states: Mapping[TaskId, TaskState] = field(default_factory=dict)
    live: Sequence[str] = ()
    notes: tuple[str, ...] = ()
    silence: str = ""


@dataclass(frozen=True)
class Submissions:
    """All submissions of a sweep to ``system``; who changes them holds the ledger's lock."""

    system: BatchSystem
    ledger: Ledger
    say: Callable[[str], None]

    def settle(self) -> None:
        """Find out what became of what the system never answered: nothing else may be submitted before.

        Raises:
            UserError: the ledger cannot be read, or the system does not answer.
        """
        here = ""
        for submission in self.ledger.read():
            for part in submission.unanswered:
                here = here or self.system.cluster()
                if _is_elsewhere(submission, here):
                    continue
                try:
                    found = self._jobs_of(submission, part)
                except UserError as error:
                    raise UserError(
                        f"submission {submission.folder} may be in the queue, which does not say so: {error}; nothing "
                        "is submitted, run the same command again when it does"
                    ) from error
                submission = submission.answered(part, found[0] if found else "")
                if found:
                    self.say(
                        f"job {found[0]} is the {part} job of submission {submission.folder}: it has its mark"
                    )
                elif not submission.jobs and not submission.unanswered:
                    self.say(f"submission {submission.folder} never reached the queue and is given up")
                    self.ledger.give_up(submission)
                    continue
                self.ledger.put(submission)

    def _jobs_of(self, submission: Submission, part: str) -> list[str]:
        """The job that is ``part`` of ``submission``, by its mark or its logs; none where there is no such job.

        A system that took it twice has it once after this.

        Raises:
            UserError: the system does not answer.
        """
        day = (datetime.fromisoformat(submission.submitted) - timedelta(days=1)).date().isoformat()
        started = self.ledger.started(submission, part)[:1]
        try:
            found = self.system.find(self.ledger.mark(submission, part, anywhere=True), day)
        except UserError:
            if started:  # it runs or ran, perhaps where there are no commands to ask: in a container
                return started
            raise
        if len(found) > 1:
            more = ", ".join(found[1:])
            self.say(f"submission {submission.folder} was taken {len(found)} times: {more} cancelled")
            self.system.stop(found[1:])
        return list(found[:1]) or started

    def look(self) -> QueueView:
        """What the queue says of all that was submitted, but on another cluster.

        Raises:
            UserError: the system is not there, or does not answer.
        """
        submissions = self.ledger.read()
        here = self.system.cluster() if any(one.cluster for one in submissions) else ""
        ours = [one for one in submissions if not _is_elsewhere(one, here)]
        sight = self.system.states(self.ledger.marks(ours))
        notes = [
            f"submission {one.folder} (jobs {', '.join(one.jobs) or 'unknown'}) is of the cluster {one.cluster}, "
            f"this is {here}: how it stands is not known here"
            for one in submissions
            if one not in ours and not one.cancelled
        ]
        notes += [
            f"job {job} of submission {one.folder} is now {sight.foreign[job]}, not ours: it is left alone"
            for one in ours
            for job in one.jobs
            if job in sight.foreign
        ]
        return QueueView(sight.states, tuple(queued_jobs(ours, sight.states)), tuple(notes), sight.silence)

    def check(self, array: Array | None, name: str, command: str) -> None:
        """Refuse what could not be handed in, before anything of it is written.

        Raises:
            UserError: the system is not there, or something that a submission needs is missing or wrong.
        """
        if not self.system.available():
            raise UserError(
                f"launcher={self.system.kind}: {self.system.kind.capitalize()}'s commands are not on the PATH "
                "(launcher=local needs none)"
            )
        self.system.check(array, name, self.ledger.path.resolve() / "0000", command)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new folder for a submission; it is removed where the submission never came to be."""
        made = self.ledger.new_folder()
        try:
            yield made
        except BaseException:
            with suppress(OSError, UserError):
                if all(one.folder != made.name for one in self.ledger.read()):
                    shutil.rmtree(made)
            raise

    def intend(self, folder: str, tasks: tuple[tuple[str, ...], ...]) -> Submission:
        """A submission that is about to be made."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        place = str(self.ledger.path.resolve())
        return Submission(
            folder, now, tasks, token=uuid4().hex[:12], cluster=self.system.cluster(), place=place
        )

    def place(
        self,
        submission: Submission,
        part: str,
        hand_in: Callable[[], str],
    ) -> Submission:
        """Have ``hand_in`` submit ``part`` of ``submission``: the ledger knows of it before, and its number after.

        Raises:
            UserError: the system has not taken it; or that is not known, and the ledger says so.
        """
        submission = submission.asked(part)
        self.ledger.put(submission)
        try:
            job = hand_in()
        except UserError as error:
            job = self._taken_after_all(submission, part, error)
        submission = submission.answered(part, job)
        self.ledger.put(submission)
        return submission

    def _taken_after_all(
        self,
        submission: Submission,
        part: str,
        error: UserError,
    ) -> str:
        """The job of ``part`` where the system has it though it said something else.

        Raises:
            UserError: it has not, or that is not known.
        """
        problem = ""
        try:
            if found := self._jobs_of(submission, part):
                self.say(f"{error}; but job {found[0]} is in the queue and is ours")
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
            self.ledger.put(refused)
        else:
            self.ledger.give_up(refused)
        raise error


def _is_elsewhere(submission: Submission, here: str) -> bool:
    """Whether a submission was made on another cluster, whose numbers mean something else ``here``."""
    return bool(submission.cluster and here and submission.cluster != here)
