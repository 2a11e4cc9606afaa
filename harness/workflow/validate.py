"""Validation of a fit: predict a larger budget's optimum, register the prediction, train the candidates, compare."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from harness.config.frozen import different_rule
from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.evaluate.library import version
from harness.evaluate.sources import prepare_tasks
from harness.files import file_sha256
from harness.fit import Fit, load_fit, read_points
from harness.fit.noise import RunScatter
from harness.fit.surface import ParametricLaw
from harness.fit.tasks.store import load_all
from harness.launch.launcher import Continuation, Outcome
from harness.model.counts import FLOP_COUNTS, PARAM_COUNTS
from harness.model.ladder import build_ladder, near
from harness.model.parametrization import Parametrization
from harness.model.shape import Shape
from harness.plan.cell import Cell
from harness.plan.plan import Plan, Rules, check_corpus, plan_cell
from harness.predict.source import choose, from_fit
from harness.report.data import used_points
from harness.runs.files import SweepFolder
from harness.runs.frozen import freeze, frozen_plan
from harness.runs.table import check_table, records, whole_records
from harness.train.config import ALL
from harness.validate.files import FILE, register
from harness.validate.prediction import (
    FitFacts,
    PredictionBasis,
    RegisteredPrediction,
    predict,
    scatter,
)
from harness.validate.tasks import TaskPrediction, TaskResult, judge_task, predict_task
from harness.workflow.evaluate import evaluate_runs
from harness.workflow.experiment import differs, has_runs, training_corpus
from harness.workflow.rules import plan_rules, sweep_folder

Entries = dict[float, tuple[float, list[Cell]]]
"""By factor: N, as the fit counts it, and the cells, one a seed."""


@dataclass(frozen=True, eq=False)
class Registered:
    """A registered prediction, and the runs that test it.

    Attributes:
        sha256: of ``prediction.json``.
        basis: what the prediction was made from.
    """

    folder: SweepFolder
    prediction: RegisteredPrediction
    sha256: str
    basis: PredictionBasis
    plan: Plan
    corpus: Corpus


def register_prediction(config: Config, yaml: str, console: Console) -> Registered:
    """Predict and register; freezes the plan of the candidates and trains nothing.

    Raises:
        UserError: there is no fit, it is of other runs than these would be, or a prediction that is registered already
            does not stand.
    """
    folder, asked = sweep_folder(config), config.validate
    if not asked.fit or not asked.budget:
        raise UserError(
            "validate: name a finished sweep and a larger budget: validate.fit=runs/NAME validate.budget=C"
        )
    fit_path = _fit_path(config)
    fit = load_fit(fit_path)
    if asked.budget <= fit.largest_flops * 1.001:
        raise UserError(
            f"validate.budget: {asked.budget:.4g} is not above the fit's largest, {fit.largest_flops:.4g}: "
            "a prediction is of what was not seen"
        )
    basis = _basis(config, fit, fit_path)
    corpus = training_corpus(config, console)
    _check_same(config, fit, fit_path.parent, corpus)
    shapes = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len).shapes
    rules = plan_rules(config, shapes)
    _check_base(rules.base.parametrization, fit_path.parent)
    entries = _entries(config, fit, basis, corpus, shapes, rules)
    plan = Plan(config.name, tuple(cell for _, cells in entries.values() for cell in cells))
    check_corpus(plan, corpus.name, config.data.max_epochs)
    written = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    now = predict(config.name, written, basis, asked.budget, entries)
    if asked.tasks:
        now = replace(now, tasks=_task_predictions(fit_path.parent, entries) or None)
    if now.tasks:
        if config.launcher.here:
            version()
        _registered_tasks(config, now.tasks, corpus, folder)
    if not (folder.path / FILE).exists() and has_runs(folder) and differs(folder, plan):
        raise UserError(
            f"{folder.path}: has runs of another experiment; give the validation a folder of its own with name=NAME"
        )
    prediction = register(folder.path, now, trained=bool(records(folder, plan)))
    freeze(folder, plan, yaml)
    return Registered(folder, prediction, file_sha256(folder.path / FILE), basis, plan, corpus)


def _task_predictions(fitted: Path, entries: Entries) -> tuple[TaskPrediction, ...]:
    """Of every task that the fit's runs were scored on and whose task loss has a law."""
    made = []
    for task in load_all(SweepFolder(fitted).tasks):
        count = _count(task.fit)  # its own, which need not be that of the fit of the loss
        at = {
            factor: (float(cells[0].params.count(count)), float(cells[0].tokens))
            for factor, (_, cells) in entries.items()
        }
        source = choose(from_fit(task.fit), "auto", surface=True)[1]
        if source.law is not None:
            made.append(predict_task(task.stored, source, at))
    return tuple(made)


