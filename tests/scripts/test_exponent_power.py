"""The power study: what a sweep says of its runs, and what designs of such runs can tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit import Points, load_fit, read_points
from harness.fit.laws import CostLaw, Law
from scripts.exponent_power import SEEN, Sweep, describe, designed, simulate

RESULTS = Path(__file__).resolve().parents[2] / "results"
FOLDER = RESULTS / "cpu_frontier"
FIT = load_fit(FOLDER).approach_3
LAW = Law.from_theta(np.array([1.0, 70.0, 700.0, 0.5, 0.55]), CostLaw(7.0, 1.0))
DESIGN = ((3, 20.0), 7, 12.0, 1)


def remade(noise: float, slope: float, misfit: float, seed: int) -> Points:
    """The table of ``FOLDER`` with losses of its law and noise of a known size, and with seconds of a known speed."""
    points = read_points(FOLDER / "runs.csv")
    sweep = describe(FOLDER, points, FIT)
    rng = np.random.default_rng(seed)
    cell = np.unique(np.stack((points.params, points.tokens)), axis=1, return_inverse=True)[1].ravel()
    off = noise * (points.flops / 1e12) ** slope * rng.standard_normal(len(points))
    off = off + misfit * rng.standard_normal(cell.max() + 1)[cell]
    loss = sweep.law.loss(points.params, points.tokens) * np.exp(off)
    return replace(points, loss=loss, extra={**points.extra, "seconds": 3e-9 * points.flops**0.95})


def test_a_sweep_says_what_its_runs_are_like() -> None:
    found = [describe(FOLDER, remade(0.01, -0.3, 0.006, seed), FIT) for seed in range(30)]
    assert np.mean([one.noise[0] * 1e12 ** one.noise[1] for one in found]) == pytest.approx(0.01, rel=0.15)
    assert np.mean([one.noise[1] for one in found]) == pytest.approx(-0.3, abs=0.06)
    assert np.mean([one.misfit for one in found]) == pytest.approx(0.006, rel=0.25)
    assert found[0].seconds == pytest.approx((3e-9, -0.05))


def test_without_seeds_nothing_is_said() -> None:
    points = read_points(FOLDER / "runs.csv")
    with pytest.raises(UserError, match="no cell was trained with two seeds"):
        describe(FOLDER, points.select(np.flatnonzero(points.seed == 0)), FIT)


def test_noise_is_what_hides_a_difference_and_seeds_pay_for_it() -> None:
    rng = np.random.default_rng(0)
    exact = simulate(rng, Sweep(LAW, (1e-9, 0.0), 0.0, (1e-10, 0.0)), designed(LAW, 1e11, DESIGN), 4)
    assert exact.seen < 1e-5
    noisy = Sweep(LAW, (0.01, 0.0), 0.0, (1e-10, 0.0))
    one, four = (simulate(rng, noisy, designed(LAW, 1e11, (*DESIGN[:3], seeds)), 60) for seeds in (1, 4))
    assert four.sd_2 == pytest.approx(one.sd_2 / 2, rel=0.3)
    assert one.seen == pytest.approx(SEEN * 2**0.5 * min(one.sd_2, one.sd_3))
    assert four.flops == 4 * one.flops == pytest.approx(4 * 7 * 1e11 * (1 + 20**0.5 + 20))
    assert four.hours == pytest.approx(four.flops * 1e-10 / 2 / 3600)


def test_a_grid_that_misses_a_flank_tells_less_than_its_design() -> None:
    rng = np.random.default_rng(0)
    noisy = Sweep(LAW, (0.01, 0.0), 0.0, (1e-10, 0.0))
    whole = designed(LAW, 1e11, ((3, 20.0), 9, 20.0, 2))
    cut = whole.select(np.flatnonzero((whole.budget != 1e11) | (whole.params > 0.6 * optimum(1e11))))
    full, own = (simulate(rng, noisy, runs, 40) for runs in (whole, cut))
    assert own.flops < full.flops
    assert (own.budgets, own.sizes, own.seeds) == (3, 9, 2)
    assert own.seen > 1.2 * full.seen


def optimum(flops: float) -> float:
    return float(np.exp(LAW.log_optimum(flops)[0]))
