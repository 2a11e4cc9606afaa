"""Benchmark tasks in a validation: what every candidate is predicted to score, and what it scored."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.errors import UserError
from harness.fit.bootstrap import Interval
from harness.fit.encoding import json_key
from harness.fit.estimate import FrontierSource
from harness.fit.tasks import Prediction
from harness.fit.tasks.store import StoredTask
from harness.predict.tasks import answer_task
from harness.runs.record import Record
from harness.validate.over_seeds import (
    UNKNOWN,
    difference_interval,
    known_values,
    mean_interval,
    verdict_of,
    within,
)


@dataclass(frozen=True, kw_only=True)
class TaskCandidate:
    """One size on one task.

    Attributes:
        factor: wanted N over the predicted N*.
        task_loss: predicted, bits per byte of the right answer.
        two_step, direct: predicted accuracies.
    """

    factor: float
    task_loss: float
    two_step: Prediction
    direct: Prediction


@dataclass(frozen=True, kw_only=True)
class TaskPrediction:
    """A task's part of ``prediction.json``.

    Attributes:
        digest: of the questions. spec, limit: the task, as lm-eval finds it, and its questions at most (0: all).
        winner: factor of the candidate with the highest predicted accuracy; None where none is predicted.
    """

    task: str
    digest: str
    spec: str
    limit: int
    chance: float
    questions: int = field(metadata=json_key("documents"))
    winner: float | None
    candidates: tuple[TaskCandidate, ...]


@dataclass(frozen=True, kw_only=True)
class TaskMeasured:
    """What one candidate scored.

    Attributes:
        accuracies: by seed; None where the run diverged. interval: of their mean, Student's t over seeds.
        inside: how many lie in the two-step prediction's interval of one run, ``inside_direct`` in the direct one's;
            None where there is none.
        gap, gap_interval: mean accuracy of the predicted optimum (factor 1) above this one's, Welch's t over seeds.
        verdict: of the predicted optimum against this size: ``won``, ``lost``, ``within seed noise``, ``cannot be
            told``.
    """

    factor: float
    accuracies: dict[str, float | None]
    mean: float | None
    interval: Interval | None
    inside: int | None
    inside_direct: int | None
    gap: float | None = None
    gap_interval: Interval | None = None
    verdict: str = UNKNOWN


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """A task's part of ``validation.json``; ``error``, ``error_direct`` are the mean absolute errors over all runs."""

    task: str
    chance: float
    candidates: tuple[TaskMeasured, ...]
    error: float | None
    error_direct: float | None


def predict_task(
    stored: StoredTask, source: FrontierSource, at: Mapping[float, tuple[float, float]]
) -> TaskPrediction:
    """What each candidate is expected to score.

    Args:
        source: that has L(N, D) of the task loss. at: (N, D) by factor.

    Raises:
        UserError: it has none.
    """
    if source.law is None:
        raise UserError(f"{stored.fit.task}: its task loss has no L(N, D)")
    rows = []
    for factor in sorted(at):
        found = answer_task(stored.fit, source, *at[factor], None)
        rows.append(
            TaskCandidate(
                factor=factor, task_loss=found.task_loss, two_step=found.two_step, direct=found.direct
            )
        )
    known = {one.factor: one.two_step.accuracy for one in rows if one.two_step.accuracy is not None}
    return TaskPrediction(
        task=stored.fit.task,
        digest=stored.digest,
        spec=stored.spec,
        limit=stored.limit,
        chance=stored.fit.chance,
        questions=stored.fit.questions,
        winner=max(known, key=lambda factor: known[factor]) if known else None,
        candidates=tuple(rows),
    )


def judge_task(
    prediction: TaskPrediction,
    run_ids: Mapping[float, Mapping[str, str]],
    records: Mapping[str, Record],
    level: float,
) -> TaskResult:
    """What was scored, against what was predicted.

    Args:
        run_ids: of every candidate, by factor, by seed. records: with their scores, by run id.

    Raises:
        UserError: a finished run has no score on these questions.
    """
    measured = {factor: _accuracies(prediction, mine, records) for factor, mine in run_ids.items()}
    by_factor = {one.factor: one for one in prediction.candidates}
    rows, errors, direct = [], list[float](), list[float]()
    for factor in sorted(measured):
        values, said = known_values(measured[factor]), by_factor[factor]
        rows.append(_measured(factor, measured, said, level))
        for into, one in ((errors, said.two_step), (direct, said.direct)):
            into += [abs(value - one.accuracy) for value in values if one.accuracy is not None]
    return TaskResult(
        task=prediction.task,
        chance=prediction.chance,
        candidates=tuple(rows),
        error=float(np.mean(errors)) if errors else None,
        error_direct=float(np.mean(direct)) if direct else None,
    )


def _accuracies(
    prediction: TaskPrediction, mine: Mapping[str, str], records: Mapping[str, Record]
) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for seed, run_id in mine.items():
        record = records[run_id]
        score = record.tasks.get(prediction.task)
        if record.loss is None:
            found[seed] = None
        elif score is None or score.digest != prediction.digest:
            raise UserError(
                f"{run_id}: has no score on the questions of {prediction.task} that were registered"
            )
        else:
            found[seed] = score.accuracy
    return found


def _measured(
    factor: float, measured: Mapping[float, dict[str, float | None]], said: TaskCandidate, level: float
) -> TaskMeasured:
    values, best = known_values(measured[factor]), known_values(measured[1.0])
    gap, lead = None, None
    if factor != 1 and values and best:
        gap, lead = float(np.mean(best) - np.mean(values)), difference_interval(best, values, level)
    return TaskMeasured(
        factor=factor,
        accuracies=measured[factor],
        mean=float(np.mean(values)) if values else None,
        interval=mean_interval(values, level),
        inside=_inside(values, said.two_step),
        inside_direct=_inside(values, said.direct),
        gap=gap,
        gap_interval=lead,
        verdict=verdict_of(lead),
    )


def _inside(values: list[float], said: Prediction) -> int | None:
    if said.run_interval is None:
        return None
    return sum(within(value, said.run_interval) is True for value in values)
