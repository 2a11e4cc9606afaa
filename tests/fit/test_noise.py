"""Noise that falls with N or D: told from seeds, weighed by, and that of one run at a larger budget."""

from dataclasses import replace

import numpy as np
import pytest

from harness.fit import FitOptions, Points
from harness.fit.approach_3 import fit_approach_3
from harness.fit.law_check import check_law
from harness.fit.noise import precision, run_scatter, seed_noise
from harness.fit.table import Array
from tests.fit.synthetic import CHINCHILLA, sweep

FOUR = tuple(np.geomspace(1e18, 1e20, 4))
SEEDS = (4, 4, 2, 1)
SD, AT = 0.005, 5e9  # noise of a run on AT tokens, in ln L
FALLING = -0.4


def noise_at(tokens: Array | float, slope: float = FALLING) -> Array:
    """Standard deviation of ln L."""
    return np.asarray(SD * (np.asarray(tokens) / AT) ** slope)


def seeded(slope: float, seed: int, seeds: tuple[int, ...] = SEEDS, cells: float = 0.0) -> Points:
    """Eight sizes a budget, with noise that goes as D^slope, and ``cells`` besides, which the seeds of a cell share."""
    clean = sweep(CHINCHILLA, FOUR, sizes=8, width=3.5)
    rng = np.random.default_rng(seed)
    off = cells * rng.standard_normal(len(clean))
    rows = np.repeat(np.arange(len(clean)), np.repeat(seeds, 8))
    points = clean.select(rows)
    luck = noise_at(points.tokens, slope) * rng.standard_normal(len(rows))
    names = tuple(f"run-{i}" for i in range(len(rows)))
    number = np.concatenate([np.arange(k) for k in np.repeat(seeds, 8)]).astype(float)
    return replace(points, loss=points.loss * np.exp(off[rows] + luck), run_id=names, seed=number)


def test_seeds_that_scatter_alike_are_seldom_told_apart() -> None:
    told = [seed_noise(seeded(0.0, s)) is not None for s in range(400)]
    assert np.mean(told) <= 0.025


@pytest.mark.parametrize(("slope", "seeds", "least"), [(FALLING, SEEDS, 54), (0.5, (3, 3, 3, 3), 57)])
def test_noise_that_goes_with_tokens_is_measured(slope: float, seeds: tuple[int, ...], least: int) -> None:
    found = [seed_noise(seeded(slope, s, seeds)) for s in range(60)]
    known = [one for one in found if one is not None]
    assert len(known) >= least
    assert np.mean([one.slopes for one in known], axis=0) == pytest.approx([0, 2 * slope], abs=0.12)
    size, tokens = np.exp(known[0].middle)
    sd = np.mean([float(np.sqrt(one.variance(size, tokens))) for one in known])
    assert sd == pytest.approx(noise_at(tokens, slope), rel=0.1)
    assert {one.freedom for one in known} == {8 * (sum(seeds) - 4)}


def test_nothing_is_taken_beyond_the_cells_with_seeds() -> None:
    noise = seed_noise(seeded(FALLING, 0))
    assert noise is not None
    (small, few), (large, many) = np.exp(noise.lowest), np.exp(noise.highest)
    assert noise.variance(large, many) == noise.variance(1e6 * large, 1e6 * many)
    assert noise.variance(small, few) == noise.variance(1e-6 * small, 1e-6 * few)
    assert noise.variance(small, few) > noise.variance(small, many)


@pytest.mark.parametrize(
    "points",
    [
        seeded(FALLING, 0, (1, 1, 1, 1)),
        seeded(FALLING, 0).select(
            np.flatnonzero(np.isin(np.arange(88), [0, 1, 2, 3, 4, 40, 50, 60, 70, 85]))
        ),
        replace(seeded(FALLING, 0), run_id=tuple(f"run-{i // 2}" for i in range(88))),
    ],
    ids=["no seeds", "few seeds", "rows of one run"],
)
def test_without_seeds_enough_all_runs_weigh_alike(points: Points) -> None:
    assert seed_noise(points) is None
    assert np.array_equal(precision(points, np.full(len(points), 0.01)), np.ones(len(points)))


@pytest.mark.parametrize(("delta", "of_a", "of_loss"), [(1e-3, 0.98, 0.98), (np.inf, 0.9, 0.85)])
def test_weights_make_the_fit_more_precise(delta: float, of_a: float, of_loss: float) -> None:
    """The paper's Huber loss, nearly a sum of absolute values, bounds by itself what noisy runs do; squares do not."""
    options = FitOptions(draws=0, huber_delta=delta)
    found = []
    for s in range(40):
        points = seeded(FALLING, s)
        rows_of_one = (*points.run_id[:-1], points.run_id[-2])  # so that no seeds are told
        fits = [fit_approach_3(one, options) for one in (points, replace(points, run_id=rows_of_one))]
        found.append([(fit.a, np.log(fit.predict(1e21).loss or np.nan)) for fit in fits])
    weighted, plain = np.std(np.array(found, dtype=float), axis=0)
    assert weighted[0] < of_a * plain[0]
    assert weighted[1] < of_loss * plain[1]


def test_the_scatter_of_a_run_is_that_of_its_tokens() -> None:
    lack, found, tokens = 0.002, [], (3e9, 1e10, 2e10)
    for s in range(40):
        points = seeded(FALLING, s, cells=lack)
        scatter = run_scatter(points, check_law(points).residual, len(points) - 5)
        found.append([scatter.at(1e9, d) for d in tokens])
    assert np.mean(found, axis=0) == pytest.approx(np.hypot(noise_at(np.array(tokens)), lack), rel=0.2)
    alike = seeded(0.0, 3)
    residual = check_law(alike).residual
    scatter = run_scatter(alike, residual, len(alike) - 5)
    assert scatter.at(1e9, 1e9) == pytest.approx(np.sqrt(np.sum(residual**2) / (len(alike) - 5)))


@pytest.mark.parametrize("falling", [FALLING, 0.0], ids=["noise by tokens", "noise alike"])
def test_seeds_average_out_of_a_mean_and_lack_of_fit_does_not(falling: float) -> None:
    lack, at = 0.004, (1e9, 1e10)
    found = []
    for s in range(60):
        points = seeded(falling, s, cells=lack)
        scatter = run_scatter(points, check_law(points).residual, len(points) - 5)
        found.append([scatter.at(*at, seeds=k) for k in (1, 4, 10**6)])
    one, four, many = np.sqrt(np.mean(np.square(found), axis=0))
    seed = float(noise_at(at[1], falling))
    assert one == pytest.approx(np.hypot(lack, seed), rel=0.2)
    assert four == pytest.approx(np.hypot(lack, seed / 2), rel=0.2)
    assert many == pytest.approx(lack, rel=0.25)


def test_without_seeds_a_mean_scatters_as_one_run_does() -> None:
    points = seeded(0.0, 1, (1, 1, 1, 1))
    scatter = run_scatter(points, check_law(points).residual, len(points) - 5)
    assert scatter.at(1e9, 1e10, seeds=9) == scatter.at(1e9, 1e10)


def test_noisy_short_runs_are_no_lack_of_fit_and_no_outliers() -> None:
    """That some runs are several times as noisy as others is what seeds tell, and no fault of a run or of the law."""
    flags = [check_law(seeded(FALLING, s)).flags for s in range(40)]
    assert sum(bool(one) for one in flags) <= 3
    sensitive = [fit_approach_3(seeded(FALLING, s), FitOptions(draws=60)).flags for s in range(12)]
    assert sum("sensitive_to_outliers" in one for one in sensitive) <= 1
