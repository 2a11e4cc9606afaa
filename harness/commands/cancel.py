"""``isoflop cancel``: takes back what a sweep, or a comparison, submitted, and nothing else."""

from rich.console import Console

from harness.config.schema import Config
from harness.launch.slurm import client
from harness.launch.slurm.ledger import Ledger, queued_jobs
from harness.workflow.arms import arm_folders
from harness.workflow.experiment import sweep_folder


def run(config: Config, yaml: str, console: Console) -> None:
    """Cancel the queued and running jobs of this sweep and of its arms; running cells keep their checkpoints."""
    folders = (sweep_folder(config), *arm_folders(config).values())
    cancelled = [job for folder in folders for job in _cancel(Ledger(folder.path / "slurm"))]
    if cancelled:
        console.print(f"cancelled: {', '.join(cancelled)}; finished cells are kept", highlight=False)
    else:
        console.print("nothing of this sweep is queued or runs", highlight=False)


def _cancel(ledger: Ledger) -> list[str]:
    if not ledger.file.exists():
        return []
    with (
        ledger.locked()
    ):  # a job behind that is just submitting the next stage comes before this or not at all
        submissions = ledger.read()
        queued = queued_jobs(submissions, client.queue([job for one in submissions for job in one.jobs]))
        if queued:
            ledger.mark_cancelled()  # first: a task that is told to stop must not requeue itself
            client.cancel(queued[::-1])  # the job behind before the array, whose end would start it
    return queued
