"""From a configuration to a corpus and a plan: what several commands begin with."""

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from harness.config.schema import Config
from harness.data import Corpus, prepare, prepare_domains
from harness.data.cache import INTERVAL, PLAIN_INTERVAL
from harness.data.left_out import left_out
from harness.data.prepare import to_stderr
from harness.errors import UserError
from harness.fit.law_flags import MIN_SIZES
from harness.fit.store import close_fit, find_fit
from harness.launch.branching import share_trunks
from harness.model.ladder import build_ladder
from harness.plan.cell import Cell
from harness.plan.measured import how_far
from harness.plan.plan import CorpusFacts, Plan, check_corpus, make_plan
from harness.runs.files import SweepFolder, set_aside
from harness.runs.frozen import frozen_plan
from harness.runs.record import FAILED
from harness.runs.table import records
from harness.text import count, counted
from harness.train.config import BEST, NONE
from harness.train.job import Job
from harness.workflow.assumed import check_before
from harness.workflow.design import known_plan
from harness.workflow.rules import plan_rules, sweep_folder
from harness.workflow.terminal import say


def named_fit(name: str, runs_dir: str, key: str) -> Path:
    """The ``fit.json`` that the configuration calls ``name`` at ``key``.

    Raises:
        UserError: there is none.
    """
    path = find_fit(name, runs_dir)
    if path is None or not path.exists() or path.name != "fit.json":
        close = close_fit(name, runs_dir)
        hint = f"did you mean {close}?" if close else "'isoflop fit' writes one"
        raise UserError(
            f"{key}: '{name}' is no fit: neither a folder with fit.json, nor that file, nor a sweep below {runs_dir}; "
            f"{hint}"
        )
    return path


def prepare_corpus(config: Config, console: Console) -> Corpus:
    """The tokenised corpus, and the domains beside it, made now where they are not there yet, with progress.

    Progress is a line that changes on a terminal, and lines on stderr now and then where there is none. What a corpus
    is without is said whenever it is used.
    """
    cache, tell = Path(os.path.expanduser(config.cache_dir)), partial(say, console=console)
    with console.status("corpus …") as status:
        show, interval = (status.update, INTERVAL) if console.is_terminal else (to_stderr, PLAIN_INTERVAL)
        corpus = prepare(config.data, config.tokenizer, cache, show, say=tell, interval=interval)
        domains = prepare_domains(
            config.data, config.tokenizer, corpus, config.seq_len, cache, tell, show, interval
        )
    for name, one in {corpus.name: corpus, **domains}.items():
        for phrase in left_out(one.meta):
            tell(f"corpus {name}: left out: {phrase}")
    return corpus


def training_corpus(config: Config, console: Console) -> Corpus:
    """:func:`prepare_corpus` for a command that trains.

    Raises:
        UserError: the corpus is only declared, or what trains is not installed where it will be used: the tracker, a
            torch that has the optimizer.
    """
    if config.launcher.here:  # a job of a cluster may run in a container with other packages
        config.tracker.check_installed()
        config.optimizer.check_installed()
    if config.data.kind == "declared":
        raise UserError(
            "data: this experiment's corpus is only declared, which is enough to plan; to train, choose one that is "
            "here with data=NAME (data=text path=FOLDER, data=python_stdlib …)"
        )
    return prepare_corpus(config, console)


def corpus_and_plan(
    config: Config, console: Console, corpus: Callable[[Config, Console], Corpus]
) -> tuple[Corpus, Plan]:
    """The experiment's grid, on the corpus that ``corpus`` prepares: one of the two functions above.

    Raises:
        UserError: either cannot be; where the text has no part in that, it is not read.
    """
    check_before(config, lambda assumed: plan_experiment(config, assumed))
    found = corpus(config, console)
    return found, plan_experiment(config, found)


def _domains(config: Config, corpus: Corpus) -> dict[str, Path]:
    """The folders of the experiment's domains."""
    cache = Path(os.path.expanduser(config.cache_dir))
    made = prepare_domains(config.data, config.tokenizer, corpus, config.seq_len, cache)
    return {name: domain.folder for name, domain in made.items()}


def plan_experiment(config: Config, corpus: CorpusFacts) -> Plan:
    """The grid of this experiment; of an active design the runs that are known so far.

    Raises:
        UserError: the corpus is too small, or the grid cannot be, or nothing is left of it.
    """
    if config.design.active:
        plan = known_plan(config, corpus, sweep_folder(config))
    else:
        ladder = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len)
        plan = make_plan(config.name, ladder.shapes, plan_rules(config, ladder.shapes), corpus)
    if not plan.cells:
        first = plan.skipped[0]
        raise UserError(
            f"grid: every cell is left out; the first, N={count(first.params)} at {first.budget:.3g} FLOPs: "
            f"{first.reason}; use larger budgets or smaller models"
        )
    check_corpus(plan, corpus.name, config.data.max_epochs)
    return plan


