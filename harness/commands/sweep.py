"""``isoflop sweep``: train what is missing, here or on a cluster."""

from dataclasses import replace

from rich.console import Console

from harness.commands import followup
from harness.commands.experiment import freeze, plan_experiment, prepare_corpus, sweep_folder
from harness.commands.resources import runs_per_gpu
from harness.commands.training import missing_jobs, train_missing
from harness.config.schema import Config
from harness.data import Corpus
from harness.plan.plan import Plan
from harness.runs.claim import gone, holder
from harness.runs.folder import SweepFolder
from harness.runs.table import records, write_table
from harness.sweep.slurm import client
from harness.sweep.slurm.ledger import Ledger, placed
from harness.sweep.slurm.submit import Submitted, submit
from harness.train.job import Job


def run(config: Config, yaml: str, console: Console) -> Plan:
    """Plan, train the cells without a record (or submit them), write the table of runs.

    Raises:
        UserError: cells failed; the others are trained and in the table.
        KeyboardInterrupt: asked to stop; running cells wrote checkpoints.
    """
    folder = sweep_folder(config)
    corpus = prepare_corpus(config, console)
    plan = followup.grown(config, plan_experiment(config, corpus), folder)
    freeze(folder, plan, yaml)
    if config.launcher.kind == "slurm":
        submit_missing(config, yaml, plan, corpus, folder, console)
    else:
        train_missing(config, plan, corpus, folder, console)
        plan = followup.run(config, yaml, plan, corpus, folder, console)
    return plan


def submit_missing(
    config: Config, yaml: str, plan: Plan, corpus: Corpus, folder: SweepFolder, console: Console
) -> None:
    """Submit the cells that have no record, are not queued and that nobody trains; returns at once.

    Raises:
        UserError: Slurm is not there, or sbatch refuses.
    """
    ledger = Ledger(folder.path / "slurm")
    with ledger.locked():
        submissions = ledger.read()
        states = client.queue([submission.job for submission in submissions])
        places = placed(submissions, states)
        queued = {
            run_id for run_id, place in places.items() if place.state is not None and place.state.queued
        }
        missing = missing_jobs(config, plan, corpus, folder)
        jobs = [job for job in missing if job.cell.run_id not in queued and not _is_trained_here(job)]
        console.print(
            f"{len(plan.cells) - len(missing)} of {len(plan.cells)} cells finished, {len(missing) - len(jobs)} queued "
            f"or running, {len(jobs)} to submit",
            highlight=False,
        )
        if jobs:
            pace = _pace(plan, folder)
            launcher = replace(config.launcher, per_gpu=runs_per_gpu(config))
            _announce(submit(jobs, launcher, ledger, yaml, pace), ledger, console)
    write_table(folder.table, records(folder, plan).values())


def _is_trained_here(job: Job) -> bool:
    """Whether a process of this machine trains it, which is all that can be known at once."""
    owner = holder(job.folder.path)
    return owner is not None and owner.locked and not owner.job and not gone(job.folder.path)


def _pace(plan: Plan, folder: SweepFolder) -> float:
    """How much longer finished runs took than planned; never less than 1, for the cluster may be slower."""
    found = records(folder, plan)
    estimates = {cell.run_id: cell.estimate_seconds for cell in plan.cells}
    taken = sum(record.seconds for record in found.values())
    expected = sum(estimates[run_id] for run_id in found)
    return max(1.0, taken / expected) if expected else 1.0


def _announce(done: Submitted, ledger: Ledger, console: Console) -> None:
    submission, request = done.submission, done.request
    lengths = [len(task) for task in submission.tasks]
    cells = f"{min(lengths)}-{max(lengths)}" if min(lengths) < max(lengths) else str(lengths[0])
    report = f", then job {submission.report_job} fits and reports" if submission.report_job else ""
    console.print(
        f"submitted job array {submission.job}: {len(lengths)} tasks of {cells} cells{report}\n"
        f"each asks for {request.time}, {request.memory or 'no memory'}, {request.cpus} cores; "
        f"files and logs: {ledger.path / submission.folder}",
        highlight=False,
        soft_wrap=True,
    )
    if done.warning:
        console.print(done.warning, highlight=False, soft_wrap=True)
