"""``isoflop cancel``: takes back what a sweep submitted, and nothing else."""

from rich.console import Console

from harness.commands.experiment import sweep_folder
from harness.config.schema import Config
from harness.sweep.slurm import client
from harness.sweep.slurm.ledger import Ledger


def run(config: Config, yaml: str, console: Console) -> None:
    """Cancel the queued and running jobs of this sweep; running cells keep their checkpoints."""
    ledger = Ledger(sweep_folder(config).path / "slurm")
    jobs = [job for submission in ledger.read() for job in submission.jobs]
    states = client.queue(jobs)
    queued = [job for job in jobs if any(id_.job == job and state.queued for id_, state in states.items())]
    if not queued:
        console.print("nothing of this sweep is queued or runs", highlight=False)
        return
    with ledger.locked():
        ledger.mark_cancelled()  # first: a task that is told to stop must not requeue itself
        client.cancel(queued)
    console.print(f"cancelled: {', '.join(queued)}; finished cells are kept", highlight=False)
