"""Arms in equal time: what is known of time and loss comes back, and what lies outside the runs is said."""

import math
from dataclasses import replace

import pytest

from harness.compare.arm import Arm, unpaid_share
from harness.compare.compare import compare_arms
from harness.compare.equal_time import ArmTimes, BudgetTime, arm_times
from harness.compare.tables import build
from harness.fit import FitOptions, fit_points
from harness.runs.convention import convention
from harness.runs.record import Score
from tests.compare.test_compare import fit
from tests.fit.synthetic import CHINCHILLA, optimum, sweep
from tests.plan.test_plan import plan
from tests.records import fake_record

BUDGETS = (1e18, 1e19, 1e20)
DEVICE = ("a device, fp32",)


def times(*seconds: float, devices: tuple[str, ...] = DEVICE) -> ArmTimes:
    return ArmTimes(tuple(map(BudgetTime, BUDGETS, seconds)), devices)


def arm(name: str, seed: int, found: ArmTimes | None, corpus: str = "one") -> Arm:
    return Arm(name, fit(CHINCHILLA, seed), corpus, corpus, 1 / math.log(2), corpus, 0.05, times=found)


def least_loss(flops: float) -> float:
    """Of the law, without noise."""
    floor, a, b, alpha, beta = CHINCHILLA
    params, tokens = optimum(flops)
    return floor + a * params**-alpha + b * tokens**-beta


def test_times_lie_on_lines_between_budgets_and_in_proportion_beyond_them() -> None:
    found = times(10, 50, 400)
    assert [found.seconds(budget) for budget in BUDGETS] == pytest.approx([10, 50, 400])
    assert found.seconds(10**18.5) == pytest.approx(math.sqrt(10 * 50))
    assert found.seconds(1e17) == pytest.approx(1)
    assert found.seconds(5e20) == pytest.approx(2000)
    for flops in (1e17, 3e18, 2e19, 1e21):
        assert found.flops(found.seconds(flops)) == pytest.approx(flops)
    assert found.covers(1e18)
    assert found.covers(1e20)
    assert not found.covers(2e20)
    assert not found.covers(5e17)


def test_an_arm_that_takes_twice_as_long_has_the_loss_of_half_the_budget_in_equal_time() -> None:
    """Both arms have one law, so what is lost in equal time is the law's own difference between C and C/2."""
    first, second = arm("x", 0, times(10, 100, 1000)), arm("y", 1, times(20, 200, 2000))
    found = compare_arms("twice", [first, second]).equal_time
    assert found is not None
    assert (found.first, found.unit, found.approach) == ("x", "nats per token", "approach_3")
    assert [row.budget for row in found.rows] == list(BUDGETS)
    for row in found.rows:
        assert row.seconds == pytest.approx(2 * row.first_seconds)
        assert row.flops == pytest.approx(row.budget / 2)
        assert row.measured
        assert row.within == (row.budget > 1e18)
        truth = least_loss(row.budget / 2) - least_loss(row.budget)
        assert row.at_time.value == pytest.approx(truth, rel=0.2, abs=0.005)
        assert row.at_time.interval is not None
        low, high = row.at_time.interval
        assert low - 0.003 < truth < high + 0.003
        assert abs(row.at_flops.value or 0) < 0.01
    assert found.rows[0].at_time.verdict == "differ", "a tenth of a nat against noise of thousandths"


def test_equal_times_are_equal_flops() -> None:
    found = compare_arms("same", [arm("x", 0, times(1, 2, 30)), arm("y", 1, times(1, 2, 30))]).equal_time
    assert found is not None
    for row in found.rows:
        assert row.flops == pytest.approx(row.budget)
        assert row.at_time == replace(row.at_flops, value=row.at_time.value, interval=row.at_time.interval)
        assert row.at_time.value == pytest.approx(row.at_flops.value, abs=1e-9)


def test_texts_that_differ_are_compared_in_bits_and_arms_without_times_not_at_all() -> None:
    other = arm("y", 1, times(1, 2, 3), "two")
    found = compare_arms("texts", [arm("x", 0, times(1, 2, 3)), other]).equal_time
    assert found is not None
    assert found.unit == "bits per byte"
    assert compare_arms("none", [arm("x", 0, None), other]).equal_time is None
    bare = replace(other, bits_per_nat=None)
    assert compare_arms("bare", [arm("x", 0, times(1, 2, 3)), bare]).equal_time is None


def test_times_are_told_without_losses_where_an_arm_has_no_frontier() -> None:
    few = fit_points(sweep(CHINCHILLA, (1e18,), sizes=3), FitOptions(draws=0))
    assert few.approach_3.a is None
    lacking = replace(arm("y", 1, times(20, 200, 2000)), fit=few)
    found = compare_arms("few", [arm("x", 0, times(10, 100, 1000)), lacking])
    assert found.decides is None
    assert found.equal_time is not None
    assert [row.seconds / row.first_seconds for row in found.equal_time.rows] == pytest.approx([2, 2, 2])
    assert {row.at_time.value for row in found.equal_time.rows} == {None}
    assert [row[4] for row in build(found)[-1].rows] == ["2.00"] * 3


