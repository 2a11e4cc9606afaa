"""``isoflop train``: one run of the plan, in this process; what a batch system calls."""

import os
import signal
import sys
from contextlib import nullcontext
from dataclasses import replace

from rich.console import Console

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.exports import tidy_after
from harness.launch.launcher import Outcome
from harness.plan.labels import Labels
from harness.runs.claim import Owner
from harness.runs.frozen import freeze
from harness.runs.record import Record
from harness.runs.watch import acquire
from harness.text import count, duration
from harness.train.job import Job, PreemptedError, StepReport, Watch
from harness.train.launched import as_launched
from harness.workflow import followup
from harness.workflow.experiment import corpus_and_plan, make_jobs, training_corpus
from harness.workflow.rules import sweep_folder

LINES = 50  # no more are printed of a run, evenly


def run(asked: Invocation[Config]) -> Outcome:
    """Train the cell that ``run=`` names, or continue it.

    Raises:
        PreemptedError: asked to stop by SIGTERM or SIGUSR1; a checkpoint was written.
    """
    config, yaml, console = asked.config, asked.yaml, asked.console
    if not config.run:
        raise UserError("run: name the cell to train, e.g. run=3f0c; 'isoflop plan' lists them")
    if said := as_launched():
        print(f"isoflop: {said}", file=sys.stderr)
    folder = sweep_folder(config)
    corpus, grid = corpus_and_plan(config, console, training_corpus)
    extended = followup.with_followups(config, grid, folder)
    every = replace(extended.plan, cells=extended.cells)
    cell = every.cell(config.run)
    if not folder.plan.exists():
        freeze(folder, extended.plan, yaml)
    jobs = make_jobs(config, every, corpus, folder, beside=extended.beside)
    job = next(job for job in jobs if job.cell == cell)
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda received, _: stop.append(received))

    record = _train(job, stop, console)
    if _is_first():
        tidy_after(job, ())
    loss = "" if record.loss is None else f", loss {record.loss:.4f}"
    error = "" if record.loss_se is None else f" ± {record.loss_se:.4f}"
    console.print(
        f"{record.run_id} ({Labels.of(every.cells).name(cell)}) {record.status}{loss}{error}"
        f"{', ' + record.reason if record.reason else ''} "
        f"({duration(record.seconds)}); record: {job.folder.record}",
        highlight=False,
        soft_wrap=True,
    )
    return Outcome.DONE


def _train(job: Job, stop: list[int], console: Console) -> Record:
    """Train under a claim; of several processes of one run, the first holds it for all."""
    first = _is_first()
    path = job.folder.path
    claim = acquire(path, lambda: bool(stop), lambda owner: _say_held(owner, console)) if first else None
    if first and claim is None:
        raise PreemptedError("stopped before the cell was free")

    every = -(-job.cell.spec.steps // LINES)  # rounded up
    said = 0

    def report(step: StepReport) -> None:
        nonlocal said
        if step.step < said + every and step.step < step.steps:
            return
        said = step.step
        console.print(
            f"step {step.step}/{step.steps}  loss {step.loss:.4f}  {count(step.tokens_per_second)} tokens/s",
            highlight=False,
        )

    # torch and transformers take seconds: only once the plan is known to be sound
    from harness.train.run import train_cell

    with claim or nullcontext():
        return train_cell(
            job, Watch(report, lambda: bool(stop), lambda text: print(text, file=sys.stderr), claim)
        )


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _say_held(owner: Owner, console: Console) -> None:
    console.print(f"{owner.label} trains this cell since {owner.since}; waiting for it", highlight=False)
