"""Training what is missing of a plan by the experiment's launcher, and how a dependent job finds its configuration."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.config.frozen import config_at
from harness.config.schema import Config
from harness.data import Corpus, open_corpus, prepared
from harness.errors import UserError
from harness.launch.launcher import Continuation, Outcome, Work
from harness.launch.ledger import read_task
from harness.plan.cell import Cell
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder
from harness.runs.models import remove_superseded
from harness.runs.table import records, write_table
from harness.train.config import BEST
from harness.workflow.experiment import missing_jobs, prepare_corpus
from harness.workflow.resources import launcher_of, print_cost
from harness.workflow.status import show_sweep
from harness.workflow.terminal import say


def train_missing(
    continuation: Continuation,
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
        continuation: what a job that depends on submitted cells continues with.
        beside: further cells to train, which do not enter the table.
        later: placeholders of cells that will follow, for the estimate.

    Returns:
        ``DONE`` where every cell has ended; otherwise the caller stops here or makes what it can of the rest.

    Raises:
        UserError: cells failed here, nothing can be submitted, or the folder is unusable; what is trained is in the
            table.
        KeyboardInterrupt: asked to stop; running cells wrote checkpoints.
    """
    whole = replace(plan, cells=(*plan.cells, *beside))
    if folder.cells.exists() and not folder.cells.is_dir():
        raise UserError(f"{folder.cells}: is a file where the folder of the runs belongs; move it away")
    work = Work(
        plan=whole,
        folder=folder,
        train=config.train,
        missing=lambda: missing_jobs(config, whole, corpus, folder, beside),
        continuation=continuation,
        say_cost=lambda workers: print_cost(whole, workers, config, console, later),
        say_status=lambda: show_sweep(folder, console),
        console=console,
    )
    try:
        return launcher_of(config).train(work)
    finally:
        write_table(folder.table, records(folder, plan).values())
        if config.train.export == BEST:  # a process that was killed, or saw too few records, has left them
            remove_superseded(folder)


def mend_corpora(folder: Path, index: int, console: Console) -> None:
    """Make anew what array task ``index`` of the submission in ``folder`` trains on, where that is damaged.

    A compute node may lack the text: then that is said, and the cells fail with what is wrong with their corpus.
    """
    job = read_task(folder, index)[0][0]
    try:
        for corpus in (job.corpus, *job.domains.values()):
            open_corpus(corpus)
    except UserError as damaged:
        say(str(damaged), console)
        try:
            prepare_corpus(config_at(folder / "config.yaml")[0], console)
        except (UserError, OSError) as error:
            say(f"not made anew: {error}", console)


def submitted_config(folder: Path) -> tuple[Config, str]:
    """The configuration that the submission in ``folder`` came from, and its YAML.

    The corpus is the tokenised one that its cells train on: a compute node may lack the text, or have another one.
    """
    config, yaml = config_at(folder / "config.yaml")
    if not (folder / "tasks").is_dir():  # a job without cells of its own
        return config, yaml
    job = read_task(folder, 0)[0][0]
    return replace(config, data=prepared(config.data, job.corpus, job.domains)), yaml
