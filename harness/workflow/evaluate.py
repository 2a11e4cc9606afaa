"""Scoring the finished runs' models on tasks, here or by a launcher, and what all of them scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rich.console import Console

from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.evaluate.job import EvaluateJob
from harness.evaluate.library import version
from harness.evaluate.prepared import TaskSource
from harness.evaluate.sources import prepare_tasks
from harness.launch.launcher import Continuation, Outcome, Work
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import FINISHED, Record
from harness.runs.table import whole_records, write_table
from harness.runs.tasks import TaskScore
from harness.text import counted, duration
from harness.workflow.experiment import make_jobs, prepare_corpus
from harness.workflow.resources import launcher_of
from harness.workflow.status import show_sweep
from harness.workflow.terminal import say

CUT = 0.05  # of the questions, cut to the context, above which a task's scores are doubted aloud


@dataclass(frozen=True)
class Evaluation:
    """What is to be scored.

    Attributes:
        jobs: one for every finished run whose model is there, whether or not it is scored already.
        gone: ids of finished runs without a model.
        failure: what a launcher said of runs that could not be scored; the others are.
    """

    tasks: tuple[TaskSource, ...]
    jobs: tuple[EvaluateJob, ...]
    gone: tuple[str, ...]
    failure: UserError | None = None


def evaluate_runs(
    config: Config, plan: Plan, folder: SweepFolder, continuation: Continuation, console: Console
) -> tuple[Evaluation, Outcome]:
    """Score what is missing, or submit it; write the table of runs.

    Args:
        plan: of the runs, as it is frozen in ``folder``.

    Raises:
        UserError: there is nothing to score, a task cannot be read, or no run could be scored.
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
    if same := {source.name for source in sources} & set(config.data.domains):
        raise UserError(
            f"tasks: {min(same)} is also a domain (data.domains), whose columns it would take; rename one"
        )
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
            try:
                outcome = launcher_of(config).train(work)
            except UserError as error:
                if not any(job.missing() == [] for job in asked.jobs):
                    raise
                asked = replace(asked, failure=error)
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


def scored(
    folder: SweepFolder, sources: Sequence[TaskSource], say_more: Callable[[str], None]
) -> dict[str, Record]:
    """The records of the sweep's runs, of whose scores those on the questions of ``sources`` are left.

    Args:
        say_more: told how many runs have other scores, or none.

    Raises:
        UserError: a record is damaged.
    """
    digests = {source.name: source.digest for source in sources}
    found, other = {}, 0
    for run_id, record in whole_records(folder, frozen_plan(folder), same_questions=False).items():
        mine = {name: one for name, one in record.tasks.items() if digests.get(name) == one.digest}
        other += record.status == FINISHED and len(mine) < len(digests)
        found[run_id] = replace(record, tasks=mine)
    if other:
        say_more(f"{counted(other, 'finished run')} without scores on these questions: left out below")
    long = [name for name in digests if any(_is_cut(one.tasks.get(name)) for one in found.values())]
    for name in long:
        say_more(
            f"{name}: more than {CUT:.0%} of its questions are longer than the models' context and lose their "
            "beginning: its scores say little"
        )
    return found


def _is_cut(score: TaskScore | None) -> bool:
    return score is not None and score.truncated > CUT * score.questions
