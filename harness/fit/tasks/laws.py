"""Both laws of one task's accuracy, what speaks against them, and what they predict."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.fit.bootstrap import Interval, percentile_interval
from harness.fit.encoding import decode, encode
from harness.fit.status import Flag, judge
from harness.fit.table import Array
from harness.fit.tasks.direct import Direct, fit_direct
from harness.fit.tasks.movement import Movement, movement
from harness.fit.tasks.points import TaskPoints
from harness.fit.tasks.scatter import AccuracyScatter, accuracy_scatter
from harness.fit.tasks.sigmoid import Irreducible, Sigmoid, expected_losses, fit_sigmoid

# Of the range of the runs, how far outside of it a prediction may lie. Measured (results/tasks_validation): a fifth of
# it below the lowest task loss a sigmoid of the task loss was 1 to 6 points too low, with that forecast within 3%.
BEYOND = 0.1
LAWS = ("sigmoid", "linear", "direct")
"""The attributes of a :class:`TaskFit` that have draws."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """An accuracy, and how far to believe it.

    Attributes:
        accuracy: expected over seeds, on the questions that the runs were scored on; None where ``status`` leaves none.
        interval: of this expectation. run_interval: of the accuracy of one run, which scatters about it.
        status: the worst of ``flags``, or ``ok``; ``notes`` are their sentences.
    """

    accuracy: float | None
    interval: Interval | None = None
    run_interval: Interval | None = None
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TaskFit:
    """The accuracy of one task as the runs of a sweep show it.

    Attributes:
        runs, cells, budgets: how many were fitted. questions, chance: of the task. level: of intervals. seed: of draws.
        movement: the tests before any fit. With another verdict than ``ok`` the laws and their scatters are None.
        task_losses, params, tokens: the lowest and highest of the runs; task losses are means of cells.
        sigmoid: of the logarithm of the reducible task loss; where there is none to go by, of the task loss itself.
        linear: of the task loss itself, where ``sigmoid`` is not. Below the runs it is the lower one; which of them is
            right the runs rarely show, so that intervals hold both.
        direct_accuracies: the lowest and highest that the direct law gives the runs.
        status, flags, notes: of the two-step prediction, whatever is asked of it.
    """

    task: str
    runs: int
    cells: int
    budgets: int
    questions: int
    chance: float
    level: float
    seed: int
    movement: Movement
    task_losses: tuple[float, float]
    params: tuple[float, float]
    tokens: tuple[float, float]
    sigmoid: Sigmoid | None = None
    linear: Sigmoid | None = None
    sigmoid_scatter: AccuracyScatter | None = None
    direct: Direct | None = None
    direct_scatter: AccuracyScatter | None = None
    direct_accuracies: tuple[float, float] | None = None
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<TaskFit of {self.task}: {self.runs} runs, {self.status}>"

    def predict_two_step(self, task_losses: Array, point: float) -> Prediction:
        """The accuracy that the sigmoid gives a predicted task loss.

        Args:
            task_losses: draws of the expected task loss in bits per byte, (draws,); of the law whose irreducible task
                loss the sigmoid has, in the order of its draws. Without any, the point is taken for known.
            point: the predicted task loss itself.
        """
        if self.sigmoid is None or self.sigmoid_scatter is None:
            return self._without()
        if not math.isfinite(point):
            return Prediction(accuracy=None, **judge([Flag("failed", "there is no task loss to go by")]))
        losses = np.asarray(task_losses, dtype=float).reshape(-1)
        losses = losses[np.isfinite(losses)] if np.isfinite(losses).any() else np.array([point])
        spans: list[Array] = []
        for curve in (self.sigmoid, self.linear):
            if curve is not None and curve.draws is not None and (n := curve.draws.shape[1]):
                # draws of the curve are of cells drawn for themselves, so that this order is as good as any
                count = max(n, len(losses))
                spans += [*curve.accuracy_of_draws(np.resize(losses, count), np.arange(count) % n)]
        drawn = np.stack(spans) if spans else None
        flags = [
            *self._own(self.sigmoid, self.sigmoid_scatter, "sigmoid"),
            *_outside("the task loss", point, self.task_losses, "{:.3f}"),
        ]
        return self._prediction(float(self.sigmoid.accuracy(point)), drawn, self.sigmoid_scatter, flags)

    def predict_direct(self, params: float, tokens: float) -> Prediction:
        """The accuracy that the direct law gives a model of N = ``params`` after D = ``tokens``."""
        if self.direct is None or self.direct_scatter is None:
            return self._without()
        drawn = None
        if self.direct.draws is not None and self.direct.draws.shape[1]:
            drawn = self.direct.accuracy_of_draws(params, tokens)
        flags = [
            *self._own(self.direct, self.direct_scatter, "direct law"),
            *_outside("N", params, self.params, "{:.3g}", math.log),
            *_outside("D", tokens, self.tokens, "{:.3g}", math.log),
        ]
        accuracy = float(self.direct.accuracy(params, tokens))
        if self.direct_accuracies is not None:
            flags += _outside("the accuracy", accuracy, self.direct_accuracies, "{:.3f}")
        return self._prediction(accuracy, drawn, self.direct_scatter, flags)

    def to_json(self) -> dict[str, Any]:
        """Plain values with the draws, from which :meth:`from_json` makes the same predictions."""
        made: dict[str, Any] = encode(self)
        for name, law in self._laws():
            if law is not None and law.draws is not None:
                made[name]["draws"] = law.draws.tolist()
        return made

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TaskFit":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError, TypeError, KeyError: ``data`` is nothing that it wrote.
        """
        fit: TaskFit = decode(cls, data)
        found: dict[str, Any] = {}
        for name, law in fit._laws():
            if law is not None and "draws" in data[name]:
                found[name] = replace(law, draws=np.asarray(data[name]["draws"], dtype=float))
        return replace(fit, **found)

    def _laws(self) -> tuple[tuple[str, Sigmoid | Direct | None], ...]:
        return tuple((name, getattr(self, name)) for name in LAWS)

    def _without(self) -> Prediction:
        return Prediction(accuracy=None, **judge([Flag(self.movement.verdict, self.movement.sentence)]))

    def _own(self, law: Sigmoid | Direct, scatter: AccuracyScatter, name: str) -> list[Flag]:
        mine = [Flag(code, note) for code, note in zip(law.flags, law.notes, strict=True)]
        return mine + scatter.flags(self.task, name)

    def _prediction(
        self, accuracy: float, drawn: Array | None, scatter: AccuracyScatter, flags: list[Flag]
    ) -> Prediction:
        """With ``drawn`` (laws, draws): the interval reaches as far as that of any of the laws."""
        spans = [] if drawn is None else [percentile_interval(row, self.level) for row in drawn]
        found = [span for span in spans if span is not None]
        if not found:
            note = "there are no bootstrap draws, or too few for an interval"
            return Prediction(accuracy=accuracy, **judge([*flags, Flag("no_interval", note)]))
        low, high = min(accuracy, *(one[0] for one in found)), max(accuracy, *(one[1] for one in found))
        half = scatter.half_width(self.level)
        one_run = (accuracy - math.hypot(accuracy - low, half), accuracy + math.hypot(high - accuracy, half))
        return Prediction(
            accuracy=accuracy, interval=_clipped((low, high)), run_interval=_clipped(one_run), **judge(flags)
        )


