"""A task's fit as a whole: predictions, their statuses, JSON, and degenerate runs."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.fit.status import EXPLAINED
from harness.fit.tasks import Irreducible, TaskFit, TaskPoints, fit_task
from tests.fit.tasks.synthetic import (
    BUDGETS,
    CHANCE,
    FLOOR,
    at_chance,
    direct_law,
    log_law,
    sigmoid_law,
    sweep,
    task_loss,
)

POINTS = sweep(sigmoid_law(), np.random.default_rng(0))
FIT = fit_task(POINTS, draws=100)
NONE = np.array([])


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for one in value.values() for n in numbers(one)]
    if isinstance(value, list):
        return [n for one in value for n in numbers(one)]
    return [float(value)] if isinstance(value, int | float) else []


@pytest.mark.parametrize("law", [sigmoid_law(), sigmoid_law(0.6, 0.8, 0.05), direct_law, at_chance])
def test_json_gives_the_same_predictions(law: Any) -> None:
    fit = fit_task(sweep(law, np.random.default_rng(1)), draws=50, seed=5)
    text = json.dumps(fit.to_json(), allow_nan=False)
    again = TaskFit.from_json(json.loads(text))
    assert all(math.isfinite(one) for one in numbers(json.loads(text)))
    assert again.to_json() == fit.to_json()
    draws = np.linspace(0.7, 0.72, 33)
    assert again.predict_two_step(draws, 0.71) == fit.predict_two_step(draws, 0.71)
    assert again.predict_direct(5e7, 5e9) == fit.predict_direct(5e7, 5e9)
    assert {again.status, *again.flags} - {"ok"} <= EXPLAINED.keys()


@pytest.mark.parametrize("loss", [-5.0, 0.0, 0.7, 0.8, 1.0, 3.0, 100.0])
def test_intervals_hold_the_prediction_and_lie_between_0_and_1(loss: float) -> None:
    said = FIT.predict_two_step(loss + 0.01 * np.random.default_rng(0).standard_normal(70), loss)
    assert said.accuracy is not None
    assert said.interval is not None
    assert said.run_interval is not None
    assert 0 <= said.run_interval[0] <= said.interval[0] <= said.accuracy
    assert said.accuracy <= said.interval[1] <= said.run_interval[1] <= 1


def test_a_doubtful_task_loss_widens_the_interval() -> None:
    def width(spread: float) -> float:
        interval = FIT.predict_two_step(
            0.76 + spread * np.random.default_rng(0).standard_normal(400), 0.76
        ).interval
        assert interval is not None
        return interval[1] - interval[0]

    known = FIT.predict_two_step(NONE, 0.76).interval
    assert known is not None
    assert known[1] - known[0] == pytest.approx(width(0.0), rel=1e-6)
    assert width(0.02) > 3 * width(0.0)


def test_far_from_the_runs_it_is_extrapolation() -> None:
    low, high = FIT.task_losses
    reach = high - low
    codes = [FIT.predict_two_step(NONE, x).flags for x in (low - 0.05 * reach, low - 0.15 * reach)]
    assert "extrapolation" not in codes[0]
    assert "extrapolation" in codes[1]
    assert "extrapolation" in FIT.predict_direct(1e4 * POINTS.params.max(), POINTS.tokens.max()).flags
    assert "extrapolation" in FIT.predict_direct(POINTS.params.max(), 1e-4 * POINTS.tokens.min()).flags
    middle = FIT.predict_direct(float(np.median(POINTS.params)), float(np.median(POINTS.tokens)))
    assert "extrapolation" not in middle.flags


def test_a_curve_that_is_no_sigmoid_is_a_misfit() -> None:
    def waves(n: Any, d: Any) -> Any:
        return 0.5 - (task_loss(n, d) - 0.8) + 0.03 * np.sin(60 * task_loss(n, d))

    fit = fit_task(sweep(waves, np.random.default_rng(0)), draws=30)
    assert fit.status == "misfit"
    assert "misfit" in fit.predict_two_step(NONE, 0.8).flags


def test_misfit_of_a_true_law_is_rare() -> None:
    fits = [fit_task(sweep(sigmoid_law(), np.random.default_rng([2, s])), draws=0) for s in range(100)]
    assert np.mean(["misfit" in one.flags for one in fits]) <= 0.04


def test_scatter_is_that_of_the_runs() -> None:
    fits = [
        fit_task(sweep(sigmoid_law(), np.random.default_rng([4, s]), sd=0.008), draws=0) for s in range(20)
    ]
    scatters = [one.sigmoid_scatter for one in fits if one.sigmoid_scatter is not None]
    assert np.mean([one.seed_sd for one in scatters]) == pytest.approx(0.008, rel=0.05)
    assert np.mean([one.sd for one in scatters]) == pytest.approx(0.008, rel=0.08)
    assert {one.seed_freedom for one in scatters} == {48}
    assert {one.freedom for one in scatters} <= {21, 22}


def test_without_seeds_there_is_no_test_of_misfit() -> None:
    fit = fit_task(sweep(sigmoid_law(), np.random.default_rng(0), seeds=1), draws=30)
    assert fit.sigmoid_scatter is not None
    assert fit.sigmoid_scatter.seed_sd is None
    assert fit.sigmoid_scatter.misfit_p is None
    assert fit.predict_two_step(NONE, 0.8).run_interval is not None


def test_without_draws_there_are_numbers_without_intervals() -> None:
    fit = fit_task(POINTS, draws=0)
    for said in (fit.predict_two_step(NONE, 0.8), fit.predict_direct(3e7, 1e9)):
        assert said.accuracy is not None
        assert said.interval is None
        assert said.run_interval is None
        assert "no_interval" in said.flags


def same_accuracy(value: float) -> TaskPoints:
    return replace(POINTS, accuracy=np.full(len(POINTS), value), accuracy_se=np.zeros(len(POINTS)))


@pytest.mark.parametrize(
    ("points", "verdict"),
    [
        (same_accuracy(1.0), "flat"),
        (same_accuracy(CHANCE), "at_chance"),
        (same_accuracy(0.0), "at_chance"),
        (replace(POINTS, task_loss=np.full(len(POINTS), 0.8)), "flat"),
        (POINTS.select(POINTS.cells == 0), "too_few"),
        (POINTS.select(np.array([0])), "too_few"),
        (POINTS.at(BUDGETS[0]), "too_few"),
    ],
    ids=["all right", "all at chance", "all wrong", "one loss", "one cell", "one run", "one budget"],
)
def test_degenerate_runs_get_a_verdict_and_no_number(points: TaskPoints, verdict: str) -> None:
    fit = fit_task(points, draws=30)
    assert fit.status == fit.movement.verdict == verdict
    assert fit.notes == (fit.movement.sentence,)
    for said in (fit.predict_two_step(NONE, 0.8), fit.predict_direct(3e7, 1e9)):
        assert said.accuracy is said.interval is said.run_interval is None
        assert said.status == verdict
    json.dumps(fit.to_json(), allow_nan=False)


def test_six_cells_determine_no_direct_law() -> None:
    fit = fit_task(sweep(sigmoid_law(), np.random.default_rng(0), budgets=BUDGETS[:2], sizes=3), draws=60)
    assert fit.direct is not None
    said = fit.predict_direct(3e7, 1e9)
    assert "unidentified" in said.flags
    assert said.interval is not None
    assert said.interval[1] > said.interval[0]


def test_no_task_loss_gives_no_accuracy() -> None:
    said = FIT.predict_two_step(NONE, math.nan)
    assert said.accuracy is None
    assert said.status == "failed"


def test_it_does_not_load_the_slow_module_of_scipy() -> None:
    check = "import sys, harness.fit.tasks; sys.exit('scipy.stats' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.parametrize("law", [sigmoid_law(), log_law()])
def test_an_interval_below_the_runs_holds_both_curves(law: Any) -> None:
    fit = fit_task(sweep(law, np.random.default_rng(0)), draws=100, irreducible=Irreducible(FLOOR))
    below = fit.task_losses[0] - 0.05
    said = fit.predict_two_step(NONE, below)
    assert fit.sigmoid is not None
    assert fit.linear is not None
    assert said.interval is not None
    assert said.accuracy == float(fit.sigmoid.accuracy(below))
    assert float(fit.linear.accuracy(below)) < said.accuracy
    assert said.interval[0] <= float(fit.linear.accuracy(below)) + 0.005
    again = TaskFit.from_json(json.loads(json.dumps(fit.to_json(), allow_nan=False)))
    assert again.predict_two_step(NONE, below) == said


def test_a_wrong_shape_is_no_reason_for_a_top() -> None:
    fits = [
        fit_task(sweep(sigmoid_law(), np.random.default_rng([5, s])), draws=0, irreducible=Irreducible(FLOOR))
        for s in range(20)
    ]
    assert np.mean([one.sigmoid.top_fixed for one in fits if one.sigmoid is not None]) >= 0.9


def test_a_top_that_both_curves_see_is_fitted() -> None:
    fits = [
        fit_task(
            sweep(log_law(0.6, 0.8, 0.2), np.random.default_rng([6, s])),
            draws=0,
            irreducible=Irreducible(FLOOR),
        )
        for s in range(20)
    ]
    assert np.mean([not one.sigmoid.top_fixed for one in fits if one.sigmoid is not None]) >= 0.9
