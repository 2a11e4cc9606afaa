"""Leaving out the largest budgets: which rows there are, and whose errors are small where the truth is known."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import least_squares

from harness.errors import UserError
from harness.fit.table import Array
from harness.fit.tasks import METHODS, TaskBacktest, TaskForecast, TaskPoints, backtest_task
from harness.fit.tasks.backtest import Law
from tests.fit.tasks.synthetic import (
    BUDGETS,
    FLOOR,
    at_chance,
    direct_law,
    log_law,
    sigmoid_law,
    sweep,
    task_loss,
)

FOUR = (*BUDGETS, 6.4e18)


def true_law(points: TaskPoints) -> Law:
    return Law(task_loss)


def with_its_floor(points: TaskPoints) -> Law:
    return Law(task_loss, FLOOR)


def fitted_law(points: TaskPoints) -> Law:
    """E + A/N^alpha + B/D^beta through the task losses."""
    at_n, at_d = np.log(points.params).mean(), np.log(points.tokens).mean()

    def law(theta: Array, n: Array, d: Array) -> Array:
        e, a, alpha, b, beta = theta
        return np.asarray(e + np.exp(a - alpha * (np.log(n) - at_n)) + np.exp(b - beta * (np.log(d) - at_d)))

    found = least_squares(
        lambda theta: law(theta, points.params, points.tokens) - points.task_loss,
        (0.5, -2.0, 0.3, -2.0, 0.3),
        bounds=([0, -9, 0.05, -9, 0.05], [2, 2, 1.5, 2, 1.5]),
    )
    return Law(lambda n, d: law(found.x, n, d), float(found.x[0]))


def no_law(points: TaskPoints) -> Law:
    raise UserError("made: no law of the task loss fits")


def row(test: TaskBacktest, method: str, fitted: int, budget: float) -> TaskForecast:
    (found,) = [
        one for one in test.forecasts if (one.method, one.fitted, one.budget) == (method, fitted, budget)
    ]
    return found


def test_the_two_largest_of_four_budgets_are_left_out() -> None:
    points = sweep(sigmoid_law(), np.random.default_rng(0), budgets=FOUR)
    test = backtest_task(points, with_its_floor, draws=60, law_draws=3)
    assert {(one.fitted, one.budget) for one in test.forecasts} == {(3, FOUR[3]), (2, FOUR[3]), (2, FOUR[2])}
    assert {one.method for one in test.forecasts} == set(METHODS)
    assert len(test.forecasts) == 3 * len(METHODS)
    assert {one.runs for one in test.forecasts} == {24}
    assert TaskBacktest.from_json(json.loads(json.dumps(test.to_json(), allow_nan=False))) == test


def test_three_budgets_leave_one_out_and_two_none() -> None:
    points = sweep(sigmoid_law(), np.random.default_rng(0))
    test = backtest_task(points, true_law, draws=30, law_draws=0)
    assert {(one.fitted, one.budget) for one in test.forecasts} == {(2, BUDGETS[2])}
    none = backtest_task(points.below(BUDGETS[2]), true_law, draws=30)
    assert none.forecasts == ()
    assert "2 budgets" in none.note


def test_the_right_law_forecasts_and_no_change_does_not() -> None:
    tests = [
        backtest_task(
            sweep(log_law(), np.random.default_rng(s), budgets=FOUR), fitted_law, draws=60, law_draws=15
        )
        for s in range(6)
    ]
    two_step = [row(one, "two_step", 3, FOUR[3]) for one in tests]
    measured = [row(one, "measured_loss", 3, FOUR[3]) for one in tests]
    unchanged = [row(one, "no_change", 3, FOUR[3]) for one in tests]
    for found in (two_step, measured):
        assert np.mean([one.absolute_error for one in found]) < 0.012
        assert abs(np.mean([one.signed_error for one in found])) < 0.008
        assert 0.8 <= np.mean([one.inside for one in found]) <= 1
    assert np.mean([one.absolute_error for one in unchanged]) > 0.015
    assert all(one.inside is None for one in unchanged)
    assert all(abs(one.signed_error or 0) <= (one.absolute_error or 0) for one in (*two_step, *unchanged))


def test_the_direct_law_forecasts_its_own_kind() -> None:
    test = backtest_task(
        sweep(direct_law, np.random.default_rng(0), budgets=FOUR), true_law, draws=60, law_draws=0
    )
    found = row(test, "direct", 3, FOUR[3])
    assert found.absolute_error is not None
    assert found.absolute_error < 0.012
    assert found.inside is not None
    assert found.inside >= 0.75


def test_a_wrong_first_step_is_told_from_a_wrong_second() -> None:
    def optimist(points: TaskPoints) -> Law:
        return Law(lambda n, d: task_loss(n, d) - 0.05)

    points = sweep(sigmoid_law(), np.random.default_rng(0), budgets=FOUR)
    test = backtest_task(points, optimist, draws=60, law_draws=3)
    two_step, measured = (row(test, name, 3, FOUR[3]) for name in ("two_step", "measured_loss"))
    assert two_step.signed_error is not None
    assert measured.absolute_error is not None
    assert two_step.signed_error > 0.05
    assert measured.absolute_error < 0.012


def test_without_a_first_step_the_others_stay() -> None:
    points = sweep(sigmoid_law(), np.random.default_rng(0))
    test = backtest_task(points, no_law, draws=30)
    two_step = row(test, "two_step", 2, BUDGETS[2])
    assert two_step.absolute_error is None
    assert two_step.notes == ("made: no law of the task loss fits",)
    assert row(test, "direct", 2, BUDGETS[2]).absolute_error is not None


def test_at_chance_only_no_change_has_a_number() -> None:
    points = sweep(at_chance, np.random.default_rng(0))
    test = backtest_task(points, true_law, draws=30, law_draws=0)
    with_number = {one.method for one in test.forecasts if one.absolute_error is not None}
    assert with_number == {"no_change"}
    assert "chance" in row(test, "two_step", 2, BUDGETS[2]).notes[0]
    assert row(test, "no_change", 2, BUDGETS[2]).absolute_error == pytest.approx(0.012, abs=0.01)


@pytest.mark.parametrize(("law", "better"), [(log_law(), "two_step"), (sigmoid_law(), "linear")])
def test_both_curves_are_compared(law: Callable[[Array, Array], Array], better: str) -> None:
    tests = [
        backtest_task(
            sweep(law, np.random.default_rng(s), budgets=FOUR), with_its_floor, draws=30, law_draws=0
        )
        for s in range(4)
    ]
    off = {
        method: np.mean([row(one, method, 2, FOUR[3]).absolute_error for one in tests])
        for method in ("two_step", "linear")
    }
    assert off[better] < 0.012
    assert min(off, key=lambda one: off[one]) == better


def test_a_law_without_a_floor_has_one_curve() -> None:
    points = sweep(sigmoid_law(), np.random.default_rng(0))
    test = backtest_task(points, true_law, draws=30, law_draws=0)
    assert "linear" not in {one.method for one in test.forecasts}