def with_models(config: Config, prediction: RegisteredPrediction) -> Config:
    """``config`` under which the candidates leave their models, where they are to be scored."""
    if not prediction.tasks:
        return config
    return replace(config, train=replace(config.train, export=ALL))


def score_tasks(
    config: Config, made: Registered, continuation: Continuation, console: Console
) -> tuple[tuple[TaskResult, ...] | None, Outcome]:
    """Score the candidates on the registered tasks, or submit that; the results are None until all are scored.

    Raises:
        UserError: a model cannot be scored.
    """
    tasks = made.prediction.tasks
    if not tasks:
        return None, Outcome.DONE
    for asked in _by_limit(config, tasks):
        scored, outcome = evaluate_runs(asked, made.plan, made.folder, continuation, console)
        if scored.failure is not None:
            raise scored.failure
        if outcome is not Outcome.DONE:
            return None, outcome
    run_ids = {one.factor: one.run_ids for one in made.prediction.candidates}
    found = records(made.folder, made.plan)
    return tuple(judge_task(one, run_ids, found, made.prediction.level) for one in tasks), Outcome.DONE


def _by_limit(config: Config, tasks: Sequence[TaskPrediction]) -> list[Config]:
    """What is to be evaluated: tasks of one limit of questions together."""
    folder = SweepFolder(_fit_path(config).parent).tasks
    asked = []
    for limit in dict.fromkeys(one.limit for one in tasks):
        specs = [one.spec for one in tasks if one.limit == limit]
        found = [str(folder / spec) if (folder / spec).is_file() else spec for spec in specs]
        asked.append(replace(config, tasks=found, evaluate=replace(config.evaluate, limit=limit)))
    return asked


def _registered_tasks(
    config: Config, tasks: Sequence[TaskPrediction], corpus: Corpus, folder: SweepFolder
) -> None:
    """Refuse tasks whose questions are others than those that the fit's runs were scored on: before any is trained.

    Raises:
        UserError: so it is, or a task cannot be read.
    """
    silent = lambda text: None  # noqa: E731
    for asked in _by_limit(config, tasks):
        sources = prepare_tasks(
            asked.tasks, asked.evaluate, corpus, config.seq_len, folder.tasks, silent, silent
        )
        digests = {source.name: source.digest for source in sources}
        for one in tasks:
            if one.limit == asked.evaluate.limit and digests.get(one.task) != one.digest:
                raise UserError(
                    f"{one.task}: its questions are others than those that the runs of the fit were scored on; "
                    "'isoflop evaluate' scores these again, and validate.tasks=false leaves tasks out"
                )


def _fit_path(config: Config) -> Path:
    path = Path(config.validate.fit).expanduser()
    return path / "fit.json" if path.is_dir() or path.suffix != ".json" else path


def _basis(config: Config, fit: Fit, path: Path) -> PredictionBasis:
    """The sources of sizes and losses, the scatter of the runs, and which fit this is."""
    sources = from_fit(fit)
    _, decider = choose(sources, config.validate.approach)
    losses = next((source for source in sources if source.law is not None), None)
    draws = path.parent / "draws.npz"
    return PredictionBasis(
        decider=decider,
        losses=losses,
        scatter=_scatter(fit, path.parent / "runs.csv", None if losses is None else losses.law),
        facts=FitFacts(
            n_points=fit.n_points,
            largest_flops=fit.largest_flops,
            count=fit.count,
            sha256=file_sha256(path),
            draws_sha256=file_sha256(draws) if draws.exists() else None,
        ),
        form=None if losses is None else fit.approach_3.formula,
    )


