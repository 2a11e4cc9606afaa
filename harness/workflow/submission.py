"""Submitting what is missing of a plan to Slurm, once, by hand or from the job behind an array."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from harness.commands import status
from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.launch.config import LauncherConfig
from harness.launch.slurm import client
from harness.launch.slurm.ledger import Ledger, placed, queued_jobs
from harness.launch.slurm.submit import JobBehind, Submitted, submit
from harness.launch.state import pace_of
from harness.plan.plan import Plan
from harness.runs.claim import gone, holder
from harness.runs.folder import SweepFolder
from harness.runs.table import records
from harness.train.job import Job
from harness.workflow.continuation import Errand, Outcome
from harness.workflow.experiment import missing_jobs
from harness.workflow.resources import runs_per_gpu


def submit_missing(
    errand: Errand, config: Config, plan: Plan, corpus: Corpus, folder: SweepFolder, console: Console
) -> Outcome:
    """Submit the cells of ``plan`` that have no record and that nobody trains or will; returns at once.

    Raises:
        UserError: Slurm is not there, or sbatch refuses; a job behind an array says so and is ``INCOMPLETE``.
    """
    post = Post(
        errand=errand,
        launcher=replace(config.launcher, per_gpu=runs_per_gpu(config)),
        ledger=Ledger(folder.path / "slurm"),
        pace=_pace(plan, folder),
        console=console,
    )
    with post.ledger.locked():
        missing = missing_jobs(config, plan, corpus, folder)
        if errand.behind:
            return _next_stage(missing, plan, folder, post)
        return _by_hand(missing, plan, post)


@dataclass(frozen=True)
class Post:
    """Where jobs are handed in, and for what.

    Attributes:
        pace: how much longer finished runs took than planned.
    """

    errand: Errand
    launcher: LauncherConfig
    ledger: Ledger
    pace: float
    console: Console

    def submit(self, jobs: Sequence[Job], after: Sequence[str] = ()) -> Submitted:
        """One array of ``jobs``; the job behind it waits for the jobs ``after``, too."""
        behind = JobBehind(self.errand.command, self.errand.yaml, tuple(after))
        done = submit(jobs, self.launcher, self.ledger, behind, self.pace)
        self._announce(done)
        return done

    def say(self, text: str) -> None:
        """One line."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def _announce(self, done: Submitted) -> None:
        submission, request = done.submission, done.request
        lengths = [len(task) for task in submission.tasks]
        cells = f"{min(lengths)}-{max(lengths)}" if min(lengths) < max(lengths) else str(lengths[0])
        then = f"; job {submission.report_job} behind it goes on" if submission.report_job else ""
        self.say(
            f"submitted job array {submission.job}: {len(lengths)} tasks of {cells} cells{then}\n"
            f"each asks for {request.time}, {request.memory or 'no memory'}, {request.cpus} cores; "
            f"files and logs: {self.ledger.path / submission.folder}"
        )
        if done.warning:
            self.say(f"{done.warning}; run the same command again when the array has ended")


def _by_hand(missing: Sequence[Job], plan: Plan, post: Post) -> Outcome:
    """Submit what is not in the queue; the new job behind comes last of all, so that only it has to go on."""
    submissions = post.ledger.read()
    states = client.queue([job for submission in submissions for job in submission.jobs])
    live = queued_jobs(submissions, states)
    places = placed(submissions, states)
    queued = {run_id for run_id, place in places.items() if place.state is not None and place.state.queued}
    jobs = [job for job in missing if job.cell.run_id not in queued and not _is_trained_here(job)]
    post.say(
        f"{len(plan.cells) - len(missing)} of {len(plan.cells)} cells finished, {len(missing) - len(jobs)} queued "
        f"or running, {len(jobs)} to submit"
    )
    if jobs:
        post.submit(jobs, after=live)
        return Outcome.QUEUED
    behind = [submission.report_job for submission in submissions if submission.report_job in live]
    if behind:
        post.say(f"job {behind[-1]} goes on when they have ended ('isoflop cancel' takes it back)")
    elif missing:
        post.say("run the same command again when they have ended")
    return Outcome.QUEUED if behind or missing else Outcome.DONE


def _next_stage(missing: Sequence[Job], plan: Plan, folder: SweepFolder, post: Post) -> Outcome:
    """Submit what was never submitted. All that was has ended: this job waited for it, and asks no queue."""
    if newer := post.ledger.newer(post.errand.behind):
        post.say(newer.takes_over)
        return Outcome.QUEUED
    known = {run_id for submission in post.ledger.read() for run_id in submission.run_ids}
    lost = [job.cell.run_id for job in missing if job.cell.run_id in known]
    if lost:
        status.show(folder, post.console)
        more = " …" if len(lost) > 8 else ""
        post.say(
            f"{len(lost)} of {len(plan.cells)} cells are missing ({', '.join(lost[:8])}{more}); "
            "run the same command again to submit them again"
        )
        return Outcome.INCOMPLETE
    if not missing:
        return Outcome.DONE
    post.say(
        f"{len(plan.cells) - len(missing)} of {len(plan.cells)} cells finished, {len(missing)} to submit"
    )
    try:
        done = post.submit(missing)
    except UserError as error:  # a container without Slurm, or a cluster that takes no jobs from jobs
        post.say(
            f"the next {len(missing)} cells are not submitted: {error}; run the same command again by hand"
        )
        return Outcome.INCOMPLETE
    return Outcome.INCOMPLETE if done.warning else Outcome.QUEUED


def _is_trained_here(job: Job) -> bool:
    """Whether a process of this machine trains it, which is all that can be known at once."""
    owner = holder(job.folder.path)
    return owner is not None and owner.locked and not owner.job and not gone(job.folder.path)


def _pace(plan: Plan, folder: SweepFolder) -> float:
    """How much longer finished runs took than planned; never less than 1, for the cluster may be slower."""
    return max(1.0, pace_of(plan.cells, records(folder, plan)))