def test_the_table_and_the_verdict_say_it_with_what_is_extrapolated() -> None:
    made = compare_arms("twice", [arm("x", 0, times(10, 100, 1000)), arm("y", 1, times(20, 200, 2000))])
    *_, table = build(made)
    assert table.name == "equal_time"
    assert [row[0] for row in table.rows] == ["y"] * 3
    assert [row[4] for row in table.rows] == ["2.00"] * 3
    assert [row[7].endswith("*") for row in table.rows] == [True, False, False]
    assert "All on a device, fp32." in table.note
    assert "beyond the arm's budgets" in table.note
    assert "At 1e+20 FLOPs y takes 2.00 times as long as x" in made.verdict[0]
    assert "in equal time, at 5e+19 FLOPs by +0." in made.verdict[0]
    text = str(made.to_json())
    assert "'equal_time'" in text


def test_times_of_different_devices_are_said_and_judge_nothing() -> None:
    other = times(20, 200, 2000, devices=("another device, bf16",))
    made = compare_arms("devices", [arm("x", 0, times(10, 100, 1000)), arm("y", 1, other)])
    assert "times as long" not in made.verdict[0]
    assert "different devices (x: a device, fp32; y: another device, bf16)" in build(made)[-1].note


def test_the_time_of_a_budget_is_that_of_its_best_cell_at_its_median_speed() -> None:
    pairs = []
    for cell in plan().cells:
        for seed in (0, 1, 2):
            loss = 3 + abs(math.log(cell.params.total / 5e4)) / 10
            record = fake_record(cell, loss)
            # one of three was slowed down
            speed = record.tokens_per_second / (5 if seed == 1 else 1)
            pairs.append((replace(record, tokens_per_second=speed), Score(loss, None, None, 0)))
    pairs.append((fake_record(plan().cells[0], 1.0, diverged=True), Score(None, None, None, 0)))
    found = arm_times(pairs)
    assert found is not None
    assert [one.budget for one in found.budgets] == [1e11, 1e12]
    for one in found.budgets:
        same = [cell for cell in plan().cells if cell.budget == one.budget]
        best = min(same, key=lambda cell: abs(math.log(cell.params.total / 5e4)))
        assert one.seconds == pytest.approx(fake_record(best, 3.0).seconds)
    assert found.devices == ("a fake device, fp32",)
    assert arm_times([]) is None


def test_times_are_at_c_as_the_fit_counts_it_not_as_the_budget_was_planned() -> None:
    """Under a fit by 6ND the frontier is evaluated at 6ND: a budget planned by Appendix F is another number there."""
    pairs = []
    for cell in plan().cells:
        loss = 3 + abs(math.log(cell.params.total / 5e4)) / 10
        pairs.append((fake_record(cell, loss), Score(loss, None, None, 0)))
    found, plain = arm_times(pairs, "flops_6nd"), arm_times(pairs)
    assert found is not None
    assert plain is not None
    assert (found.convention, plain.convention) == ("6nd", "appendix_f")
    for one, other in zip(found.budgets, plain.budgets, strict=True):
        same = [cell for cell in plan().cells if cell.budget == other.budget]
        best = min(same, key=lambda cell: abs(math.log(cell.params.total / 5e4)))
        assert one.budget == best.flops_by_count["6nd"] < 0.9 * other.budget
        assert one.seconds == other.seconds
    assert arm_times(pairs, "a_column_of_its_own") is None


def test_arms_that_count_c_differently_are_not_compared_in_equal_time() -> None:
    one, two = (
        replace(times(10, 50, 400), convention="6nd"),
        replace(times(10, 50, 400), convention="appendix_f"),
    )
    found = compare_arms("mixed", [arm("x", 0, one), arm("y", 1, two)])
    assert found.equal_time is None
    assert "count C differently (x: 6nd, y: appendix_f)" in " ".join(found.cautions)
    alike = compare_arms("alike", [arm("x", 0, one), arm("y", 1, one)])
    assert alike.equal_time is not None
    assert not alike.cautions


def test_the_optimizer_is_paid_for_only_in_the_column_that_has_it() -> None:
    record = fake_record(plan().cells[0], 3.0)
    own = record.flops
    paid = replace(record, flops=1.2 * own, flops_optimizer=0.2 * own)
    assert unpaid_share([paid]) == 0
    assert unpaid_share([paid], "flops_appendix_f") == pytest.approx(0.2)
    assert unpaid_share([replace(paid, flops=own)]) == pytest.approx(0.2)
    assert convention(paid, "flops") == "appendix_f with the optimizer"
    assert convention(paid, "flops_appendix_f") == convention(record, "flops") == "appendix_f"
