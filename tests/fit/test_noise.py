"""Noise that falls with compute: told from seeds, weighed by, and that of one run at a large budget."""

from dataclasses import replace

import numpy as np
import pytest

from harness.fit import FitOptions, Points
from harness.fit.approach_3 import fit_approach_3
from harness.fit.law_check import check_law
from harness.fit.noise import precision, scatter_at, seed_noise
from tests.fit.synthetic import CHINCHILLA, sweep

FOUR = tuple(np.geomspace(1e18, 1e20, 4))
SEEDS = (4, 4, 2, 1)
LARGE_RUN = 0.003


def seeded(slope: float, seed: int, seeds: tuple[int, ...] = SEEDS, cells: float = 0.0) -> Points:
    """Eight sizes a budget; noise of ``LARGE_RUN`` in ln L at the largest, which goes as C^slope."""
    clean = sweep(CHINCHILLA, FOUR, sizes=8, width=3.5)
    rng = np.random.default_rng(seed)
    off = cells * rng.standard_normal(len(clean))
    rows = np.repeat(np.arange(len(clean)), np.repeat(seeds, 8))
    points = clean.select(rows)
    sd = LARGE_RUN * (points.flops / FOUR[-1]) ** slope
    loss = points.loss * np.exp(off[rows] + sd * rng.standard_normal(len(rows)))
    names = tuple(f"run-{i}" for i in range(len(rows)))
    number = np.concatenate([np.arange(k) for k in np.repeat(seeds, 8)]).astype(float)
    return replace(points, loss=loss, run_id=names, seed=number)


def test_seeds_that_scatter_alike_are_seldom_told_apart() -> None:
    told = [seed_noise(seeded(0.0, s)) is not None for s in range(400)]
    assert np.mean(told) <= 0.02


def test_noise_that_falls_with_compute_is_measured() -> None:
    found = [seed_noise(seeded(-0.35, s)) for s in range(60)]
    known = [one for one in found if one is not None]
    assert len(known) >= 57
    assert np.mean([one.slope for one in known]) == pytest.approx(-0.7, abs=0.08)
    at = FOUR[1]
    sd = [float(np.sqrt(one.variance(at))) for one in known]
    assert np.mean(sd) == pytest.approx(LARGE_RUN * (at / FOUR[-1]) ** -0.35, rel=0.1)
    assert {one.freedom for one in known} == {8 * (3 + 3 + 1)}


def test_nothing_is_taken_beyond_the_budgets_with_seeds() -> None:
    noise = seed_noise(seeded(-0.35, 0))
    assert noise is not None
    assert noise.variance(FOUR[-1]) == noise.variance(FOUR[2]) == noise.variance(1e25)
    assert noise.variance(1e10) == noise.variance(FOUR[0])
    assert noise.variance(FOUR[0]) > noise.variance(FOUR[1]) > noise.variance(FOUR[2])


@pytest.mark.parametrize(
    "points",
    [
        seeded(-0.35, 0, (1, 1, 1, 1)),
        seeded(-0.35, 0, (2, 1, 1, 1)),
        replace(seeded(-0.35, 0), run_id=tuple(f"run-{i // 2}" for i in range(88))),
    ],
    ids=["no seeds", "seeds at one budget", "rows of one run"],
)
def test_without_seeds_at_several_budgets_all_runs_weigh_alike(points: Points) -> None:
    assert seed_noise(points) is None
    assert np.array_equal(precision(points, np.full(len(points), 0.01)), np.ones(len(points)))


def test_noise_that_rises_with_compute_is_left_alone() -> None:
    assert seed_noise(seeded(0.5, 0)) is None


@pytest.mark.parametrize(("delta", "of_a", "of_loss"), [(1e-3, 1.05, 0.92), (np.inf, 0.9, 0.75)])
def test_weights_make_the_fit_more_precise(delta: float, of_a: float, of_loss: float) -> None:
    """The paper's Huber loss, nearly a sum of absolute values, bounds what noisy runs do to a, not to L*."""
    options = FitOptions(draws=0, huber_delta=delta)
    found = []
    for s in range(40):
        points = seeded(-0.35, s)
        rows_of_one = (*points.run_id[:-1], points.run_id[-2])  # so that no seeds are told
        fits = [fit_approach_3(one, options) for one in (points, replace(points, run_id=rows_of_one))]
        found.append([(fit.a, np.log(fit.predict(1e21).loss or np.nan)) for fit in fits])
    weighted, plain = np.std(np.array(found, dtype=float), axis=0)
    assert weighted[0] < of_a * plain[0]
    assert weighted[1] < of_loss * plain[1]


def test_the_scatter_of_a_run_is_that_of_its_compute() -> None:
    found = []
    for s in range(40):
        points = seeded(-0.35, s, cells=0.002)
        residual = check_law(points).residual
        found.append([scatter_at(points, residual, len(points) - 5, c) for c in (FOUR[0], FOUR[2], 1e22)])
    small, large, beyond = np.mean(found, axis=0)
    of_seed = LARGE_RUN * (np.array(FOUR) / FOUR[-1]) ** -0.35
    assert small == pytest.approx(np.hypot(of_seed[0], 0.002), rel=0.15)
    assert large == pytest.approx(np.hypot(of_seed[2], 0.002), rel=0.2)
    assert beyond == large
    alike = seeded(0.0, 3)
    residual = check_law(alike).residual
    every = np.sqrt(np.sum(residual**2) / (len(alike) - 5))
    assert scatter_at(alike, residual, len(alike) - 5, FOUR[0]) == pytest.approx(every)


def test_noisy_small_runs_are_no_lack_of_fit_and_no_outliers() -> None:
    """One budget that is five times as noisy as another is what seeds tell, and no fault of a run or of the law."""
    flags = [check_law(seeded(-0.35, s)).flags for s in range(40)]
    assert sum(bool(one) for one in flags) <= 3
    a = [fit_approach_3(seeded(-0.35, s), FitOptions(draws=60)).flags for s in range(12)]
    assert sum("sensitive_to_outliers" in flags for flags in a) <= 1
