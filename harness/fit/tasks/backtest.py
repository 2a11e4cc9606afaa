"""How far off predictions of accuracy were: the lower budgets are fitted, and the higher ones predicted and compared.

A law that describes the runs may still forecast badly. Here it is tried where the answer is known.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.fit.bootstrap import Interval, generator
from harness.fit.encoding import decode, encode
from harness.fit.table import Array
from harness.fit.tasks.laws import Prediction, TaskFit, fit_task
from harness.fit.tasks.points import TaskPoints, cell_means, draw_counts
from harness.fit.tasks.sigmoid import Irreducible, Sigmoid
from harness.text import counted


@dataclass(frozen=True)
class Law:
    """The first step: ``loss`` maps N and D, each (n,), to the expected task loss in bits per byte, (n,).

    Attributes:
        irreducible: the task loss that none falls below; None where the law has none.
    """

    loss: Callable[[Array, Array], Array]
    irreducible: float | None = None


TaskLaw = Callable[[TaskPoints], Law]
"""Fits the task loss of runs; UserError where these do not determine a law."""

TWO_STEP, LINEAR, DIRECT = "two_step", "linear", "direct"
MEASURED_LOSS, NO_CHANGE = "measured_loss", "no_change"
METHODS = {
    TWO_STEP: "the sigmoid at the task loss that its law gives",
    LINEAR: "the same by a sigmoid of the task loss itself, where the first is one of its reducible part's logarithm",
    DIRECT: "the direct law",
    MEASURED_LOSS: "the sigmoid at the measured task loss: what is left of the error when the first step makes none",
    NO_CHANGE: "the best cell's mean accuracy of the largest fitted budget",
}
FEWEST_BUDGETS = 3  # two to fit and one to predict
FOR_TWO = 4  # budgets, of which the two largest are left out as well
STREAM = 74


@dataclass(frozen=True, kw_only=True)
class TaskForecast:
    """What one method said of one held-out budget.

    Attributes:
        method: a key of ``METHODS``. budget: in FLOPs, of the held-out runs. fitted: how many budgets were fitted.
        runs: held-out runs. absolute_error: mean over them of |predicted - measured accuracy|; signed_error: mean of
            predicted - measured. None without a prediction.
        inside: share of the runs within their ``run_interval``; None where the method has no intervals.
        notes: why there is no prediction, or what speaks against it.
    """

    method: str
    budget: float
    fitted: int
    runs: int
    absolute_error: float | None
    signed_error: float | None
    inside: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TaskBacktest:
    """All forecasts of one task; ``note`` says why there are none."""

    task: str
    level: float
    forecasts: tuple[TaskForecast, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        made: dict[str, Any] = encode(self)
        return made

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TaskBacktest":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError, TypeError, KeyError: ``data`` is nothing that it wrote.
        """
        test: TaskBacktest = decode(cls, data)
        return test


def backtest_task(
    points: TaskPoints,
    task_law: TaskLaw,
    level: float = 0.9,
    draws: int = 400,
    seed: int = 0,
    law_draws: int = 40,
) -> TaskBacktest:
    """Leaves out the largest budget, and with four or more also the two largest, and predicts each of their runs.

    Args:
        task_law: fits the first step to the lower budgets.
        level: of the run intervals. draws, seed: of :func:`fit_task`.
        law_draws: how often the first step is fitted again to resampled cells, for its part of the intervals.
    """
    budgets = points.budgets
    if len(budgets) < FEWEST_BUDGETS:
        note = f"{counted(len(budgets), 'budget')} of {points.task}: a backtest needs {FEWEST_BUDGETS}"
        return TaskBacktest(task=points.task, level=level, note=note)
    forecasts: list[TaskForecast] = []
    for left_out in (2, 1) if len(budgets) >= FOR_TWO else (1,):
        below = points.below(float(budgets[-left_out]))
        laws, trouble = _task_laws(below, task_law, law_draws, seed)
        fit = fit_task(below, level, draws, seed, _irreducible(laws))
        for budget in budgets[-left_out:]:
            forecasts += _forecasts(fit, below, points.at(float(budget)), laws, trouble)
    return TaskBacktest(task=points.task, level=level, forecasts=tuple(forecasts))


Said = tuple[float | None, Interval | None, tuple[str, ...]]
"""Of one cell or run: the accuracy, the interval of a run's, and notes."""


def _forecasts(
    fit: TaskFit, below: TaskPoints, held: TaskPoints, laws: list[Law], trouble: str
) -> Iterator[TaskForecast]:
    fitted = len(below.budgets)

    def row(method: str, said: list[Said]) -> TaskForecast:
        notes = tuple(dict.fromkeys(note for one in said for note in one[2]))
        found = [(one[0], one[1], was) for one, was in zip(said, held.accuracy, strict=True)]
        errors = np.array([value - was for value, _, was in found if value is not None])
        inside = [span[0] <= was <= span[1] for _, span, was in found if span is not None]
        whole = len(errors) == len(held)
        return TaskForecast(
            method=method,
            budget=float(held.budget[0]),
            fitted=fitted,
            runs=len(held),
            absolute_error=float(np.abs(errors).mean()) if whole else None,
            signed_error=float(errors.mean()) if whole else None,
            inside=float(np.mean(inside)) if whole and inside else None,
            notes=notes,
        )

    where = list(zip(held.params, held.tokens, strict=True))
    yield row(TWO_STEP, [_two_step(fit, laws, trouble, float(n), float(d)) for n, d in where])
    if fit.linear is not None:
        yield row(LINEAR, [_linear(fit.linear, laws, float(n), float(d)) for n, d in where])
    yield row(DIRECT, [_said(fit.predict_direct(float(n), float(d))) for n, d in where])
    none = np.array([])
    yield row(MEASURED_LOSS, [_said(fit.predict_two_step(none, float(x))) for x in held.task_loss])
    largest = below.at(float(below.budgets[-1]))
    best = float(cell_means(largest.accuracy, largest.cells).max())
    yield row(NO_CHANGE, [(best, None, ())] * len(held))


def _two_step(fit: TaskFit, laws: list[Law], trouble: str, params: float, tokens: float) -> Said:
    if not laws:
        return None, None, (trouble,)
    losses = [_loss(law, params, tokens) for law in laws]
    return _said(fit.predict_two_step(np.array(losses[1:]), losses[0]))


def _linear(curve: Sigmoid, laws: list[Law], params: float, tokens: float) -> Said:
    return float(curve.accuracy(_loss(laws[0], params, tokens))), None, ()


def _loss(law: Law, params: float, tokens: float) -> float:
    return float(law.loss(np.array([params]), np.array([tokens]))[0])


def _irreducible(laws: list[Law]) -> Irreducible | None:
    if not laws or laws[0].irreducible is None:
        return None
    return Irreducible(laws[0].irreducible, np.array([law.irreducible for law in laws[1:]], dtype=float))


def _said(prediction: Prediction) -> Said:
    return prediction.accuracy, prediction.run_interval, prediction.notes


def _task_laws(below: TaskPoints, task_law: TaskLaw, draws: int, seed: int) -> tuple[list[Law], str]:
    """The law of the task loss and those of the draws that could be fitted; or none, and why."""
    try:
        laws = [task_law(below)]
    except UserError as error:
        return [], str(error)
    counts = draw_counts(generator(seed, STREAM), below.cells, draws, least=6)
    for row in counts:
        try:
            laws.append(task_law(below.select(np.repeat(np.arange(len(below)), row.astype(int)))))
        except UserError:
            continue
    return laws, ""