def _scatter(fit: Fit, table: Path, law: ParametricLaw | None) -> RunScatter | None:
    """Of the runs that the fit used, where their table lies beside it."""
    if law is None or not table.exists():
        return None
    sweep = SweepFolder(table.parent)
    if sweep.plan.exists():
        check_table(table, whole_records(sweep, frozen_plan(sweep)))
    points = used_points(read_points(table, fit.rows, fit.columns, fit.where), fit)
    return scatter(points, law, fit.approach_3.free)


def _check_same(config: Config, fit: Fit, folder: Path, corpus: Corpus) -> None:
    """Refuse a fit of runs that were trained or counted in another way, as far as its folder says."""
    if rule := different_rule(config, folder / "config.yaml"):
        raise UserError(f"validate.fit: the runs of {folder} were trained otherwise: {rule}")
    count = fit.compute.removeprefix("flops_")
    planned, trained_on, paid = config.grid.count, corpus.fingerprint, config.grid.count_optimizer
    if (folder / "plan.json").exists() and (cells := frozen_plan(SweepFolder(folder)).cells):
        planned, trained_on, paid = cells[0].count, cells[0].spec.data, cells[0].count_optimizer
    paid = paid and fit.compute == "flops"  # another convention has no optimizer in it
    if paid != config.grid.count_optimizer:
        raise UserError(
            f"grid.count_optimizer: {str(config.grid.count_optimizer).lower()}, but the fit's compute is counted "
            f"{'with' if paid else 'without'} the optimizer; set grid.count_optimizer={str(paid).lower()}"
        )
    count = count if count in FLOP_COUNTS else planned
    if count != config.grid.count:
        raise UserError(
            f"grid.count: {config.grid.count}, but the fit counts compute as {count}; set grid.count={count}"
        )
    if trained_on != corpus.fingerprint:
        raise UserError(
            f"validate.fit: the runs of {folder} were trained on another corpus ({trained_on}) than this, "
            f"{corpus.name} ({corpus.fingerprint}): their losses predict nothing for it"
        )


def _check_base(own: Parametrization, folder: Path) -> None:
    """Refuse a fit of runs of another base: another ladder may have another shape nearest to the recipe's size."""
    if not (folder / "plan.json").exists() or not (cells := frozen_plan(SweepFolder(folder)).cells):
        return
    base = cells[0].spec.parametrization
    if base != own:
        raise UserError(
            f"validate.fit: the runs of {folder} have the base {base.base_width}x{base.base_layers}, heads of "
            f"{base.base_head_dim}, and this is {own.base_width}x{own.base_layers}, heads of {own.base_head_dim}; "
            "name it with parametrization.base_width, base_layers and base_head_dim"
        )


def _count(fit: Fit) -> str:
    """How a fit counts parameters, as planned shapes do.

    Raises:
        UserError: none of them counts so.
    """
    count = "total" if fit.count == "params" else fit.count.removeprefix("params_")
    if count not in PARAM_COUNTS:
        raise UserError(f"validate.fit: counts parameters as '{fit.count}', which no planned shape has")
    return count


def _entries(
    config: Config, fit: Fit, basis: PredictionBasis, corpus: Corpus, shapes: Sequence[Shape], rules: Rules
) -> Entries:
    """Factor to N, as the fit counts it, and the cells, one a seed."""
    count = _count(fit)
    frontier = basis.decider.frontier
    best = float(frontier.at_flops(config.validate.budget).params) if frontier is not None else np.nan
    if not np.isfinite(best):
        raise UserError(f"validate: {basis.decider.title} has no optimum at C = {config.validate.budget:.3g}")
    entries: Entries = {}
    for factor in sorted(config.validate.factors):
        shape = near(shapes, factor * best, count)
        cells = [
            plan_cell(shape, config.validate.budget, seed, rules, corpus) for seed in config.validate.seeds
        ]
        for other, (_, theirs) in entries.items():
            if theirs[0].spec.shape == shape:
                raise UserError(
                    f"ladder: {other:g} and {factor:g} times N* = {best:.3g} are both {shape.label} there"
                )
        entries[factor] = (float(cells[0].params.count(count)), cells)
    return entries
