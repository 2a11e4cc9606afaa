"""Scoring the finished runs' models on tasks, here or by a launcher, and what all of them scored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.evaluate.job import EvaluateJob
from harness.evaluate.library import version
from harness.evaluate.sources import TaskSource, prepare_tasks
from harness.launch.launcher import Continuation, Outcome, Work
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import FINISHED, Record
from harness.runs.table import whole_records, write_table
from harness.text import counted, duration
from harness.workflow.experiment import make_jobs, prepare_corpus
from harness.workflow.resources import launcher_of
from harness.workflow.status import show_sweep
from harness.workflow.terminal import say


@dataclass(frozen=True)
class Evaluation:
    """What is to be scored.

    Attributes:
        jobs: one for every finished run whose model is there, whether or not it is scored already.
        gone: ids of finished runs without a model.
    """

    tasks: tuple[TaskSource, ...]
    jobs: tuple[EvaluateJob, ...]
    gone: tuple[str, ...]


def evaluate_runs(
    config: Config, plan: Plan, folder: SweepFolder, continuation: Continuation, console: Console
) -> tuple[Evaluation, Outcome]:
    """Score what is missing, or submit it; write the table of runs.

    Args:
        plan: of the runs, as it is frozen in ``folder``.

    Raises:
        UserError: there is nothing to score, a task cannot be read, or runs could not be scored.
    """
    if config.launcher.here:
        version()
    found = whole_records(folder, plan)
    corpus = prepare_corpus(config, console)
    _check_corpus(folder, found, corpus)
    with console.status("tasks …") as status:
        sources = prepare_tasks(
            config.tasks,
            config.evaluate,
            corpus,
            config.seq_len,
            folder.tasks,
            partial(say, console=console),
            lambda text: status.update(text),
        )
        asked = _evaluation(config, plan, corpus, folder, found, sources)
    if asked.gone:
        say(
            f"{counted(len(asked.gone), 'finished run has', 'finished runs have')} no model any more: "
            f"{', '.join(asked.gone[:6])}{' …' if len(asked.gone) > 6 else ''}; train.export=all keeps them",
            console,
        )
    if not asked.jobs:
        raise UserError(
            f"evaluate: none of the {counted(len(asked.gone), 'finished run')} in {folder.path} has its model: "
            "runs that are trained with train.export=all, or best, leave it (under another name=, for these are done)"
            if asked.gone
            else f"evaluate: no run in {folder.path} has finished; 'isoflop sweep' trains them"
        )
    missing = [job for job in asked.jobs if job.missing()]
    outcome = Outcome.DONE
    try:
        if missing:
            cells = tuple(job.cell for job in asked.jobs)
            seconds = sum(job.cell.estimate_seconds for job in missing)
            work = Work(
                plan=replace(plan, cells=cells),
                folder=folder,
                train=config.train,
                missing=lambda: [job for job in asked.jobs if job.missing()],
                continuation=continuation,
                say_cost=lambda workers: say(f"about {duration(seconds / max(1, workers))}", console),
                say_status=lambda: show_sweep(folder, console),
                console=console,
            )
            outcome = launcher_of(config).train(work)
        else:
            say(f"all {counted(len(asked.jobs), 'run')} with a model are scored", console)
    finally:
        write_table(folder.table, whole_records(folder, plan).values())
    return asked, outcome


def _check_corpus(folder: SweepFolder, found: Mapping[str, Record], corpus: Corpus) -> None:
    """Held-out documents of another corpus may be training text of this one.

    Raises:
        UserError: the runs were trained on another.
    """
    for run_id, record in found.items():
        if record.spec["data"] != corpus.fingerprint:
            raise UserError(
                f"evaluate: {run_id} in {folder.path} was trained on another corpus ({record.spec['data']}) than "
                f"{corpus.name} ({corpus.fingerprint}); give the overrides that the sweep was begun with"
            )


def _evaluation(
    config: Config,
    plan: Plan,
    corpus: Corpus,
    folder: SweepFolder,
    found: Mapping[str, Record],
    sources: Sequence[TaskSource],
) -> Evaluation:
    finished = {run_id for run_id, record in found.items() if record.status == FINISHED}
    there = {run_id for run_id in finished if (folder.cell(run_id).model / "config.json").is_file()}
    jobs = tuple(
        EvaluateJob.of(job, tuple(sources), config.evaluate.batch)
        for job in make_jobs(config, plan, corpus, folder, there)
    )
    order = [cell.run_id for cell in plan.cells]
    return Evaluation(tuple(sources), jobs, tuple(sorted(finished - there, key=order.index)))


def scored(folder: SweepFolder, sources: Sequence[TaskSource]) -> dict[str, Record]:
    """The records of the sweep's runs that have a score on each of ``sources``.

    Raises:
        UserError: a record is damaged.
    """
    digests = {source.name: source.digest for source in sources}
    return {
        run_id: record
        for run_id, record in whole_records(folder, frozen_plan(folder)).items()
        if all(
            name in record.tasks and record.tasks[name].digest == digest for name, digest in digests.items()
        )
    }
