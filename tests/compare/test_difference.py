"""A difference of two bootstraps: seldom found where there is none, always where there is a large one."""

import numpy as np
import pytest

from harness.compare.difference import ALIKE, DIFFER, UNKNOWN, Estimate, difference, independent

LEVEL = 0.9


def estimate(
    rng: np.random.Generator, truth: float, spread: float, same: np.ndarray | None = None
) -> Estimate:
    """An estimate of ``truth``; its draws scatter about it as it does about the truth, by the luck ``same``."""
    value = truth + spread * rng.standard_normal()
    luck = rng.standard_normal(400) if same is None else same
    return Estimate(value, value + spread * luck)


def test_equal_quantities_are_told_apart_as_seldom_as_the_level_says() -> None:
    rng = np.random.default_rng(1)
    found = [
        difference(estimate(rng, 0.5, 0.02), estimate(rng, 0.5, 0.03), LEVEL, 0.2).verdict
        for _ in range(1000)
    ]
    assert set(found) == {DIFFER, ALIKE}
    assert found.count(DIFFER) == pytest.approx(100, abs=35)


def test_equal_quantities_with_equally_seeded_draws_are_no_different() -> None:
    """Draw for draw the two would cancel; two sweeps resampled with one seed are independent all the same."""
    rng = np.random.default_rng(2)
    luck = rng.standard_normal(400)
    found = [
        difference(estimate(rng, 0.5, 0.02, luck), estimate(rng, 0.5, 0.02, luck), LEVEL, 0.2).verdict
        for _ in range(1000)
    ]
    assert found.count(DIFFER) == pytest.approx(100, abs=35)


def test_a_large_difference_is_found_and_has_its_sign() -> None:
    rng = np.random.default_rng(3)
    found = difference(estimate(rng, 0.5, 0.02), estimate(rng, 0.7, 0.02), LEVEL, 0.1)
    assert found.verdict == DIFFER
    assert found.value == pytest.approx(0.2, abs=0.08)
    assert found.interval is not None
    assert 0 < found.interval[0] < 0.2 < found.interval[1]


def test_runs_that_could_show_nothing_are_no_evidence_of_sameness() -> None:
    rng = np.random.default_rng(4)
    found = difference(estimate(rng, 0.5, 0.2), estimate(rng, 0.5, 0.2), LEVEL, 0.1)
    assert found.verdict == UNKNOWN
    assert "could not have shown a difference of 0.1" in found.reason


def test_a_doubted_estimate_decides_nothing_but_keeps_its_numbers() -> None:
    rng = np.random.default_rng(5)
    first, second = estimate(rng, 0.5, 0.01), estimate(rng, 0.9, 0.01)
    found = difference(first, Estimate(second.value, second.draws, "it is unstable"), LEVEL, 0.1)
    assert (found.verdict, found.reason) == (UNKNOWN, "it is unstable")
    assert found.value is not None
    assert found.interval is not None
    assert found.value > 0.3


@pytest.mark.parametrize(
    "second", [Estimate(None, None, "no fit"), Estimate(0.5), Estimate(0.5, np.full(400, np.nan))]
)
def test_without_numbers_or_draws_nothing_can_be_told(second: Estimate) -> None:
    found = difference(estimate(np.random.default_rng(6), 0.5, 0.01), second, LEVEL, 0.1)
    assert found.verdict == UNKNOWN
    assert found.reason


def test_unequal_numbers_of_draws_are_paired_at_random() -> None:
    first, second = np.zeros(50), np.arange(1000.0)
    paired = independent(first, second)
    assert np.isin(paired, second).all()
    assert paired.mean() == pytest.approx(499.5, rel=0.1)
