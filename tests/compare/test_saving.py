"""Effective compute by its properties: of a law against itself, against itself with compute scaled, and of floors."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from harness.compare.arm import Arm
from harness.compare.compare import compare_arms
from harness.compare.difference import DIFFER, UNKNOWN, Difference
from harness.compare.joint import joint_laws
from harness.compare.looks import corrected, holm
from harness.compare.paired import PairNoise, at_minima, pair, runs_of
from harness.compare.results import FrontierComparison
from harness.compare.saving import SlopeCurve, by_frontiers, log_ratio, more_seeds, pooled_slope
from harness.compare.saving_figure import draw
from harness.compare.tables import build
from harness.errors import UserError
from harness.fit import Fit, FitOptions, Points, fit_points
from harness.fit.bootstrap import percentile_interval
from harness.library.sweep import load_sweep
from harness.report.data import MissingError
from harness.report.style import figure_style
from tests.fit.synthetic import CHINCHILLA, sweep

BUDGETS = (1e18, 1e19, 1e20)
Law = tuple[float, float, float, float, float]


def scaled(law: Law, ratio: float) -> Law:
    """The law that reaches with C what ``law`` reaches with ``ratio`` times as much."""
    floor, size, data, alpha, beta = law
    return floor, size * ratio ** (-alpha / 2), data * ratio ** (-beta / 2), alpha, beta


@cache
def table(
    ratio: float = 1.0, noise: float = 0.0, seed: int = 0, floor: float = 0.0, budgets: int = 3
) -> Points:
    """Runs of the scaled law in the cells of the law itself."""
    cells = sweep(CHINCHILLA, BUDGETS[:budgets], sizes=7)
    law = scaled(CHINCHILLA, ratio)
    loss = law[0] + floor + law[1] * cells.params ** -law[3] + law[2] * cells.tokens ** -law[4]
    off = noise * np.random.default_rng(seed).standard_normal(len(cells))
    return replace(cells, loss=loss * np.exp(off), seed=np.zeros(len(cells)))


@cache
def fit(ratio: float = 1.0, noise: float = 0.0, seed: int = 0, floor: float = 0.0, budgets: int = 3) -> Fit:
    return fit_points(table(ratio, noise, seed, floor, budgets), FitOptions(draws=60, backtest=False))


def arm(name: str, *of: float, runs: bool = True) -> Arm:
    made = Arm(name, fit(*of), "one", "one", None, "one")  # type: ignore[arg-type]
    return replace(made, runs=runs_of(table(*of))) if runs else made  # type: ignore[arg-type]


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.4, 3.0])
def test_a_law_with_scaled_compute_has_that_ratio_everywhere(ratio: float) -> None:
    one, two = fit().approach_3, fit(ratio).approach_3
    found = by_frontiers(one, two, (*BUDGETS, 1e24))
    assert found is not None
    assert np.exp(found.values) == pytest.approx(ratio, rel=1e-3)
    trend = found.trend()
    assert trend is not None
    assert trend[0] == pytest.approx(0, abs=1e-4)
    on_line = found.at(1e30)
    assert on_line is not None
    assert math.exp(on_line[0]) == pytest.approx(ratio, rel=5e-3)


def test_the_order_of_arms_inverts_the_ratio() -> None:
    one, two = fit().approach_3, fit(1.7).approach_3
    there, back = by_frontiers(one, two, BUDGETS), by_frontiers(two, one, BUDGETS)
    assert there is not None
    assert back is not None
    assert there.values == pytest.approx(-back.values, abs=1e-3)


@pytest.mark.parametrize("approach", ["approach_2", "approach_3"])
def test_a_loss_below_the_floor_is_never_reached(approach: str) -> None:
    high, low = (
        next(a for a in one.approaches if a.name == approach) for one in (fit(1.0, 0.0, 0, 0.8), fit())
    )
    theta, other = high.theta(), low.theta()
    assert theta is not None
    assert other is not None
    assert log_ratio(high, theta, low, other, 1e24) == math.inf
    assert math.isfinite(log_ratio(low, other, high, theta, 1e24))


def test_pairs_find_the_ratio_and_no_trend() -> None:
    (saving,) = compare_arms("x", [arm("a"), arm("b", 1.4)]).savings
    assert [row.how for row in saving.rows] == ["pairs"] * 3
    for row in saving.rows:
        assert row.log_ratio.value == pytest.approx(math.log(1.4), abs=0.001)
    assert saving.trend is not None
    assert saving.trend.value == pytest.approx(0, abs=0.0005)


def test_a_real_saving_is_told_and_the_same_arm_twice_has_none() -> None:
    found = compare_arms("x", [arm("a", 1.0, 0.004, 1), arm("b", 2.0, 0.004, 2)])
    assert found.verdict[-1].startswith("b saves compute: for its loss at C = 10²⁰ FLOPs a needs ")
    back = compare_arms("x", [arm("b", 2.0, 0.004, 2), arm("a", 1.0, 0.004, 1)])
    assert back.verdict[-1].startswith("a costs compute: for its loss at C = 10²⁰ FLOPs b needs 0.")
    same = compare_arms("x", [arm("a", 1.0, 0.004, 1), arm("b", 1.0, 0.004, 1)])
    assert same.verdict[-1].startswith("b has no saving or cost beyond a factor of 1.")


def test_a_saving_that_cannot_be_told_says_how_many_seeds_would() -> None:
    found = compare_arms("x", [arm("a", 1.0, 0.02, 1), arm("b", 1.15, 0.02, 2)])
    (saving,) = found.savings
    assert saving.judged is not None
    assert saving.judged.log_ratio.verdict == UNKNOWN
    assert saving.more_seeds is not None
    assert f"{saving.more_seeds} more seed" in found.verdict[-1]


def test_seeds_asked_for_give_the_power_promised() -> None:
    """Simulated at 30 or so seeds: the share of experiments that then find the difference is 80%, give or take 7."""
    noise, gap, sizes = 0.05, 0.02, np.linspace(-1, 1, 6)
    rng = np.random.default_rng(0)

    def experiment(seeds: int) -> tuple[float, float]:
        spread = noise / math.sqrt(seeds)
        first, second = (
            Points(
                np.exp(sizes + 15), np.exp(20 - sizes), np.full(6, 6 * math.exp(35)),
                3 + shift + spread * rng.standard_normal(6) / math.sqrt(2),
                budget=np.full(6, 1e16), seed=np.zeros(6),
            )
            for shift in (0.0, gap)
        )  # fmt: skip
        made = at_minima(pair(runs_of(first), runs_of(second), lambda run: run.loss), {})
        assert made is not None
        exact = replace(made, values=np.array([gap]), variance=noise**2 / seeds)
        p = made.at(0).judged(0.9, 1.0).p
        assert p is not None
        return float(more_seeds(exact, 0, PairNoise(variance=noise**2, degrees=99), 0.9) or 0), p

    more = int(experiment(1)[0])
    assert 3 < more < 100
    powers = [experiment(1 + more)[1] <= 0.1 for _ in range(600)]
    assert 0.6 < np.mean(powers) < 0.87, "Student's t of few degrees takes a little of the normal's 80%"


def test_scatter_between_shapes_is_not_mended_by_seeds() -> None:
    cells = pair(runs_of(table(1.0, 0.02, 1)), runs_of(table(1.02, 0.02, 2)), lambda run: run.loss)
    minima = at_minima(cells, {})
    assert minima is not None
    assert more_seeds(minima, 0, PairNoise(variance=1e-12, degrees=9), 0.9) is None


def test_without_frontiers_the_slope_of_the_best_losses_is_taken() -> None:
    best = [[(c, 3.0 - 0.1 * math.log(c)) for c in BUDGETS], [(c, 2.9 - 0.1 * math.log(c)) for c in BUDGETS]]
    curve = pooled_slope(best)
    assert curve is not None
    assert curve.slope == pytest.approx(0.1)
    assert curve.log_ratio(np.array([1e18]), np.array([-0.1])) == pytest.approx([1.0])
    assert pooled_slope([[(1e18, 3.0)], [(1e18, 2.9)]]) is None


def test_a_slope_that_may_be_nothing_leaves_the_end_open() -> None:
    curve = SlopeCurve(0.1, 0.1, 3)
    drawn = curve.drawn(np.random.default_rng(0), np.array([1e18]), np.full((4000, 1), -0.1))
    bounds = percentile_interval(drawn[:, 0], 0.9, keep_infinite=True)
    assert bounds is not None
    assert bounds[0] > 0
    assert bounds[1] == math.inf


def test_one_budget_has_differences_and_no_saving() -> None:
    found = compare_arms("x", [arm("a", 1.0, 0.004, 1, 0.0, 1), arm("b", 2.0, 0.004, 2, 0.0, 1)])
    assert found.paired[0].overall is not None
    assert found.paired[0].overall.verdict == DIFFER
    assert not found.savings[0].rows
    assert "how the loss falls with compute is not known" in found.verdict[-1]


def test_arms_without_common_cells_say_why_and_are_compared_by_frontiers() -> None:
    found = compare_arms("x", [arm("a", runs=False), arm("b", 1.4, runs=False)], target=1e22)
    assert "a and b: a fit alone" in found.paired[0].reason
    rows = found.savings[0].rows
    assert [row.how for row in rows] == ["frontiers"] * 4
    assert [row.within for row in rows] == [True] * 3 + [False]
    assert "(an extrapolation)" in found.verdict[-1]


def test_the_target_lies_on_the_line_of_the_pairs() -> None:
    found = compare_arms("x", [arm("a", 1.0, 0.004, 1), arm("b", 1.4, 0.004, 2)], target=1e22)
    *budgets, last = found.savings[0].rows
    assert (last.flops, last.how, last.within) == (1e22, "trend", False)
    wide = [row.log_ratio.interval for row in (budgets[1], last)]
    assert wide[0] is not None
    assert wide[1] is not None
    assert wide[1][1] - wide[1][0] > 2 * (wide[0][1] - wide[0][0])


def test_different_texts_have_no_saving() -> None:
    other = replace(arm("b", 1.4), scored_on="two")
    found = compare_arms("x", [arm("a"), other])
    assert found.savings[0].rows == ()
    assert "different texts" in found.savings[0].reason
    assert "no bits per byte" in found.paired[0].reason


def test_laws_share_exponents_only_where_the_test_allows() -> None:
    tables = {"a": table(1.0, 0.004, 1), "b": table(1.4, 0.004, 2)}
    joint = joint_laws(tables, FitOptions(draws=60), 0.9)
    assert set(joint.laws) == {"a", "b"}
    assert joint.laws["a"].alpha == joint.laws["b"].alpha
    assert "(p = " in joint.said
    shared, own = (
        compare_arms(
            "x", [arm("a", 1.0, 0.004, 1, runs=False), arm("b", 1.4, 0.004, 2, runs=False)], 1e22, laws
        )
        for laws in (joint, None)
    )
    assert width(shared, -1) < width(own, -1)
    other = (1.69, 406.4, 2000.0, 0.28, 0.36)
    refused = joint_laws(
        {"a": table(1.0, 0.004, 1), "b": sweep(other, BUDGETS, sizes=7, noise=0.004, seed=3)},
        FitOptions(draws=60),
        0.9,
    )
    assert not refused.laws
    assert "refused" in refused.said
    with pytest.raises(UserError, match="two groups"):
        joint_laws({"a": table()}, FitOptions(draws=60), 0.9)


def test_a_shared_law_that_misfits_tells_no_saving() -> None:
    """On these runs the exponents may be common (p = .2), and the saving at ten times C was half as large again."""
    results = Path(__file__).parents[2] / "results"
    tables = {name: load_sweep(results / f"ablations-{name}").points for name in ("adamw", "muon")}
    joint = joint_laws(tables, FitOptions(draws=20), 0.9)
    assert not joint.laws
    assert joint.said == (
        "joint=exponents: refused, the law with common exponents is misfit in muon; savings are by laws of their own."
    )


def width(found: FrontierComparison, row: int) -> float:
    bounds = found.savings[0].rows[row].log_ratio.interval
    assert bounds is not None
    return bounds[1] - bounds[0]


def test_holm_is_bonferroni_for_the_smallest_and_never_reorders() -> None:
    p = (0.02, 0.001, 0.04, 0.5)
    adjusted = holm(p)
    assert adjusted == pytest.approx((0.06, 0.004, 0.08, 0.5))
    assert holm((0.9, 0.8)) == (1.0, 1.0)
    assert holm(()) == ()


def test_what_differs_in_one_of_many_looks_is_not_told() -> None:
    one = Difference(0.1, (0.01, 0.19), DIFFER, p=0.06)
    none = Difference(0.0, (-0.1, 0.1), UNKNOWN, p=0.9)
    (alone,) = corrected([one], 0.9)
    assert alone.verdict == DIFFER
    among = corrected([none, one, none, Difference(None, None, UNKNOWN)], 0.9)
    assert among[1].verdict == UNKNOWN
    assert among[1].p == pytest.approx(0.18)
    assert "Holm's correction for 3 comparisons" in among[1].reason
    assert among[3].p is None


def test_tables_and_figure_show_every_arm() -> None:
    arms = [arm("a", 1.0, 0.004, 1), arm("b", 1.4, 0.004, 2), arm("c", 1.0, 0.004, 3)]
    found = compare_arms("x", arms, target=1e22)
    shown = {one.name: one for one in build(found)}
    assert [row[:2] for row in shown["paired"].rows] == [
        (name, at) for name in "bc" for at in ("10¹⁸", "10¹⁹", "10²⁰", "all")
    ]
    assert [row[1] for row in shown["saving"].rows] == ["10¹⁸", "10¹⁹", "10²⁰", "10²²*"] * 2
    assert all(len(row) == len(one.headings) for one in shown.values() for row in one.rows)
    assert "corrected for the number of savings (Holm)" in shown["saving"].note
    with figure_style():
        (axes,) = draw(found).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["b", "c", "extrapolated"]
    with figure_style(), pytest.raises(MissingError):
        draw(replace(found, savings=()))
