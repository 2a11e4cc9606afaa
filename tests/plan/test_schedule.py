"""Schedules begin, peak and end where they say, whatever the horizon."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.plan.schedule import KINDS, Schedule, ScheduleConfig, resolve

steps = st.integers(1, 1000)
warmups = st.floats(0, 1e7)


@given(st.sampled_from(sorted(KINDS)), steps, warmups, st.floats(0, 1), st.floats(0.01, 1))
def test_factor_stays_between_zero_and_the_peak(
    kind: str, n: int, warmup: float, floor: float, decay: float
) -> None:
    schedule = resolve(ScheduleConfig(kind, floor, 1.0, decay), n, warmup, batch_tokens=100)
    factors = [schedule.factor(step) for step in range(1, n + 1)]
    assert all(0 <= f <= 1 + 1e-12 for f in factors)
    peak = max(schedule.warmup_steps - 1, 0)
    assert all(a >= b - 1e-12 for a, b in pairwise(factors[peak:])), "never rises again"
    assert all(a < b for a, b in pairwise(factors[: peak + 1])), "warm-up rises"


@given(
    st.sampled_from([name for name, kind in KINDS.items() if kind.has_length]),
    steps,
    warmups,
    st.floats(0, 1),
)
def test_last_step_of_the_run_is_the_floor(kind: str, n: int, warmup: float, floor: float) -> None:
    schedule = resolve(ScheduleConfig(kind, floor), n, warmup, batch_tokens=100)
    assert schedule.steps == n
    assert schedule.factor(n) == pytest.approx(floor, abs=1e-12)


@given(steps, st.floats(1, 5))
def test_overshoot_leaves_the_cooldown_unfinished(n: int, horizon: float) -> None:
    schedule = resolve(ScheduleConfig("cosine", 0.1, horizon), n, 0, batch_tokens=1)
    assert schedule.steps == round(n * horizon)
    if schedule.steps > n:
        assert schedule.factor(n) > 0.1


@given(steps, st.floats(1, 50))
def test_one_length_for_all_runs_is_the_same_whatever_the_run(n: int, longest: float) -> None:
    tokens = 1000 * longest * 128
    schedule = resolve(ScheduleConfig("cosine", 0.1, tokens=tokens), n, 128 * n * 0.05, batch_tokens=128)
    assert schedule.steps == round(tokens / 128)
    assert schedule.warmup_steps == resolve(ScheduleConfig(), n, 128 * n * 0.05, 128).warmup_steps or n == 1


def test_a_length_for_all_runs_is_no_shorter_than_any() -> None:
    assert resolve(ScheduleConfig(tokens=1280), 10, 0, 128).steps == 10
    with pytest.raises(UserError, match="shorter than a run of 1,408 tokens"):
        resolve(ScheduleConfig(tokens=1280), 11, 0, 128)


def test_without_it_schedules_and_their_ids_are_as_before() -> None:
    assert resolve(ScheduleConfig(), 10, 128, 128) == Schedule("cosine", 1, 10, 0.1, 0.2)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_says_what_its_horizon_changes(name: str) -> None:
    short, long = Schedule(name, 10, 100, 0.0, 0.2), Schedule(name, 10, 200, 0.0, 0.2)
    alike = all(short.factor(step) == long.factor(step) for step in range(1, 51))
    assert alike == KINDS[name].begins_alike
    assert (short.factor(100) != long.factor(100)) == KINDS[name].has_length


def test_cosine_half_way_is_half_way() -> None:
    schedule = Schedule("cosine", warmup_steps=0, steps=100, floor=0.1, decay_share=0.2)
    assert schedule.factor(50) == pytest.approx(0.55)


def test_wsd_holds_the_peak_then_falls_over_its_share() -> None:
    schedule = Schedule("wsd", warmup_steps=10, steps=100, floor=0.0, decay_share=0.2)
    assert [schedule.factor(s) for s in (5, 10, 50, 80)] == [0.5, 1, 1, 1]
    assert schedule.factor(90) == pytest.approx(0.5)
    assert schedule.factor(100) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "cosin"},
        {"floor": 1.2},
        {"horizon": 0.5},
        {"kind": "wsd", "decay_share": 0.0},
        {"tokens": -1.0},
        {"tokens": 1e6, "horizon": 2.0},
    ],
)
def test_impossible_values_are_refused(values: dict) -> None:
    with pytest.raises(UserError, match="schedule"):
        ScheduleConfig(**values)
