"""What a task of a job array does: it trains its cells, and goes back to the queue when it is stopped."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.errors import EXIT_REQUEUE, UserError
from harness.launch.exports import tidy_after
from harness.launch.ledger import Ledger, read_task
from harness.launch.pool import run_pool
from harness.launch.progress import Progress
from harness.launch.sharing import placed, shared_gpus
from harness.launch.slurm import client
from harness.launch.worker import HELD
from harness.plan.cell import Cell
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import FAILED
from harness.runs.watch import STALE_SECONDS
from harness.text import counted
from harness.train.job import StepReport

# A requeued task may meet the claims of its own past on a lost node; longer than this it waits for nobody.
PATIENCE_SECONDS = 1.5 * STALE_SECONDS


class TaskProgress(Progress):
    """Plain lines, and whether the task got anywhere: one that did not is not requeued for ever."""

    moved = False

    def stepped(self, report: StepReport) -> None:
        """A running job stands here."""
        self.moved = True
        super().stepped(report)


def run_task(folder: Path, index: int) -> int:
    """Train the cells of array task ``index`` that have no record; returns the exit status.

    0: nothing is left to do here; 1: cells failed; 75: stopped, and to be run again.
    """
    jobs, options = read_task(folder, index)
    missing = [job for job in jobs if job.end() is None]
    console = Console(file=sys.stdout, width=160, markup=False)
    if not Ledger(folder.parent).knows(folder.name):
        console.print(f"submission {folder.name} was given up: another has its cells", highlight=False)
        return 0
    where = os.environ.get("SLURMD_NODENAME", "this machine")
    restarts = os.environ.get("SLURM_RESTART_COUNT", "0")
    console.print(
        f"{where}, restart {restarts}: {len(missing)} of {counted(len(jobs), 'cell')} to {jobs[0].verb}",
        highlight=False,
    )
    waiting = {job.cell.run_id for job in missing}
    for job in {job.cell.budget: job for job in jobs if job.cell.run_id not in waiting}.values():
        tidy_after(job, missing)  # this task may have been killed before it could
    if not missing:
        return 0
    train = missing[0].train
    options = replace(options, workers=min(options.workers, len(missing)), patience=PATIENCE_SECONDS)
    options = placed(options, [job.cell for job in missing], train)
    with (
        shared_gpus(options, train, lambda text: console.print(text, highlight=False)) as options,
        TaskProgress(
            missing, len(jobs) - len(missing), options.workers, console, _sweep_cells(folder)
        ) as view,
    ):
        try:
            outcomes = run_pool(missing, options, view)
        except KeyboardInterrupt:
            return _stopped(folder, view.moved, console)
    held = [ended for ended in outcomes if ended.status == HELD]
    if held:
        console.print(
            f"{counted(len(held), 'cell is', 'cells are')} left to those who hold them: {held[0].reason}",
            highlight=False,
        )
    return 1 if any(ended.status == FAILED for ended in outcomes) else 0


def _sweep_cells(folder: Path) -> tuple[Cell, ...]:
    """Those of the sweep's plan; none where a compute node cannot read it."""
    try:
        return frozen_plan(SweepFolder(folder.parent.parent)).cells
    except (OSError, UserError):
        return ()


def _stopped(folder: Path, moved: bool, console: Console) -> int:
    """Back to the queue, unless the job was cancelled; checkpoints are written."""
    job = os.environ.get("SLURM_JOB_ID", "")
    console.print("stopped, checkpoints are written", highlight=False)
    if not job or _is_cancelled(folder):
        return EXIT_REQUEUE
    if not moved:
        console.print(
            "not requeued: it took no step in this allocation; it needs a longer time limit", highlight=False
        )
        return EXIT_REQUEUE
    try:
        # after scancel the task is told to stop, too, and its state says so
        if client.job_state(job) == "RUNNING":
            console.print("back to the queue", highlight=False)
            client.requeue(job)
    except UserError as error:  # no scontrol in a container: 'isoflop sweep' submits what is missing
        console.print(f"not requeued: {error}", highlight=False)
    return EXIT_REQUEUE


def _is_cancelled(folder: Path) -> bool:
    try:
        submissions = Ledger(folder.parent).read()
    except (OSError, UserError):
        return False
    return any(submission.cancelled for submission in submissions if submission.folder == folder.name)
