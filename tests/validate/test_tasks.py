"""Tasks in a validation: predicted from the laws, judged against what was scored, and refused on other questions."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit.encoding import decode, encode
from harness.fit.estimate import FrontierSource
from harness.fit.laws import Law
from harness.fit.tasks import TaskBacktest, TaskPoints, fit_task
from harness.fit.tasks.store import StoredTask
from harness.runs.tasks import TaskScore
from harness.validate.over_seeds import LOST, NOISE, UNKNOWN, WON
from harness.validate.task_tables import build, sentence
from harness.validate.tasks import TaskPrediction, judge_task, predict_task

A, ALPHA, B, BETA, E = 60.0, 0.4, 400.0, 0.4, 1.2


def task_loss(params: Any, tokens: Any) -> Any:
    return E + A / np.asarray(params) ** ALPHA + B / np.asarray(tokens) ** BETA


def accuracy(loss: Any) -> Any:
    return 0.25 + 0.75 / (1 + np.exp((np.asarray(loss) - 3.0) / 0.5))


@pytest.fixture(scope="module")
def stored() -> StoredTask:
    rng = np.random.default_rng(0)
    rows = [(c, n) for c in (1e11, 3e11, 1e12) for n in np.geomspace(8e3, 3e5, 7) for _ in range(3)]
    flops, params = np.array(rows).T
    tokens = flops / (6 * params)
    loss = task_loss(params, tokens)
    points = TaskPoints(
        params=params,
        tokens=tokens,
        flops=flops,
        budget=flops,
        task_loss=loss,
        accuracy=accuracy(loss) + rng.normal(0, 0.006, len(loss)),
        accuracy_se=np.full(len(loss), 0.02),
        chance=0.25,
        questions=500,
        task="word",
    )
    return StoredTask(
        fit_task(points, draws=100), TaskBacktest(task="word", level=0.9), "digest", "word.yaml", 0, "f"
    )


@pytest.fixture(scope="module")
def prediction(stored: StoredTask) -> TaskPrediction:
    law = Law(E=E, A=A, B=B, alpha=ALPHA, beta=BETA)
    many = Law(E=np.full(50, E), A=A, B=B, alpha=ALPHA, beta=BETA)
    source = FrontierSource(name="approach_3", frontier=law, draws=many)
    n = float(law.at_flops(3e12).params)
    return predict_task(stored, source, {f: (f * n, 3e12 / (6 * f * n)) for f in (0.25, 1.0, 4.0)})


class Scored:
    """What a record is to the judge."""

    def __init__(self, accuracy: float | None, digest: str = "digest") -> None:
        self.loss = None if accuracy is None else 2.0
        self.tasks = {"word": score(accuracy or 0.0, digest)}


def score(value: float, digest: str) -> TaskScore:
    return TaskScore(value, 0.02, value, 0.02, 2.0, 0.1, 500, 80, 0.25, 0, 0, value, 2.0, digest, "0")


def judged(
    prediction: TaskPrediction, values: dict[float, list[float | None]], digest: str = "digest"
) -> Any:
    ids = {f: {str(i): f"{f}-{i}" for i in range(len(v))} for f, v in values.items()}
    found = {f"{f}-{i}": Scored(one, digest) for f, v in values.items() for i, one in enumerate(v)}
    return judge_task(prediction, ids, found, 0.9)  # type: ignore[arg-type]


def test_predictions_are_those_of_the_law_that_made_the_runs(prediction: TaskPrediction) -> None:
    assert prediction.winner == 1.0
    for one in prediction.candidates:
        assert one.two_step.accuracy == pytest.approx(accuracy(one.task_loss), abs=0.02)
        assert one.two_step.run_interval is not None
        low, high = one.two_step.run_interval
        assert low < float(accuracy(one.task_loss)) < high
        assert one.direct.accuracy == pytest.approx(one.two_step.accuracy, abs=0.1)
    assert decode(TaskPrediction, encode(prediction)) == prediction


def test_runs_as_predicted_lie_inside_and_the_optimum_wins(prediction: TaskPrediction) -> None:
    true = {one.factor: float(accuracy(one.task_loss)) for one in prediction.candidates}
    result = judged(prediction, {f: [v - 0.004, v, v + 0.004] for f, v in true.items()})
    by_factor = {one.factor: one for one in result.candidates}
    assert [one.inside for one in result.candidates] == [3, 3, 3]
    assert by_factor[0.25].verdict == by_factor[4.0].verdict == WON
    assert by_factor[1.0].gap is None
    assert by_factor[4.0].gap == pytest.approx(true[1.0] - true[4.0])
    assert result.error < 0.02
    assert "higher beyond seed noise in 2 of 2" in sentence([result])
    assert len(build([prediction], [result], 0.9).rows) == 3


def test_lost_noise_and_what_cannot_be_told(prediction: TaskPrediction) -> None:
    result = judged(prediction, {0.25: [0.70, 0.71, 0.70], 1.0: [0.50, 0.51, 0.50], 4.0: [0.50, 0.52, 0.49]})
    by_factor = {one.factor: one.verdict for one in result.candidates}
    assert by_factor[0.25] == LOST
    assert by_factor[4.0] == NOISE
    told = sentence([result])
    assert "lower in 1 (word against 0.25 N*)" in told
    assert "1 within seed noise" in told
    alone = judged(prediction, {0.25: [0.7], 1.0: [0.5], 4.0: [None]})
    assert {one.verdict for one in alone.candidates} == {UNKNOWN}
    assert alone.candidates[2].mean is None


def test_scores_on_other_questions_are_refused(prediction: TaskPrediction) -> None:
    values: dict[float, list[float | None]] = {0.25: [0.5], 1.0: [0.5], 4.0: [0.5]}
    with pytest.raises(UserError, match="has no score on the questions"):
        judged(prediction, values, digest="another")


def test_a_task_that_does_not_move_has_no_number(stored: StoredTask) -> None:
    n = 21
    rng = np.random.default_rng(1)
    points = TaskPoints(
        params=np.repeat(np.geomspace(8e3, 3e5, 7), 3),
        tokens=np.tile([1e6, 3e6, 9e6], 7),
        flops=np.full(n, 1e11),
        budget=np.tile([1e11, 3e11, 1e12], 7),
        task_loss=rng.uniform(2, 3, n),
        accuracy=0.25 + rng.normal(0, 0.01, n),
        accuracy_se=np.full(n, 0.02),
        chance=0.25,
        questions=500,
        task="word",
    )
    law = Law(E=E, A=A, B=B, alpha=ALPHA, beta=BETA)
    source = FrontierSource(name="approach_3", frontier=law)
    flat = replace(stored, fit=fit_task(points, draws=20))
    made = predict_task(flat, source, {1.0: (1e5, 1e7), 4.0: (4e5, 2e6)})
    assert made.winner is None
    assert made.candidates[0].two_step.accuracy is None
    assert made.candidates[0].two_step.status == "at_chance"
    result = judged(made, {1.0: [0.25, 0.26], 4.0: [0.24, 0.25]})
    assert result.error is None
    assert "at chance" in str(build([made], [result], 0.9).rows)