def fit_task(
    points: TaskPoints,
    level: float = 0.9,
    draws: int = 400,
    seed: int = 0,
    irreducible: Irreducible | None = None,
) -> TaskFit:
    """Both laws of one task, where its accuracy moves at all.

    Args:
        level: of the intervals. draws: of the bootstrap; fewer than 20 give no intervals. seed: of the draws.
        irreducible: of the task loss, by its law; without it the two-step prediction goes by the task loss itself.
    """
    moved = movement(points)
    losses = expected_losses(points)
    fit = TaskFit(
        task=points.task,
        runs=len(points),
        cells=int(points.cells.max()) + 1,
        budgets=len(points.budgets),
        questions=points.questions,
        chance=points.chance,
        level=level,
        seed=seed,
        movement=moved,
        task_losses=_range(losses),
        params=_range(points.params),
        tokens=_range(points.tokens),
    )
    if moved.verdict != "ok":
        return replace(fit, **judge([Flag(moved.verdict, moved.sentence)]))
    linear, direct = fit_sigmoid(points, draws, seed), fit_direct(points, draws, seed)
    # A curve of the wrong shape asks for a top below 1, too: it counts only where both do.
    sigmoid = (
        linear
        if irreducible is None
        else fit_sigmoid(points, draws, seed, irreducible, top_may_be_free=not linear.top_fixed)
    )
    about = accuracy_scatter(
        points.accuracy,
        sigmoid.accuracy(losses),
        points.cells,
        sigmoid.parameters,
        own=sigmoid.accuracy(points.task_loss),
    )
    by_direct = direct.accuracy(points.params, points.tokens)
    of_direct = accuracy_scatter(points.accuracy, by_direct, points.cells, direct.parameters)
    return replace(
        fit,
        sigmoid=sigmoid,
        linear=None if irreducible is None else linear,
        sigmoid_scatter=about,
        direct=direct,
        direct_scatter=of_direct,
        direct_accuracies=_range(by_direct),
        **judge(fit._own(sigmoid, about, "sigmoid")),
    )


def _outside(
    name: str, value: float, span: tuple[float, float], show: str, scale: Callable[[float], float] = float
) -> list[Flag]:
    """``extrapolation`` where ``value`` lies outside of ``span`` by more than a tenth of it, on a scale."""
    low, high = map(scale, span)
    beyond = max(low - scale(value), scale(value) - high, 0.0)
    if beyond <= BEYOND * (high - low):
        return []
    at, lowest, highest = (show.format(one) for one in (value, *span))
    return [Flag("extrapolation", f"{name} of {at} lies beyond the runs', {lowest} to {highest}")]


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _clipped(interval: Interval) -> Interval:
    return max(interval[0], 0.0), min(interval[1], 1.0)
