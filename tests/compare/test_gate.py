"""The gate: its power is what it says, equal arms pass as seldom as alpha, and what it cannot see it says."""

from dataclasses import replace

import numpy as np
import pytest

from harness.compare.gate import (
    FAILED,
    PASSED,
    SIZES,
    UNKNOWN,
    GatePlan,
    alpha_of,
    judge_gate,
    next_look,
    plan_gate,
    power_of,
)
from harness.compare.paired import PairedCell
from harness.errors import UserError

SLOPES = {1e11: 0.20, 2.5e11: 0.18, 6e11: 0.16}


def cells(plan: GatePlan, ratio: float, noise: float, rng: np.random.Generator) -> list[PairedCell]:
    """Pairs of an arm that saves ``ratio`` against the first."""
    made = []
    for budget, slope in zip(plan.budgets, plan.slopes, strict=True):
        for size in range(plan.sizes):
            first = 2 + 0.01 * rng.standard_normal(plan.seeds)
            difference = -slope * np.log(ratio) + noise * rng.standard_normal(plan.seeds)
            made.append(
                PairedCell(budget, size, 10.0, budget, tuple(first), tuple(first + difference), matched=True)
            )
    return made


def plan(noise: float = 0.01, speedup: float = 1.15, power: float = 0.8, arms: int = 2) -> GatePlan:
    return plan_gate(SLOPES, noise, "seeds", speedup, power, arms)


@pytest.mark.parametrize(("noise", "speedup"), [(0.005, 1.1), (0.01, 1.15), (0.02, 1.2)])
def test_the_power_is_what_was_planned(noise: float, speedup: float) -> None:
    asked = plan(noise, speedup)
    assert asked.power >= 0.8
    rng = np.random.default_rng(0)
    passed = [judge_gate(asked, "b", cells(asked, speedup, noise, rng)).verdict == PASSED for _ in range(600)]
    assert np.mean(passed) == pytest.approx(asked.power, abs=0.05)


def test_equal_arms_pass_as_seldom_as_alpha() -> None:
    asked = plan()
    rng = np.random.default_rng(1)
    passed = [judge_gate(asked, "b", cells(asked, 1.0, 0.01, rng)).verdict == PASSED for _ in range(3000)]
    assert np.mean(passed) < asked.alpha + 3 * np.sqrt(asked.alpha / 3000)


def test_all_looks_together_pass_equal_arms_in_five_of_a_hundred() -> None:
    assert sum(alpha_of(0.05, look, 2) for look in range(1, 40)) <= 0.05
    assert sum(2 * alpha_of(0.05, look, 3) for look in range(1, 40)) <= 0.05
    rng = np.random.default_rng(2)
    passed = 0
    for _ in range(1000):
        asked: GatePlan | None = plan()
        found = cells(plan(), 1.0, 0.01, rng)
        for _ in range(3):
            assert asked is not None
            verdict = judge_gate(asked, "b", found)
            if verdict.verdict != UNKNOWN:
                break
            later = next_look(asked, verdict.noise, 0.8)
            if later is None:
                break
            more = cells(later, 1.0, 0.01, rng)  # the first seeds are those of the look before
            found = [
                PairedCell(
                    two.budget,
                    two.size,
                    two.log_params,
                    two.flops,
                    one.first + two.first[asked.seeds :],
                    one.second + two.second[asked.seeds :],
                    matched=True,
                )
                for one, two in zip(found, more, strict=True)
            ]
            asked = later
        passed += verdict.verdict == PASSED
    assert passed / 1000 <= 0.05


def test_the_cheapest_budgets_are_taken() -> None:
    found = plan()
    assert found.budgets == (1e11, 2.5e11)
    # where loss hardly falls at the lowest budget, a saving shows in loss at the others alone
    flat = plan_gate({**SLOPES, 1e11: 0.004}, 0.01, "seeds", 1.15, 0.8, 2)
    assert flat.budgets == (2.5e11, 6e11)
    fewer = next(k for k in range(1, 99) if power_of(found.slopes, 0.01, SIZES * k, 1.15, found.alpha) >= 0.8)
    assert found.seeds == fewer


def test_more_noise_arms_or_a_smaller_saving_take_more_seeds() -> None:
    base = plan().seeds
    assert plan(noise=0.02).seeds > base
    assert plan(speedup=1.08).seeds > base
    assert plan(arms=5).seeds >= base
    assert plan(noise=0.02, power=0.99).seeds > plan(noise=0.02).seeds


def test_a_saving_that_is_excluded_fails_and_one_that_may_be_is_not_told() -> None:
    asked = plan(speedup=1.3)
    rng = np.random.default_rng(3)
    assert judge_gate(asked, "b", cells(asked, 0.95, 0.001, rng)).verdict == FAILED
    unclear = judge_gate(asked, "b", cells(asked, 1.1, 0.06, rng))
    assert unclear.verdict == UNKNOWN
    assert unclear.seeds is not None
    assert unclear.seeds > asked.seeds


def test_what_cannot_be_planned_is_one_line() -> None:
    with pytest.raises(UserError, match="two budgets"):
        plan_gate({1e11: 0.2}, 0.01, "seeds", 1.1, 0.8, 2)
    with pytest.raises(UserError, match="larger speedup="):
        plan_gate(SLOPES, 0.5, "seeds", 1.01, 0.8, 2)
    asked = plan()
    with pytest.raises(UserError, match="too few runs"):
        judge_gate(asked, "b", cells(asked, 1.0, 0.01, np.random.default_rng(0))[:1])


def test_an_arm_does_not_pass_without_the_runs_that_diverged() -> None:
    asked = plan()
    found = cells(asked, 1.6, 0.002, np.random.default_rng(5))
    assert judge_gate(asked, "b", found).verdict == PASSED
    without = judge_gate(asked, "b", [one for one in found if one.size != 0], missing=2)
    assert without.lower > 1, "what is left would pass"
    assert (without.verdict, without.missing, without.seeds) == (UNKNOWN, 2, None)


def test_equal_arms_pass_as_seldom_where_sizes_differ() -> None:
    asked = plan(noise=0.06, speedup=1.2)
    assert asked.seeds > 1, "seeds of one size share what is that size's own"
    rng = np.random.default_rng(6)
    passed = 0
    for _ in range(2000):
        found = [
            replace(one, second=tuple(np.array(one.second) + shift))
            for one, shift in zip(
                cells(asked, 1.0, 0.06, rng), 0.06 * rng.standard_normal(2 * SIZES), strict=True
            )
        ]
        passed += judge_gate(asked, "b", found).verdict == PASSED
    assert passed / 2000 < asked.alpha + 3 * np.sqrt(asked.alpha / 2000)
