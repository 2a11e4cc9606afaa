"""``isoflop sweep``: train what is missing."""

from rich.console import Console

from harness.commands.experiment import freeze, make_jobs, plan_experiment, prepare_corpus, sweep_folder
from harness.commands.plan import print_cost
from harness.commands.resources import worker_count
from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.plan.plan import Plan
from harness.runs.folder import SweepFolder
from harness.runs.record import FAILED
from harness.runs.table import records, write_table
from harness.sweep.pool import run_pool
from harness.sweep.progress import Progress


def run(config: Config, yaml: str, console: Console) -> Plan:
    """Plan, train the cells without a record, write the table of runs.

    Raises:
        UserError: cells failed; the others are trained and in the table.
        KeyboardInterrupt: asked to stop; running cells wrote checkpoints.
    """
    folder = sweep_folder(config)
    corpus = prepare_corpus(config, console)
    plan = plan_experiment(config, corpus)
    freeze(folder, plan, yaml)
    train_missing(config, plan, corpus, folder, console)
    return plan


def train_missing(config: Config, plan: Plan, corpus: Corpus, folder: SweepFolder, console: Console) -> None:
    """Train the cells of ``plan`` that have no record in ``folder``, and write its table of runs.

    Raises:
        UserError: cells failed; the others are trained and in the table.
        KeyboardInterrupt: asked to stop; running cells wrote checkpoints.
    """
    done = {run_id for run_id, record in records(folder, plan).items() if record.status != FAILED}
    jobs = [job for job in make_jobs(config, plan, corpus, folder) if job.cell.run_id not in done]
    failed = []
    if jobs:
        workers = min(worker_count(config), len(jobs))
        print_cost(plan, workers, console)
        console.print(
            f"{len(done)} finished, {len(jobs)} to train with {workers} workers into {folder.path}",
            highlight=False,
            soft_wrap=True,
        )
        try:
            with Progress(jobs, len(done), workers, console) as view:
                failed = [ended for ended in run_pool(jobs, workers, view) if ended.status == FAILED]
        finally:
            write_table(folder.table, records(folder, plan).values())
    else:
        console.print(f"all {len(plan.cells)} cells are finished; nothing to train", highlight=False)
        write_table(folder.table, records(folder, plan).values())
    if failed:
        raise UserError(
            f"{len(failed)} of {len(plan.cells)} cells failed, the others are finished and kept; first: "
            f"{failed[0].run_id}: {failed[0].reason} (log: {folder.cell(failed[0].run_id).log}); "
            "run the same command again to retry only these"
        )
