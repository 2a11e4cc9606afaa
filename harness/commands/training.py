"""Training what is missing of a plan on this machine: what sweep, tune and the follow-ups share."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.console import Console

from harness.commands.experiment import make_jobs
from harness.commands.plan import print_cost
from harness.commands.resources import pool_options, shared_gpus
from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.plan.cell import Cell
from harness.plan.plan import Plan
from harness.runs.folder import SweepFolder
from harness.runs.record import FAILED
from harness.runs.table import records, write_table
from harness.sweep.pool import run_pool
from harness.sweep.progress import Progress
from harness.train.job import Job


def train_missing(
    config: Config,
    plan: Plan,
    corpus: Corpus,
    folder: SweepFolder,
    console: Console,
    beside: Sequence[Cell] = (),
) -> None:
    """Train the cells of ``plan`` that have no record in ``folder``, and write its table of runs.

    Args:
        beside: further cells to train, which do not enter the table.

    Raises:
        UserError: cells failed; the others are trained and in the table.
        KeyboardInterrupt: asked to stop; running cells wrote checkpoints.
    """
    table, plan = plan, replace(plan, cells=(*plan.cells, *beside))
    jobs = missing_jobs(config, plan, corpus, folder)
    failed = []
    if jobs:
        options = pool_options(config, [job.cell for job in jobs])
        print_cost(plan, options.workers, config, console)
        console.print(
            f"{len(plan.cells) - len(jobs)} finished, {len(jobs)} to train with {options.workers} workers "
            f"into {folder.path}",
            highlight=False,
            soft_wrap=True,
        )
        try:
            with (
                shared_gpus(options, config.train, _says(console)) as options,
                Progress(jobs, len(plan.cells) - len(jobs), options.workers, console) as view,
            ):
                failed = [ended for ended in run_pool(jobs, options, view) if ended.status == FAILED]
        finally:
            write_table(folder.table, records(folder, table).values())
    else:
        console.print(f"all {len(plan.cells)} cells are finished; nothing to train", highlight=False)
        write_table(folder.table, records(folder, table).values())
    if failed:
        raise UserError(
            f"{len(failed)} of {len(plan.cells)} cells failed, the others are finished and kept; first: "
            f"{failed[0].run_id}: {failed[0].reason} (log: {folder.cell(failed[0].run_id).log}); "
            "run the same command again to retry only these"
        )


def _says(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, highlight=False, soft_wrap=True)


def missing_jobs(config: Config, plan: Plan, corpus: Corpus, folder: SweepFolder) -> list[Job]:
    """One job for every cell without a finished or diverged record."""
    done = {run_id for run_id, record in records(folder, plan).items() if record.status != FAILED}
    cells = tuple(cell for cell in plan.cells if cell.run_id not in done)
    return make_jobs(config, replace(plan, cells=cells), corpus, folder)
