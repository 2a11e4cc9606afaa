"""The laws of every task of a sweep: its task loss as a law of N and D, and accuracy as a sigmoid of that."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from harness.config.schema import Config
from harness.errors import UserError
from harness.evaluate.prepared import TaskSource
from harness.fit import FitOptions, Points, fit_points, read_points, write_fit
from harness.fit.approach_3 import fit_approach_3
from harness.fit.estimate import FrontierSource
from harness.fit.pipeline import prepare
from harness.fit.tasks import Irreducible, TaskPoints, backtest_task, fit_task
from harness.fit.tasks.backtest import Law, TaskLaw
from harness.fit.tasks.store import FittedTask, StoredTask, write_task
from harness.runs.files import SweepFolder
from harness.runs.record import Record
from harness.workflow.terminal import working

BACKTEST_DRAWS = 200


def fit_tasks(
    config: Config,
    folder: SweepFolder,
    sources: Sequence[TaskSource],
    found: Mapping[str, Record],
    console: Console,
) -> list[FittedTask]:
    """Fit every task, and write ``tasks/NAME/``.

    Args:
        sources: the tasks that runs were scored on.
        found: the records of the table's runs.

    Raises:
        UserError: the table cannot be read.
    """
    made = []
    for source in sources:
        with working(console, f"fitting {source.name} …"):
            made.append(_fit_task(config, folder, source, found))
    return made


def _fit_task(
    config: Config, folder: SweepFolder, source: TaskSource, found: Mapping[str, Record]
) -> FittedTask:
    options, name = config.analysis, source.name
    columns = replace(config.columns, loss=f"bits_per_byte_{name}")
    points = read_points(folder.table, options.rows, columns, config.where, options)
    scores = [found[run_id].tasks.get(name) if run_id in found else None for run_id in points.run_id]
    # the table has the scores that most runs share, which are others where this evaluation could score few of them
    ours = [
        score is not None and score.bits_per_byte == loss
        for score, loss in zip(scores, points.loss, strict=True)
    ]
    points = points.without(~np.array(ours, dtype=bool), "scored on other questions")
    fit = fit_points(points, options)
    of_task = task_points(points, options, name, found)
    stored = StoredTask(
        fit=fit_task(
            of_task, options.level, options.draws, options.seed, irreducible(fit.approach_3.source())
        ),
        backtest=backtest_task(
            of_task, task_law(options), options.level, min(options.draws, BACKTEST_DRAWS), options.seed
        ),
        digest=source.digest,
        spec=_beside(source.spec, folder.tasks),
        limit=source.limit,
        loss_fingerprint=fit.fingerprint,
    )
    place = folder.tasks / name
    write_fit(fit, place)
    write_task(stored, place)
    return FittedTask(fit, stored)


def _beside(spec: str, folder: Path) -> str:
    """``spec``, a file in ``folder`` by its name alone: the folder can be copied."""
    path = Path(spec)
    return path.name if path.parent == folder.resolve() else spec


def task_points(points: Points, options: FitOptions, name: str, found: Mapping[str, Record]) -> TaskPoints:
    """The runs that the fit of the task loss uses, with their accuracies."""
    table = prepare(points, options)
    scores = [found[run_id].tasks[name] for run_id in table.run_id]
    return TaskPoints(
        params=table.params,
        tokens=table.tokens,
        flops=table.flops,
        budget=table.flops if table.budget is None else table.budget,
        task_loss=table.loss,
        accuracy=np.array([one.accuracy for one in scores]),
        accuracy_se=np.array([one.accuracy_se for one in scores]),
        chance=scores[0].chance,
        questions=scores[0].questions,
        task=name,
    )


def task_law(options: FitOptions) -> TaskLaw:
    """Fits the law that ``options`` ask for to task losses, without draws."""
    plain = replace(options, draws=0)

    def law(points: TaskPoints) -> Law:
        ids = tuple(f"{i}" for i in range(len(points)))
        table = Points(
            points.params, points.tokens, points.flops, points.task_loss, run_id=ids, budget=points.budget
        )
        source = fit_approach_3(table, plain).source()
        made = source.law
        if made is None:
            raise UserError(f"{points.task}: the runs determine no law of the task loss")
        floor = irreducible(source)
        return Law(
            lambda params, tokens: np.asarray(made.loss(params, tokens), dtype=float),
            None if floor is None else floor.value,
        )

    return law


def irreducible(source: FrontierSource) -> Irreducible | None:
    """The irreducible task loss of its law; None without a law, or where it says nothing finite."""
    if source.law is None or not math.isfinite(source.law.floor):
        return None
    return Irreducible(source.law.floor, None if source.law_draws is None else source.law_draws.floors)
