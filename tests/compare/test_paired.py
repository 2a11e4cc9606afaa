"""Runs in pairs: what is alike in both arms cancels, and errors are those of what is left."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from harness.compare.difference import ALIKE, DIFFER, UNKNOWN
from harness.compare.paired import (
    MeanDifference,
    PairedCell,
    ScoredRun,
    at_minima,
    by_budget,
    overall,
    pair,
    pair_noise,
    runs_of,
)
from tests.fit.synthetic import sweep


def run(size: str, seed: int | None, loss: float, budget: float = 1e18, params: float = 1e6) -> ScoredRun:
    return ScoredRun(budget=budget, size=size, seed=seed, params=params, flops=budget, loss=loss)


def loss(one: ScoredRun) -> float | None:
    return one.loss


def cells(
    rng: np.random.Generator, noise: float, shared: float, seeds: int, gap: float
) -> tuple[PairedCell, ...]:
    """Two arms of 2 budgets x 6 sizes; ``shared`` of the variance of the noise is common to a pair."""
    ours, theirs = [], []
    for budget in (1e18, 1e19):
        for j in range(6):
            for seed in range(seeds):
                common, one, two = rng.standard_normal(3)
                a, b = (noise * (math.sqrt(shared) * common + math.sqrt(1 - shared) * x) for x in (one, two))
                params = 1e6 * 1.5**j
                ours.append(run(str(j), seed, 3 + 0.1 * j + a, budget, params))
                theirs.append(run(str(j), seed, 3 + 0.1 * j + gap + b, budget, params))
    return pair(ours, theirs, loss)


def test_runs_are_paired_by_budget_shape_and_seed_whatever_their_order() -> None:
    first = [run("a", 0, 3.0), run("a", 1, 3.2), run("b", 0, 2.9), run("a", 0, 2.5, budget=1e19)]
    second = [run("a", 1, 3.1), run("a", 0, 2.8), run("c", 0, 2.0), run("b", 7, 2.7)]
    one, two = pair(reversed(first), second, loss)
    assert (one.size, one.matched, one.first, one.second) == ("a", True, (3.0, 3.2), (2.8, 3.1))
    assert one.difference == pytest.approx(-0.15)
    assert (two.size, two.matched, two.difference) == ("b", False, pytest.approx(-0.2))


def test_only_common_seeds_count_where_there_are_any() -> None:
    (cell,) = pair([run("a", 0, 3.0), run("a", 1, 9.0)], [run("a", 0, 2.0), run("a", 5, 9.0)], loss)
    assert cell.matched
    assert cell.pairs == 1
    assert cell.difference == pytest.approx(-1.0)


def test_order_of_arms_turns_the_difference() -> None:
    rng = np.random.default_rng(0)
    first = [run(str(j), 0, float(x)) for j, x in enumerate(rng.uniform(2, 3, 6))]
    second = [run(str(j), 0, float(x)) for j, x in enumerate(rng.uniform(2, 3, 6))]
    there, back = (by_budget(pair(a, b, loss))[1e18] for a, b in ((first, second), (second, first)))
    assert there.value == pytest.approx(-back.value)
    assert there.se == pytest.approx(back.se)


def test_a_mean_has_students_interval_of_its_cells() -> None:
    values = np.array((0.1, 0.2, 0.4))
    second = [run(str(j), 0, 3 + v) for j, v in enumerate(values)]
    made = by_budget(pair([run(str(j), 0, 3.0) for j in range(3)], second, loss))
    test = stats.ttest_1samp(values, 0.0)
    judged = made[1e18].judged(0.9, 1.0)
    assert judged.p == pytest.approx(test.pvalue)
    assert judged.interval == pytest.approx(tuple(test.confidence_interval(0.9)))


def test_one_pair_has_no_interval() -> None:
    (mean,) = by_budget(pair([run("a", 0, 3.0)], [run("a", 0, 2.9)], loss)).values()
    judged = mean.judged(0.9, 0.05)
    assert judged.value == pytest.approx(-0.1)
    assert (judged.interval, judged.verdict) == (None, UNKNOWN)


def test_budgets_count_alike_over_all() -> None:
    means = {
        1e18: MeanDifference(value=0.0, se=0.1, degrees=20),
        1e19: MeanDifference(value=1.0, se=0.1, degrees=2),
    }
    total = overall(means)
    assert total.value == pytest.approx(0.5)
    assert total.se == pytest.approx(0.1 / math.sqrt(2))
    assert 2 < total.degrees < 22


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_correlation_and_noise_of_pairs_are_measured(shared: float) -> None:
    found = [pair_noise(cells(np.random.default_rng(i), 0.01, shared, 3, 0.0), 0.9) for i in range(40)]
    known = [one for one in found if one is not None and one.correlation is not None]
    assert len(known) == 40
    assert np.mean([one.correlation for one in known]) == pytest.approx(shared, abs=0.06)
    assert np.mean([one.variance for one in known]) == pytest.approx(2 * 0.01**2 * (1 - shared), rel=0.15)
    held = [
        one.correlation_interval is not None
        and one.correlation_interval[0] <= shared <= one.correlation_interval[1]
        for one in known
    ]
    assert np.mean(held) > 0.75


def test_one_seed_says_nothing_of_noise() -> None:
    assert pair_noise(cells(np.random.default_rng(0), 0.01, 0.5, 1, 0.0), 0.9) is None


def test_intervals_hold_the_truth_and_equal_arms_seldom_differ() -> None:
    """Nominal 90% of 400 intervals: fewer than 0.85 or more than 0.95 has a probability below 1 in 1000."""
    held, differ = [], []
    for i in range(200):
        found = at_minima(cells(np.random.default_rng(i), 0.01, 0.5, 1, 0.0), {})
        assert found is not None
        for j in range(2):
            judged = found.at(j).judged(0.9, 0.001)
            held.append(judged.interval is not None and judged.interval[0] <= 0 <= judged.interval[1])
            differ.append(judged.verdict == DIFFER)
    assert 0.85 < np.mean(held) < 0.95
    assert np.mean(differ) == pytest.approx(1 - np.mean(held))


def parabolas(gap: float, move: float, sizes: Iterable[float]) -> tuple[PairedCell, ...]:
    """Minima ``gap`` apart in loss and ``move`` in ln N, the first at 0."""
    first = [run(str(x), 0, 3 + 0.1 * x**2, params=math.exp(x)) for x in sizes]
    second = [run(str(x), 0, 3 + gap + 0.1 * (x - move) ** 2, params=math.exp(x)) for x in sizes]
    return pair(first, second, loss)


@pytest.mark.parametrize("move", [-0.8, 0.0, 0.5])
def test_minima_differ_by_their_gap_however_the_shapes_lie(move: float) -> None:
    made = parabolas(-0.05, move, (-0.5, 0.0, 0.6, 1.1, 1.9, 2.5))
    found = at_minima(made, {1e18: move / 2})
    assert found is not None
    assert found.values == pytest.approx([-0.05])
    if move:  # the plain mean is of the shapes
        assert abs(by_budget(made)[1e18].value + 0.05) > 0.01


def test_too_few_cells_have_no_minimum() -> None:
    assert at_minima(parabolas(0.1, 0.0, (0.0, 1.0)), {}) is None


def test_a_short_interval_about_zero_says_that_arms_do_not_differ() -> None:
    assert MeanDifference(value=0.001, se=0.002, degrees=10).judged(0.9, 0.02).verdict == ALIKE
    assert MeanDifference(value=0.001, se=0.02, degrees=10).judged(0.9, 0.02).verdict == UNKNOWN
    assert MeanDifference(value=0.1, se=0.02, degrees=10).judged(0.9, 0.02).verdict == DIFFER


def test_cells_of_tables_are_the_same_within_rounding() -> None:
    table = sweep(sizes=5)
    near = replace(table, params=table.params * 1.0001, flops=table.flops * 1.0001)
    assert len(pair(runs_of(table), runs_of(near), loss)) >= 0.9 * len(table)
    assert not pair(runs_of(table), runs_of(replace(table, params=table.params * 1.1)), loss)
