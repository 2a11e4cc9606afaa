"""The envelope of training curves."""

import numpy as np
import pytest

from harness.fit import Curve, FitOptions
from harness.fit.approach_1 import fit_approach_1, smooth, tabulate, winners
from tests.fit.synthetic import curves, optimum, sweep


def test_the_envelope_of_exact_curves_follows_the_frontier() -> None:
    points = sweep(budgets=np.geomspace(1e18, 1e21, 7), sizes=25, width=4)
    fit = fit_approach_1(points, FitOptions(draws=60), curves(points))
    assert fit.a == pytest.approx(0.28 / 0.62, abs=0.02)
    assert fit.a + fit.b == pytest.approx(1, abs=1e-6)
    assert fit.predict(1e22).params == pytest.approx(optimum(1e22)[0], rel=0.1)
    assert fit.predict(1e21).loss == pytest.approx(float(points.loss[points.budget == 1e21].min()), rel=0.01)
    assert fit.envelope is not None
    assert fit.envelope.shape[1] == 4
    assert (np.diff(fit.envelope[:, 0]) > 0).all()


def test_smoothing_takes_noise_out_and_leaves_coarse_logs_alone() -> None:
    step = np.arange(1.0, 2001)
    noisy = 3 + 0.1 * np.random.default_rng(0).standard_normal(2000)
    curve = Curve(step, step, step, noisy)
    # A Gaussian filter of width s leaves 1/sqrt(2 s sqrt(pi)) of white noise.
    assert smooth(curve, 10).std() == pytest.approx(0.1 / np.sqrt(20 * np.sqrt(np.pi)), rel=0.2)
    coarse = Curve(step[::100], step[::100], step[::100], noisy[::100])
    assert np.array_equal(smooth(coarse, 10), coarse.train_loss)


def test_a_draw_takes_the_best_of_the_runs_it_holds() -> None:
    points = sweep(budgets=(1e18, 1e19), sizes=5)
    losses = tabulate(points, curves(points), 10, 50)
    assert losses is not None
    everyone = winners(losses)
    held = np.ones(10, dtype=bool)
    held[everyone[25]] = False
    runner_up = np.argsort(losses.loss[:, 25])[1]
    assert winners(losses, held)[25] == runner_up
    assert (winners(losses, np.zeros(10, dtype=bool) | (np.arange(10) == 0)) <= 0).all()


def test_doubts_are_told() -> None:
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=7, noise=0.002)
    along = curves(points)
    assert fit_approach_1(points, FitOptions(draws=0)).status == "no_curves"
    assert fit_approach_1(points, FitOptions(draws=0), {"other": along["run-0"]}).status == "no_curves"
    two = points.select(np.isin(np.arange(21), (0, 6)))
    assert fit_approach_1(two, FitOptions(draws=0), along).status == "too_few_points"
    assert "mid_run" in fit_approach_1(points, FitOptions(draws=30), along).flags
    biggest = points.select((points.params > np.median(points.params)) | (points.budget < 1e19))
    assert fit_approach_1(biggest, FitOptions(draws=0), along).n_points == len(biggest)
    wild = fit_approach_1(points, FitOptions(draws=30, bootstrap="wild"), along)
    assert wild.bootstrap == "pairs within budgets"


def test_nan_in_a_curve_and_missing_curves_do_no_harm() -> None:
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=9)
    along = curves(points)
    broken = along["run-3"]
    values = broken.train_loss.copy()
    values[5:8] = np.nan
    along["run-3"] = Curve(broken.step, broken.tokens, broken.flops, values)
    del along["run-4"]
    fit = fit_approach_1(points, FitOptions(draws=0), along)
    assert fit.n_points == 26
    assert fit.a is not None