def say_left_out(plan: Plan, console: Console) -> None:
    """One line for each cell that the grid asks for and the plan does not have, and one where no fit can come of it."""
    for skipped in plan.skipped:
        console.print(
            f"left out: N={count(skipped.params)} at {skipped.budget:.3g}: {skipped.reason}", highlight=False
        )
    sizes = len({cell.params.total for cell in plan.cells})
    if sizes < MIN_SIZES:
        say(
            f"no frontier can be fitted to {counted(len(plan.cells), 'run')} of {counted(sizes, 'size')}: every "
            f"approach needs at least {MIN_SIZES} sizes",
            console,
        )


def say_measured(config: Config, plan: Plan, console: Console) -> None:
    """Where the recipe was measured, how far outside of that the grid goes, and the base of a parametrization."""
    lines = [how_far(config.recipe, plan.cells)]
    base = plan.cells[0].spec.parametrization
    if not base.is_standard:
        lines.append(
            f"parametrization {base.kind}: learning rates and decay of every shape are carried from "
            f"{base.base_width}x{base.base_layers} with heads of {base.base_head_dim}"
        )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def has_runs(folder: SweepFolder) -> bool:
    """Whether something was trained, is, or will be below ``folder``: a record, a claim, a checkpoint, a submission."""
    return any(folder.cells.glob("*/*")) or any(folder.path.glob("*/submitted.json"))


def differs(folder: SweepFolder, plan: Plan) -> str:
    """What ``plan`` lacks and has of the runs of the plan that is frozen in ``folder``; empty where that is the same.

    Where the frozen plan is missing or damaged, the runs that have left something there stand for it.
    """
    try:
        before = {cell.run_id for cell in frozen_plan(folder).cells}
    except UserError:
        before = {path.parent.name for path in folder.cells.glob("*/record.json")}
    now = {cell.run_id for cell in plan.cells}
    parts = [f"lacks {len(before - now)} of the {counted(len(before), 'run')}"] if before - now else []
    parts += [f"has {len(now - before)} {'' if parts else 'runs '}that are not"] if now - before else []
    return " and ".join(parts)


def say_dropped(folder: SweepFolder, plan: Plan, console: Console) -> None:
    """A line where finished runs of the plan that is frozen in ``folder`` are not in ``plan``, which replaces it.

    The configuration they belong to is kept.
    """
    try:
        before = frozen_plan(folder)
    except UserError:
        return
    now = {cell.run_id for cell in plan.cells}
    gone = [run_id for run_id in records(folder, before) if run_id not in now]
    if gone:
        kept = set_aside(folder.config)
        say(
            f"no longer in the plan: {counted(len(gone), 'finished run')} of {folder.path}, so neither table nor "
            "fit will have what is gone; it is kept, and the grid that it belongs to finds it again"
            + (f" (its configuration: {kept})" if kept else ""),
            console,
        )


def make_jobs(
    config: Config,
    plan: Plan,
    corpus: Corpus,
    folder: SweepFolder,
    only: Collection[str] | None = None,
    beside: Collection[Cell] = (),
) -> list[Job]:
    """One job a cell; with ``schedule.share_trunk`` each knows the runs that branch from it.

    Args:
        only: the run ids wanted; a job is the same whether or not others of its shape are.
        beside: those of the plan's cells that the frozen plan lacks. They are never the best of a budget, so that
            under ``train.export=best`` their models would stay or go by no rule: they are not exported.
    """
    domains, aside = _domains(config, corpus), {cell.run_id for cell in beside}
    without = replace(config.train, export=NONE) if config.train.export == BEST else config.train
    jobs = [
        Job(
            cell=cell,
            corpus=corpus.folder,
            sweep=folder.path.resolve(),
            sweep_name=config.name,
            train=without if cell.run_id in aside else config.train,
            tracker=config.tracker,
            domains=domains,
        )
        for cell in plan.cells
        if only is None or cell.run_id in only
    ]
    return share_trunks(jobs) if config.schedule.share_trunk else jobs


def missing_jobs(
    config: Config, plan: Plan, corpus: Corpus, folder: SweepFolder, beside: Collection[Cell] = ()
) -> list[Job]:
    """One job for every cell without a finished or diverged record; ``beside`` as :func:`make_jobs` has it."""
    done = {run_id for run_id, record in records(folder, plan).items() if record.status != FAILED}
    missing = {cell.run_id for cell in plan.cells} - done
    return make_jobs(config, plan, corpus, folder, missing, beside)
