"""The stages of a sweep on a batch system: what is missing is submitted by hand, what comes next by a dependent job."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import UserError
from harness.files import seal_text, write_atomic
from harness.launch.batch_system import Array, BatchSystem
from harness.launch.launcher import Outcome, Work
from harness.launch.ledger import Ledger, placed, write_task
from harness.launch.queued import is_queued
from harness.launch.state import pace_of
from harness.launch.submission import ARRAY, REPORT, Submission
from harness.launch.submitting import Submissions
from harness.plan.plan import Plan
from harness.runs.claim import gone, holder
from harness.runs.files import SweepFolder
from harness.runs.table import records
from harness.text import counted
from harness.train.job import Job


@dataclass(frozen=True)
class Stages:
    """Hands in jobs of one sweep, under its ledger's lock."""

    system: BatchSystem
    ledger: Ledger
    work: Work

    @property
    def submissions(self) -> Submissions:
        """What was submitted before."""
        return Submissions(self.system, self.ledger, self.say)

    def submit(self) -> Outcome:
        """Submit what is missing, as the user's command or as the dependent job that this process is.

        Raises:
            UserError: the system is not there, or refuses; a dependent job says so and is ``INCOMPLETE``.
        """
        self.submissions.settle()
        jobs = self.work.missing()
        return self.next_stage(jobs) if self.work.continuation.submission else self.by_hand(jobs)

    def by_hand(self, missing: Sequence[Job]) -> Outcome:
        """Submit what is not queued; the new dependent job comes last of all, so that only it has to continue."""
        submissions = self.ledger.read()
        seen = self.submissions.look()
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
            f"{total - len(missing)} of {counted(total, 'cell')} finished, "
            f"{len(missing) - len(jobs)} queued or running, "
            f"{len(jobs)} to submit"
        )
        if jobs:
            self._submit(jobs, after=live)
            return Outcome.QUEUED
        dependent = [submission.report_job for submission in submissions if submission.report_job in live]
        # an array whose dependent job never reached the queue, for want of an answer or of time to ask
        alone = [submission for submission in submissions if submission.job in live]
        if alone and not dependent and self.system.continues and not alone[-1].report_job:
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
                f"{len(lost)} of {counted(total, 'cell')} {'is' if len(lost) == 1 else 'are'} missing "
                f"({', '.join(lost[:8])}{more}); run the same command again to submit "
                f"{'it' if len(lost) == 1 else 'them'} again"
            )
            return Outcome.INCOMPLETE
        if not missing:
            return Outcome.DONE
        self.say(f"{total - len(missing)} of {counted(total, 'cell')} finished, {len(missing)} to submit")
        try:
            warning = self._submit(missing)
        except UserError as error:
            # a container without the commands, or a cluster that takes no jobs from jobs
            self.say(
                f"the next {counted(len(missing), 'cell is', 'cells are')} not submitted: {error}; "
                "run the same command again by hand"
            )
            return Outcome.INCOMPLETE
        return Outcome.INCOMPLETE if warning else Outcome.QUEUED

    def _submit(self, jobs: Sequence[Job], after: Sequence[str] = ()) -> str:
        """One array of ``jobs``, and a dependent job that waits for the jobs ``after``, too; returns a warning.

        Raises:
            UserError: the array is refused.
        """
        system, pace = self.system, _pace(self.work.plan, self.work.folder)
        tasks, name = system.tasks(jobs, pace), jobs[0].sweep_name
        array = Array(name, self.ledger.path.resolve() / "0000", tasks, pace, ARRAY)
        self.submissions.check(array, name, self.work.continuation.command)
        with self.submissions.folder() as folder:
            for index, task in enumerate(tasks):
                write_task(folder, index, task, system.pool_options(self.work.train))
            write_atomic(folder / "config.yaml", seal_text(self.work.continuation.yaml))
            run_ids = tuple(tuple(job.cell.run_id for job in task) for task in tasks)
            submission = self.submissions.intend(folder.name, run_ids)
            array = replace(array, folder=folder, mark=self.ledger.mark(submission, ARRAY))
            submission = self.submissions.place(submission, ARRAY, lambda: system.submit_array(array))
        warning = ""
        if system.continues:
            warning, submission = self._continue(submission, name, (submission.job, *after))
        self._say_submitted(submission, system.asks(array))
        if warning:
            self.say(f"{warning}; run the same command again when the array has ended")
        return warning

    def _continue(self, submission: Submission, name: str, after: Sequence[str]) -> tuple[str, Submission]:
        """A dependent job for ``submission``, and a warning where there is none."""
        folder, mark = self.ledger.path.resolve() / submission.folder, self.ledger.mark(submission, REPORT)
        command = self.work.continuation.command
        hand_in = lambda: self.system.submit_dependent(name, folder, command, after, mark)  # noqa: E731
        try:
            return "", self.submissions.place(submission, REPORT, hand_in)
        except UserError as error:
            return f"no job depends on it: {error}", submission

    def _say_submitted(self, submission: Submission, asks: str) -> None:
        lengths = [len(task) for task in submission.tasks]
        least, most = min(lengths), max(lengths)
        cells = f"{least}-{most} cells" if least < most else counted(most, "cell")
        then = f"; dependent job {submission.report_job} continues" if submission.report_job else ""
        self.say(
            f"submitted job array {submission.job}: {counted(len(lengths), 'task')} of {cells}{then}\n"
            f"each asks for {asks}; files and logs: {self.ledger.path / submission.folder}"
        )

    def say(self, text: str) -> None:
        """Tell the user."""
        self.work.console.print(text, highlight=False, soft_wrap=True, markup=False)


def _is_trained_here(job: Job) -> bool:
    """Whether a process of this machine trains it, which is all that can be known at once."""
    owner = holder(job.folder.path)
    return owner is not None and owner.locked and not owner.job and not gone(job.folder.path)


def _pace(plan: Plan, folder: SweepFolder) -> float:
    """How much longer finished runs took than planned; never less than 1, for the cluster may be slower."""
    return max(1.0, pace_of(plan.cells, records(folder, plan)))
