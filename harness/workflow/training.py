"""Training what is missing of a plan, here or by Slurm: what sweep, tune and validate share."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rich.console import Console

from harness.commands.plan import print_cost
from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.launch.pool import run_pool
from harness.launch.progress import Progress
from harness.plan.cell import Cell
from harness.plan.plan import Plan
from harness.runs.folder import SweepFolder
from harness.runs.record import FAILED
from harness.runs.table import records, write_table
from harness.workflow.continuation import Errand, Outcome
from harness.workflow.experiment import missing_jobs
from harness.workflow.resources import pool_options, shared_gpus
from harness.workflow.submission import submit_missing


def train_missing(
    errand: Errand,
    config: Config,
    plan: Plan,
    corpus: Corpus,
    folder: SweepFolder,
    console: Console,
    beside: Sequence[Cell] = (),
    later: Sequence[Cell] = (),
) -> Outcome:
    """Train the cells of ``plan`` that have no record in ``folder``, or submit them; write its table of runs.

    Args:
        errand: what a job behind submitted cells goes on with.
        beside: further cells to train, which do not enter the table.
        later: stand-ins of cells that will follow, for the estimate.

    Returns:
        ``DONE`` where every cell has ended; otherwise the caller stops here or makes what it can of the rest.

    Raises:
        UserError: cells failed here, Slurm refuses, or the folder is unusable; what is trained is in the table.
        KeyboardInterrupt: asked to stop; running cells wrote checkpoints.
    """
    whole = replace(plan, cells=(*plan.cells, *beside))
    if folder.cells.exists() and not folder.cells.is_dir():
        raise UserError(f"{folder.cells}: is a file where the folder of the runs belongs; move it away")
    try:
        if config.launcher.kind == "slurm":
            return submit_missing(errand, config, whole, corpus, folder, console)
        _train_here(config, whole, corpus, folder, console, later)
        return Outcome.DONE
    finally:
        write_table(folder.table, records(folder, plan).values())


def _train_here(
    config: Config, plan: Plan, corpus: Corpus, folder: SweepFolder, console: Console, later: Sequence[Cell]
) -> None:
    jobs = missing_jobs(config, plan, corpus, folder)
    if not jobs:
        console.print(f"all {len(plan.cells)} cells are finished; nothing to train", highlight=False)
        return
    options = pool_options(config, [job.cell for job in jobs])
    print_cost(plan, options.workers, config, console, later)
    console.print(
        f"{len(plan.cells) - len(jobs)} finished, {len(jobs)} to train with {options.workers} workers "
        f"into {folder.path}",
        highlight=False,
        soft_wrap=True,
    )
    with (
        shared_gpus(options, config.train, _says(console)) as options,
        Progress(jobs, len(plan.cells) - len(jobs), options.workers, console) as view,
    ):
        failed = [ended for ended in run_pool(jobs, options, view) if ended.status == FAILED]
    if failed:
        raise UserError(
            f"{len(failed)} of {len(plan.cells)} cells failed, the others are finished and kept; first: "
            f"{failed[0].run_id}: {failed[0].reason} (log: {folder.cell(failed[0].run_id).log}); "
            "run the same command again to retry only these"
        )


def _says(console: Console) -> Callable[[str], None]:
    return lambda text: console.print(text, highlight=False, soft_wrap=True)
