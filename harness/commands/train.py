"""``isoflop train``: one run of the plan, in this process; what a batch system calls."""

import signal
import sys

from rich.console import Console

from harness.commands.experiment import freeze, make_jobs, plan_experiment, prepare_corpus, sweep_folder
from harness.config.schema import Config
from harness.errors import UserError
from harness.runs.lock import exclusive
from harness.runs.record import Record
from harness.text import count, duration
from harness.train.job import StepReport, Watch


def run(config: Config, yaml: str, console: Console) -> Record:
    """Train the cell that ``run=`` names, or continue it.

    Raises:
        PreemptedError: asked to stop by SIGTERM or SIGUSR1; a checkpoint was written.
    """
    if not config.run:
        raise UserError("run: name the cell to train, e.g. run=3f0c; 'isoflop plan' lists them")
    folder = sweep_folder(config)
    corpus = prepare_corpus(config, console)
    plan = plan_experiment(config, corpus)
    cell = plan.cell(config.run)
    if not folder.plan.exists():
        freeze(folder, plan, yaml)
    job = next(job for job in make_jobs(config, plan, corpus, folder) if job.cell == cell)
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda received, _: stop.append(received))

    def report(step: StepReport) -> None:
        console.print(
            f"step {step.step}/{step.steps}  loss {step.loss:.4f}  {count(step.tokens_per_second)} tokens/s",
            highlight=False,
        )

    from harness.train.run import (
        train_cell,
    )  # torch and transformers: only once the plan is known to be sound

    with exclusive(job.folder.path):
        record = train_cell(job, Watch(report, lambda: bool(stop), lambda text: print(text, file=sys.stderr)))
    loss = "" if record.loss is None else f", loss {record.loss:.4f}"
    error = "" if record.loss_se is None else f" ± {record.loss_se:.4f}"
    console.print(
        f"{record.run_id} {record.status}{loss}{error}{', ' + record.reason if record.reason else ''} "
        f"({duration(record.seconds)}); record: {job.folder.record}",
        highlight=False,
        soft_wrap=True,
    )
    return record
