"""The sigmoid: its shape, what it recovers, and when it sees a top below 1."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import expit

from harness.fit.tasks.sigmoid import Irreducible, expected_losses, fit_sigmoid
from tests.fit.tasks.synthetic import CHANCE, FLOOR, log_law, sigmoid_law, sweep


@pytest.mark.parametrize("seed", range(5))
def test_it_falls_with_the_task_loss_from_its_top_to_chance(seed: int) -> None:
    fit = fit_sigmoid(sweep(sigmoid_law(0.7), np.random.default_rng(seed), sd=0.02), draws=30)
    x = np.linspace(-50, 50, 2001)
    accuracy = fit.accuracy(x)
    assert (np.diff(accuracy) <= 0).all()
    assert accuracy[0] == pytest.approx(fit.top)
    assert accuracy[-1] == pytest.approx(CHANCE)
    assert CHANCE < fit.top <= 1
    assert fit.width > 0
    assert fit.draws is not None
    assert (fit.draws[..., 0] > CHANCE).all()
    assert (fit.draws[..., 0] <= 1).all()
    assert (fit.draws[..., 2] > 0).all()


@pytest.mark.parametrize("top", [1.0, 0.6])
def test_parameters_are_recovered(top: float) -> None:
    law = sigmoid_law(top, middle=0.8, width=0.05)
    found = [
        fit_sigmoid(sweep(law, np.random.default_rng(s), sd=0.005, loss_sd=0), draws=0) for s in range(20)
    ]
    assert [one.top_fixed for one in found].count(top == 1) >= 18
    assert np.mean([one.top for one in found]) == pytest.approx(top, abs=0.01)
    assert np.mean([one.middle for one in found]) == pytest.approx(0.8, abs=0.004)
    assert np.mean([one.width for one in found]) == pytest.approx(0.05, rel=0.05)


def test_it_is_the_least_squares_of_scipy() -> None:
    points = sweep(sigmoid_law(0.6, 0.8, 0.05), np.random.default_rng(0))
    fit = fit_sigmoid(points, draws=0)
    x = expected_losses(points)
    theirs, _ = curve_fit(
        lambda x, t, m, w: CHANCE + (t - CHANCE) * expit((m - x) / w), x, points.accuracy, (0.7, 0.82, 0.06)
    )
    assert (fit.top, fit.middle, fit.width) == pytest.approx(tuple(theirs), rel=1e-3)


def test_near_chance_no_top_is_claimed() -> None:
    fits = [fit_sigmoid(sweep(sigmoid_law(0.8, 0.5), np.random.default_rng(s)), draws=0) for s in range(40)]
    assert np.mean([one.top_fixed for one in fits]) >= 0.85
    assert all(one.top == 1 for one in fits if one.top_fixed)


def test_a_fixed_top_is_not_taken_for_true() -> None:
    fit = fit_sigmoid(sweep(sigmoid_law(), np.random.default_rng(0)), draws=100)
    assert fit.top_fixed
    assert fit.draws is not None
    assert fit.draws.shape == (2, 100, 3)
    assert (fit.draws[0, :, 0] == 1).all()
    assert (fit.draws[1, :, 0] < 1).any()


def test_a_step_is_said_to_lie_at_a_bound() -> None:
    points = sweep(sigmoid_law(1.0, 0.8, 1e-6), np.random.default_rng(0), sd=0.0, loss_sd=0.0)
    fit = fit_sigmoid(points, draws=50)
    assert fit.status == "at_bound"
    assert "width" in " ".join(fit.notes)


def test_draws_come_again_with_their_seed() -> None:
    points = sweep(sigmoid_law(), np.random.default_rng(0))
    one, same, other = (fit_sigmoid(points, draws=20, seed=s).draws for s in (3, 3, 4))
    assert one is not None
    assert np.array_equal(one, same)  # type: ignore[arg-type]
    assert not np.array_equal(one, other)  # type: ignore[arg-type]


@pytest.mark.parametrize("top", [1.0, 0.6])
def test_that_of_the_reducible_loss_is_recovered(top: float) -> None:
    law = log_law(top, middle=0.8, width=0.2)
    found = [
        fit_sigmoid(
            sweep(law, np.random.default_rng(s), sd=0.005, loss_sd=0), draws=0, irreducible=Irreducible(FLOOR)
        )
        for s in range(20)
    ]
    assert [one.top_fixed for one in found].count(top == 1) >= 18
    assert np.mean([one.top for one in found]) == pytest.approx(top, abs=0.01)
    assert np.mean([one.task_loss(CHANCE + (one.top - CHANCE) / 2) for one in found]) == pytest.approx(
        0.8, abs=0.004
    )
    assert np.mean([one.width for one in found]) == pytest.approx(0.2, rel=0.05)
    assert {one.irreducible for one in found} == {FLOOR}


def test_that_of_the_reducible_loss_is_the_least_squares_of_scipy() -> None:
    points = sweep(log_law(0.6, 0.8, 0.2), np.random.default_rng(0))
    fit = fit_sigmoid(points, draws=0, irreducible=Irreducible(0.6))
    u = np.log(expected_losses(points) - 0.6)
    theirs, _ = curve_fit(
        lambda u, t, m, w: CHANCE + (t - CHANCE) * expit((m - u) / w), u, points.accuracy, (0.6, -1.4, 0.2)
    )
    assert (fit.top, fit.middle, fit.width) == pytest.approx(tuple(theirs), rel=1e-3)


def test_each_draw_has_its_own_irreducible_loss_and_is_fitted_with_it() -> None:
    points = sweep(log_law(), np.random.default_rng(0))
    given = np.array([0.4, 0.5, 0.55, 0.6])
    fit = fit_sigmoid(points, draws=40, irreducible=Irreducible(FLOOR, given))
    assert fit.draws is not None
    assert fit.draws.shape == (2, 40, 4)
    assert np.allclose(fit.draws[:, :, 3], np.resize(given, 40))
    # Among the runs all of them follow the accuracies; below, a higher irreducible loss is a steeper curve.
    x = expected_losses(points)
    for row in range(4):
        curve = fit.accuracy_of_draws(np.array([x.mean()]), np.array([row]))[0]
        assert curve[0] == pytest.approx(float(fit.accuracy(x.mean())), abs=0.02)
    low = fit.accuracy_of_draws(x.min() - 0.03, None)[0]
    assert low[3::4].mean() > low[2::4].mean() > low[0::4].mean()


def test_an_irreducible_loss_at_the_runs_is_said_to_lie_at_a_bound() -> None:
    points = sweep(log_law(), np.random.default_rng(0))
    fit = fit_sigmoid(points, draws=40, irreducible=Irreducible(float(points.task_loss.max())))
    assert "irreducible" in " ".join(fit.notes)
    assert fit.irreducible is not None
    assert fit.irreducible < expected_losses(points).min()
    assert np.isfinite(fit.accuracy(np.linspace(0.01, 3, 50))).all()
    doubtful = fit_sigmoid(points, draws=40, irreducible=Irreducible(FLOOR, np.array([0.5, 0.6, 9.0])))
    assert "irreducible" in " ".join(doubtful.notes)


@pytest.mark.parametrize("irreducible", [None, Irreducible(FLOOR)])
@pytest.mark.parametrize("accuracy", [0.3, 0.6, 0.9])
def test_the_task_loss_of_an_accuracy_has_that_accuracy(
    irreducible: Irreducible | None, accuracy: float
) -> None:
    fit = fit_sigmoid(sweep(log_law(), np.random.default_rng(0)), draws=0, irreducible=irreducible)
    assert float(fit.accuracy(fit.task_loss(accuracy))) == pytest.approx(accuracy, abs=1e-9)
