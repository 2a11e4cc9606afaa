"""A launcher of a batch system: it submits what is missing as a job array and leaves; a dependent job continues.

All but the batch system's own commands is here: one submission at a time, nothing submitted twice, what the queue says
of our jobs, and nothing done to anybody else's.
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from harness.errors import UserError
from harness.files import seal_text, write_atomic
from harness.launch.batch_system import BatchSystem
from harness.launch.launcher import Continuation, Outcome, Queue, Work
from harness.launch.ledger import Ledger, placed, read_task
from harness.launch.queued import TaskId, is_queued
from harness.launch.stages import Stages
from harness.launch.submission import REPORT, Submission
from harness.launch.submitting import QueueView, Submissions
from harness.plan.cell import Cell
from harness.runs.files import SweepFolder


class BatchLauncher(BatchSystem):
    """What launchers of batch systems have in common; a subclass knows one system's commands."""

    def ledger(self, folder: SweepFolder) -> Ledger:
        """Of the submissions of the sweep in ``folder``."""
        return Ledger(folder.path / self.kind)

    def train(self, work: Work) -> Outcome:
        """Submit the cells that have not ended and that nobody trains or will; returns at once.

        Raises:
            UserError: the system is not there, or refuses; a dependent job says so and is ``INCOMPLETE``.
        """
        ledger = self.ledger(work.folder)
        with ledger.locked():
            return Stages(self, ledger, work).submit()

    def settle(self, folder: SweepFolder) -> list[str]:
        """Find out what became of submissions that the system never answered; returns what there is to say.

        Raises:
            UserError: the ledger cannot be read, or the system does not answer.
        """
        ledger, said = self.ledger(folder), list[str]()
        if any(one.unanswered for one in ledger.read()):
            with ledger.locked(wait=False) as mine:
                if mine:
                    Submissions(self, ledger, said.append).settle()
                else:
                    said.append("another process submits at this moment")
        return said

    def queue(self, folder: SweepFolder, planned: Collection[str], settle: bool = True) -> Queue:
        """What was submitted, and what the queue says of it."""
        ledger = self.ledger(folder)
        submissions, seen, notes, problem = list[Submission](), QueueView(), list[str](), ""
        try:
            notes = [*ledger.of_original(), *(self.settle(folder) if settle else _unanswered(ledger))]
        except (UserError, OSError) as error:  # an unreadable ledger, a silent system, somebody else's folder
            problem = str(error)
        try:
            submissions = ledger.read()
            seen = self._seen(ledger, submissions)
        except UserError as error:
            problem = problem or str(error)
        states = seen.states
        unplanned: list[Cell] = []
        try:
            unplanned = [
                job.cell
                for submission in submissions[-1:]
                for task, run_ids in enumerate(submission.tasks)
                if not set(planned).issuperset(run_ids)
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
            seen.silence,
        )

    def _seen(self, ledger: Ledger, submissions: Sequence[Submission]) -> QueueView:
        """What the queue says, where there is anything to ask it.

        Raises:
            UserError: it cannot be asked.
        """
        if not any(submission.jobs for submission in submissions):
            return QueueView()
        if not self.available():
            raise UserError(f"{self.kind.capitalize()}'s commands are not on the PATH")
        return Submissions(self, ledger, _nobody).look()

    def live(self, folder: SweepFolder) -> list[str]:
        """The sweep's jobs that run or will."""
        return list(Submissions(self, self.ledger(folder), _nobody).look().live)

    def depend(self, name: str, folder: SweepFolder, continuation: Continuation, jobs: Sequence[str]) -> str:
        """A job that depends on the jobs of other sweeps, unless one is queued that is not this process.

        Raises:
            UserError: the system is not there, or refuses.
        """
        if not self.continues:
            return ""
        ledger = self.ledger(folder)
        with ledger.locked():
            submissions = Submissions(self, ledger, _nobody)
            submissions.settle()
            waiting = [] if continuation.submission else submissions.look().live
            if waiting:
                return waiting[-1]
            submissions.check(None, name, continuation.command)
            with submissions.folder() as made:
                write_atomic(made / "config.yaml", seal_text(continuation.yaml))
                submission = submissions.intend(made.name, ())
                mark = ledger.mark(submission, REPORT)
                hand_in = lambda: self.submit_dependent(name, made, continuation.command, tuple(jobs), mark)  # noqa: E731
                return submissions.place(submission, REPORT, hand_in).report_job

    def cancel(self, folder: SweepFolder, say: Callable[[str], None]) -> list[str]:
        """Take back what was submitted; running cells keep their checkpoints."""
        ledger = self.ledger(folder)
        for note in ledger.of_original():
            say(note)
        if not ledger.read():
            return []
        # a dependent job that is just submitting the next stage comes before this or not at all
        with ledger.locked():
            submissions = Submissions(self, ledger, say)
            submissions.settle()
            seen = submissions.look()
            for note in seen.notes:
                say(note)
            if seen.live:
                # first: a task that is told to stop must not requeue itself
                ledger.mark_cancelled(one.folder for one in ledger.read() if set(one.jobs) & set(seen.live))
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


def _unanswered(ledger: Ledger) -> list[str]:
    """What there is to say of submissions that the system has not answered, where nobody asks it now."""
    return [
        f"submission {one.folder} has no answer yet: 'isoflop status' looks for it in the queue"
        for one in ledger.read()
        if one.unanswered
    ]


def _nobody(text: str) -> None:
    """Where there is nobody to tell: the command that submits tells the user."""
