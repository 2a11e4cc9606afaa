"""Seeds of a cell: no further evidence on what they share, and no further chances to be the lowest."""

from dataclasses import replace

import numpy as np
import pytest

from harness.fit import FitOptions, Points
from harness.fit.approach_1 import fit_approach_1
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.bootstrap import inflated
from harness.fit.budgets import cells_of, count_cells, grid_seeds
from tests.fit.synthetic import curves, sweep


def grid(noise: float = 0.006, seed: int = 0) -> Points:
    return sweep(budgets=(1e18, 1e19, 1e20), sizes=7, noise=noise, seed=seed)


def stacked(parts: list[Points], seeds: list[int] | None = None) -> Points:
    """Tables one below the other, each with a seed of its own where ``seeds`` are given."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("params", "tokens", "flops", "loss", "budget")
    }
    seed = None if seeds is None else np.repeat(seeds, [len(part) for part in parts])
    names = tuple(f"{i}-{run}" for i, part in enumerate(parts) for run in part.run_id)
    return Points(**columns, seed=seed, run_id=names)


def best_of(points: Points) -> list[int]:
    """The lowest run of every budget."""
    return [
        int(np.flatnonzero(points.budget == c)[np.argmin(points.loss[points.budget == c])])
        for c in np.unique(points.budget)
    ]


def test_cells_are_sizes_at_horizons() -> None:
    points = grid()
    assert cells_of(points).tolist() == list(range(21))
    both = stacked([points, points.select([4, 9])])
    assert cells_of(both).tolist() == [*range(21), 4, 9]
    assert count_cells(cells_of(both)) == 21
    assert count_cells(cells_of(replace(both, params=both.params * (1 + 1e-6 * np.arange(23))))) == 23


def test_seeds_of_the_grid_are_those_of_most_cells() -> None:
    points = grid()
    followed = stacked([points, points.select([3, 10]), points.select([3, 10])], [5, 1, 2])
    (mask,) = grid_seeds(followed, cells_of(followed))
    assert np.flatnonzero(mask).tolist() == list(range(21))
    unnamed = replace(followed, seed=None)
    assert np.array_equal(grid_seeds(unnamed, cells_of(unnamed)), [mask])
    at_random = replace(followed, seed=np.random.default_rng(0).permutation(25).astype(float))
    assert np.array_equal(grid_seeds(at_random, cells_of(at_random)), [mask])
    balanced = stacked([points, points.select(np.arange(21) != 6)], [0, 1])
    first, second = grid_seeds(balanced, cells_of(balanced))
    assert (first.sum(), second.sum(), (first & second).sum()) == (21, 20, 0)
    lone = stacked([points.select(np.arange(21) != 6), points.select([6])], [0, 9])
    assert grid_seeds(lone, cells_of(lone)).tolist() == [[True] * 21], "the only run of its cell"


def test_follow_ups_do_not_move_the_envelope() -> None:
    """More draws at the cells that were lowest would be lower still: approach 1 leaves them out."""
    points = grid()
    lucky = replace(points, loss=points.loss * 0.99).select(best_of(points))
    followed = stacked([points, lucky], [0, 1])
    alone = stacked([points], [0])
    along = curves(followed)
    for run in followed.run_id[21:]:
        along[run] = replace(along[run], train_loss=along[run].train_loss * 0.99)
    options = FitOptions(draws=60)
    with_them, without = fit_approach_1(followed, options, along), fit_approach_1(alone, options, along)
    assert (with_them.a, with_them.a_interval) == (without.a, without.a_interval)
    assert with_them.n_points == 21
    assert with_them.predict(1e20).loss == without.predict(1e20).loss


def test_every_seed_of_a_grid_has_an_envelope() -> None:
    points = grid()
    both = stacked([points, points], [0, 1])
    along = curves(both)
    for run in both.run_id[21:]:
        along[run] = replace(along[run], train_loss=along[run].train_loss * 1.01)
    fit = fit_approach_1(both, FitOptions(draws=60), along)
    first, second = (fit_approach_1(both.select(both.seed == s), FitOptions(draws=60), along) for s in (0, 1))
    assert fit.n_points == 42
    assert fit.a == pytest.approx((first.a + second.a) / 2, abs=1e-9)
    middle = [f.predict(1e20).loss for f in (first, fit, second)]
    assert middle[0] < middle[1] < middle[2]
    assert fit.envelope is not None
    assert (np.diff(fit.envelope[:, 0]) < 0).sum() == 1, "one envelope after the other"


@pytest.mark.parametrize("kind", ["auto", "pairs"])
def test_a_run_told_three_times_is_no_evidence(kind: str) -> None:
    """Runs of a cell that agree in full say as much as one: no interval may shrink."""
    points = grid()
    thrice = stacked([points] * 3, [0, 1, 2])
    options = FitOptions(draws=80, bootstrap=kind)
    for fit in (fit_approach_2, fit_approach_3):
        once, again = fit(points, options), fit(thrice, options)
        assert again.a_interval == pytest.approx(once.a_interval, rel=1e-3), fit.__name__
    wild = FitOptions(draws=80, bootstrap="wild", huber_delta=np.inf)
    once, again = fit_approach_3(points, wild), fit_approach_3(thrice, wild)
    assert again.a_interval == pytest.approx(once.a_interval, rel=1e-3)


def test_seeds_that_scatter_alone_shorten_the_interval() -> None:
    several = stacked([grid(seed=s) for s in range(3)], [0, 1, 2])
    width = [np.ptp(fit_approach_2(p, FitOptions(draws=200)).a_interval) for p in (grid(), several)]
    assert width[1] < width[0]


def test_residuals_of_single_runs_are_inflated_as_before() -> None:
    rng = np.random.default_rng(0)
    design, residual = rng.standard_normal((9, 3)), rng.standard_normal(9)
    hat = np.diag(design @ np.linalg.pinv(design))
    assert inflated(residual, design, np.arange(9), 0.5) == pytest.approx(residual / np.sqrt(1 - hat))
    # HC2 is unbiased under equal noise: the blocks of a cell undo what the fit took from them.
    cell = np.repeat(np.arange(3), 3)
    project = np.eye(9) - design @ np.linalg.pinv(design)
    seen = np.stack([inflated(project @ e, design, cell, 0.5) for e in np.eye(9)], axis=1)
    covariance = seen @ seen.T
    for c in range(3):
        mine = cell == c
        assert covariance[np.ix_(mine, mine)] == pytest.approx(np.eye(3), abs=1e-9)


@pytest.mark.parametrize("cells", [4, 6, 7, 8])
def test_many_seeds_of_few_cells_get_a_status(cells: int) -> None:
    """Rows enough for the law, but fewer independent cells than a test of its residuals needs."""
    chosen = np.linspace(0, 20, cells).astype(int)
    few = [grid(noise=0.01, seed=seed).select(chosen) for seed in range(3)]
    found = fit_approach_3(stacked(few, [0, 1, 2]), FitOptions(draws=20))
    assert found.status != "ok"
