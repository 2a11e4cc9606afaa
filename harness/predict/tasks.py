"""What a model is expected to score on a task: from its task loss, and directly from its size and tokens."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import UserError
from harness.fit.estimate import FrontierSource
from harness.fit.table import Array
from harness.fit.tasks import Prediction, TaskFit
from harness.predict.question import Question


@dataclass(frozen=True, kw_only=True)
class TaskAnswer:
    """The accuracy of a model of N = ``params`` after D = ``tokens``.

    Attributes:
        chance: the accuracy of guessing. questions: of the task.
        task_loss: expected, bits per byte of the right answer.
        two_step: by the law of the task loss and a sigmoid from that to accuracy. direct: by the law of N and D.
    """

    task: str
    chance: float
    questions: int
    params: float
    tokens: float
    task_loss: float
    two_step: Prediction
    direct: Prediction

    @property
    def disagreement(self) -> str:
        """A sentence where both predictions have intervals that lie apart; one of the laws is then wrong there."""
        first, second = self.two_step.interval, self.direct.interval
        if first is None or second is None or (first[0] <= second[1] and second[0] <= first[1]):
            return ""
        return (
            f"the two predictions lie apart ({_span(first)} and {_span(second)}): one of the laws is wrong there, and "
            "neither interval knows of that"
        )


def answer_task(
    fit: TaskFit, source: FrontierSource, params: float, tokens: float, question: Question | None
) -> TaskAnswer:
    """What the model that was decided on is expected to score.

    Args:
        source: what decides, a frontier of the task loss.
        question: what it was decided from; where the source has no L(N, D), the model must be its answer to that.

    Raises:
        UserError: the source knows only compute-optimal models, and this is another.
    """
    point, draws = _task_loss(source, params, tokens, question)
    two_step = fit.predict_two_step(np.array([]) if draws is None else draws, point)
    if draws is None:
        two_step = _without_interval(two_step)
    return TaskAnswer(
        task=fit.task,
        chance=fit.chance,
        questions=fit.questions,
        params=params,
        tokens=tokens,
        task_loss=point,
        two_step=two_step,
        direct=fit.predict_direct(params, tokens),
    )


def _without_interval(found: Prediction) -> Prediction:
    """The prediction where the task loss has no draws: the sigmoid's own interval would be too narrow."""
    note = "the law of the task loss has no bootstrap draws here, so the accuracy has no interval"
    flags = (*found.flags, "no_interval")
    status = "no_interval" if found.status == "ok" else found.status
    return replace(
        found, interval=None, run_interval=None, status=status, flags=flags, notes=(*found.notes, note)
    )


def _task_loss(
    source: FrontierSource, params: float, tokens: float, question: Question | None
) -> tuple[float, Array | None]:
    """The task loss and its draws; of approach 2, of which only the frontier is known, at the question's answer."""
    with np.errstate(all="ignore"):
        if source.law is not None:
            drawn = None if source.law_draws is None else np.asarray(source.law_draws.loss(params, tokens))
            return float(source.law.loss(params, tokens)), drawn
        if question is None or source.frontier is None:
            raise UserError(
                f"task: {source.title} knows only compute-optimal models; use approach=approach_3"
            )
        drawn = None if source.draws is None else np.asarray(question.at(source.draws).loss)
        return float(question.at(source.frontier).loss), drawn


def task_loss_of(fit: TaskFit, accuracy: float, floor: float | None) -> float:
    """The task loss of which the sigmoid gives ``accuracy``, bits per byte.

    Args:
        floor: the task loss that no budget gets under; None where that is not known.

    Raises:
        UserError: the task has no sigmoid, or no budget gets there.
    """
    law = fit.sigmoid
    if law is None:
        raise UserError(f"target_accuracy: {fit.movement.sentence}")
    if not fit.chance < accuracy < law.top:
        raise UserError(
            f"target_accuracy: {accuracy:g} is not between chance, {fit.chance:.3g}, and the most that the sigmoid of "
            f"{fit.task} reaches, {law.top:.3g}"
        )
    wanted = law.task_loss(accuracy)
    if wanted <= 0:
        raise UserError(
            f"target_accuracy: {accuracy:g} of {fit.task} is beyond any model: its sigmoid reaches "
            f"{float(law.accuracy(0.0)):.3g} at a task loss of 0"
        )
    if floor is not None and wanted <= floor:
        raise UserError(
            f"target_accuracy: {accuracy:g} of {fit.task} is beyond any budget: it needs a task loss of {wanted:.4g}, "
            f"and by its law none falls below {floor:.4g}"
        )
    return wanted


def show_task(found: TaskAnswer, line: Callable[[str], None]) -> None:
    """Prints the two predictions and what speaks against them."""
    line(
        f"{found.task}: {_said(found.two_step)} by the task loss, {_said(found.direct)} by the direct law; guessing "
        f"gets {100 * found.chance:.1f}%, of {found.questions:,} questions"
    )
    for name, one in (("two-step", found.two_step), ("direct law", found.direct)):
        for note in one.notes:
            line(f"! {found.task}, {name}: {note}")
    if found.disagreement:
        line(f"! {found.task}: {found.disagreement}")


def _said(one: Prediction) -> str:
    if one.accuracy is None:
        return f"no number ({one.status.replace('_', ' ')})"
    text = f"{100 * one.accuracy:.1f}% right"
    if one.interval is not None and one.run_interval is not None:
        text += f" ({_span(one.interval)}; one run {_span(one.run_interval)})"
    return text + ("" if one.status == "ok" else f" [{one.status.replace('_', ' ')}]")


def _span(interval: tuple[float, float]) -> str:
    return f"{100 * interval[0]:.1f}–{100 * interval[1]:.1f}"
