"""The backtest: forecasts from the lower budgets against what the higher ones measured, and when they are a warning."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.fit import BacktestRow, Fit, FitOptions, Points, fit_points, load_fit, write_fit
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.backtest import Difference, backtest, flagged
from harness.fit.results import Backtest
from tests.fit.synthetic import ASYMMETRIC, FIVE, optimum, sweep

WIDTH = 12**0.5
OPTIONS = FitOptions(draws=400)


def seven(noise: float = 0.002, seed: int = 3, **more: object) -> Points:
    return sweep(sizes=7, width=WIDTH, noise=noise, seed=seed, **more)  # type: ignore[arg-type]


def run_backtest(points: Points, options: FitOptions = OPTIONS) -> Backtest:
    return backtest(points, fit_approach_2(points, options), options)


@pytest.fixture(scope="module")
def fit() -> Fit:
    return fit_points(seven(), OPTIONS)


def test_cutoffs_are_the_lowest_three_up_to_all_but_the_highest(fit: Fit) -> None:
    assert fit.backtest is not None
    for name in ("approach_2", "approach_3"):
        rows = [row for row in fit.backtest.rows if row.approach == name]
        assert [(row.cutoff, row.budget) for row in rows] == [(1e19, 1e20), (1e19, 1e21), (1e20, 1e21)]
        assert [row.cutoff_budgets for row in rows] == [3, 3, 4]
        assert fit.backtest.compared[name] == 9
        assert fit.backtest.held[name] == 9 - sum(len(row.missed) for row in rows)
    assert "forecast_missed" not in (*fit.approach_2.flags, *fit.approach_3.flags, *fit.backtest.flags)


def test_a_forecast_is_the_fit_to_the_lower_budgets_alone(fit: Fit) -> None:
    points = seven()
    assert fit.backtest is not None
    below = points.select(points.flops < 5e19)
    lean = replace(OPTIONS, draws=fit.backtest.draws_each)
    row = fit.backtest.rows[1]
    said = fit_approach_2(below, lean).predict(1e21)
    assert (row.params, row.params_interval) == (said.params, said.params_interval)
    assert (row.loss, row.loss_interval) == (said.loss, said.loss_interval)
    law = next(row for row in fit.backtest.rows if row.approach == "approach_3" and row.budget == 1e21)
    top = points.select(points.flops > 5e20)
    errors = np.log(fit_approach_3(below, lean).loss(top.params, top.tokens) / top.loss)
    assert law.run_error == pytest.approx(errors.mean())
    measured = fit.approach_2.budgets[4]
    assert (row.measured_params, row.measured_loss) == (measured.params_opt, measured.loss_opt)
    assert row.params_ratio == pytest.approx((row.params or 0) / (row.measured_params or 1))


def test_without_noise_the_forecast_of_the_right_law_has_the_profile_s_own_bias() -> None:
    """A wide profile's parabola lies 4% above the optimum; the law's forecast is of that minimum, not the optimum."""
    points = sweep(sizes=7, width=10.0, noise=1e-5)
    (*_, last) = run_backtest(points, replace(OPTIONS, correct_bias=False)).rows
    assert last.approach == "approach_3"
    assert (last.measured_params or 0) / optimum(1e21)[0] > 1.03
    assert last.params_ratio == pytest.approx(1, abs=2e-3)
    assert last.loss_difference == pytest.approx(0, abs=1e-3)


def test_other_losses_at_the_largest_budget_are_a_warning_that_spreads() -> None:
    points = seven()
    points = replace(points, loss=np.where(points.flops > 5e20, 1.03 * points.loss, points.loss))
    fit = fit_points(points, OPTIONS)
    assert fit.backtest is not None
    for approach in (fit.approach_2, fit.approach_3):
        assert "forecast_missed" in approach.flags
        note = approach.notes[approach.flags.index("forecast_missed")]
        assert note == fit.backtest.missed[approach.name]
        assert "L* = " in note
        assert "1e+21" in note
        assert "forecast_missed" in approach.predict(1e22).flags
    assert fit.backtest.status == "forecast_missed"
    assert any(row.missed == ("loss",) and row.status == "missed" for row in fit.backtest.rows)
    assert "do not use: forecast missed" in fit.summary().split("Exponents")[0]


def test_three_budgets_have_one_cutoff_at_two() -> None:
    found = run_backtest(seven(budgets=FIVE[:3]))
    assert {row.cutoff_budgets for row in found.rows} == {2}
    assert {row.budget for row in found.rows} == {1e19}
    profiles = next(row for row in found.rows if row.approach == "approach_2")
    assert profiles.compared == ("params", "tokens"), "two minima show no floor of the loss, so no interval"


def test_a_budget_whose_compute_follows_n_measures_nothing() -> None:
    points = seven()
    top = points.flops > 5e20
    bent = np.where(top, np.exp(0.3 * np.tile(np.linspace(-1, 1, 7), 5)), 1.0)
    found = run_backtest(replace(points, tokens=points.tokens * bent, flops=points.flops * bent))
    assert {row.budget for row in found.rows} == {1e20}


@pytest.mark.parametrize(
    ("points", "options", "said"),
    [
        (seven(budgets=FIVE[:2]), OPTIONS, "2 of 2 budgets have a usable minimum"),
        (seven(), FitOptions(draws=0), "no bootstrap draws"),
        (
            replace(seven(), budget=None, flops=seven().flops * np.geomspace(0.4, 2.5, 35)),
            OPTIONS,
            "no clear budgets",
        ),
        (seven().select(np.arange(35) % 7 < 3), OPTIONS, "0 of 5 budgets have a usable minimum"),
    ],
    ids=["two budgets", "no draws", "no budgets", "few sizes"],
)
def test_what_cannot_be_tested_says_why(points: Points, options: FitOptions, said: str) -> None:
    found = run_backtest(points, options)
    assert found.rows == ()
    assert said in found.note
    assert (found.status, found.missed) == ("ok", {})


def test_the_backtest_can_be_left_out_and_changes_no_other_number(fit: Fit) -> None:
    without = fit_points(seven(), replace(OPTIONS, backtest=False))
    assert without.backtest is None
    left, right = without.to_json(), fit.to_json()
    assert {k: v for k, v in left.items() if k != "backtest"} == {
        k: v for k, v in right.items() if k != "backtest"
    }


def test_it_is_written_and_read_again(fit: Fit, tmp_path: Path) -> None:
    written = write_fit(fit, tmp_path)
    assert len(json.loads(written.read_text(encoding="utf-8"))["backtest"]["rows"]) == 6
    assert load_fit(tmp_path).backtest == fit.backtest


def test_a_difference_is_uncertain_by_both_sides() -> None:
    one = Difference("loss", 0.05, (0.05 - math.hypot(0.03, 0.04), 0.2), 10.0)
    assert one.ratio == pytest.approx(1.0)
    assert one.chance(0.9) == pytest.approx(0.1)
    far = Difference("loss", -0.5, (-0.9, -0.4), 4.0)
    assert far.ratio == pytest.approx(5.0)
    # Student's t with four degrees of freedom: its 95% quantile is 2.132, and .00044 lies beyond five times that.
    assert far.chance(0.9) == pytest.approx(0.00044, rel=0.02)


def test_an_approach_without_a_miss_stays_as_it_is(fit: Fit) -> None:
    assert flagged(fit.approach_2, Backtest()) is fit.approach_2


def test_rows_name_quantities_that_they_have() -> None:
    assert set(BacktestRow.QUANTITIES) == set(BacktestRow.SYMBOLS)


@pytest.mark.slow
@pytest.mark.parametrize("law", [(1.69, 406.4, 410.7, 0.34, 0.28), ASYMMETRIC], ids=["paper", "asymmetric"])
def test_a_right_law_is_hardly_ever_flagged(law: tuple[float, ...]) -> None:
    alarms = [run_backtest(seven(law=law, noise=0.003, seed=seed)).missed for seed in range(15)]
    assert sum(map(len, alarms)) <= 1, "of 30 verdicts"
