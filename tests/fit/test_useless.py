"""Answers that decide nothing: wide exponents, a floor that may be none, and approaches without any answer."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from harness.fit import (
    Approach1,
    Approach2,
    Approach3,
    FitOptions,
    Points,
    PowerLaw,
    fit_points,
    load_fit,
    write_fit,
)
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.powerlaw import fit_frontier, frontier_fields, frontier_flags
from harness.fit.status import judge
from harness.fit.useless import useless_intervals
from tests.fit.synthetic import sweep


@pytest.mark.parametrize(
    ("interval", "codes"),
    [
        ((0.40, 0.60), []),
        ((0.35, 0.64), []),
        ((-0.03, 0.50), ["wide_interval"]),
        ((0.0, 0.5), ["wide_interval"]),
        ((0.42, 1.0), ["wide_interval"]),
        ((0.35, 0.66), ["wide_interval"]),
        ((0.1, np.inf), ["wide_interval"]),
        (None, []),
    ],
)
def test_an_exponent_that_may_be_anything_is_wide(
    interval: tuple[float, float] | None, codes: list[str]
) -> None:
    flags = useless_intervals({"a": 0.45, "a_interval": interval, "b": 0.55, "b_interval": (0.5, 0.6)})
    assert [flag.code for flag in flags] == codes
    if codes:
        assert flags[0].note.startswith("a = 0.450 (")
    other = useless_intervals({"b": 0.45, "b_interval": interval})
    assert [flag.code for flag in other] == codes


def test_a_floor_that_may_be_none_is_named() -> None:
    (flag,) = useless_intervals({"E": 0.9, "E_interval": (0.007, 1.85)})
    assert flag.code == "unidentified"
    assert flag.note.startswith("E = 0.900 (0.007, 1.850)")
    assert not useless_intervals({"E": 0.9, "E_interval": (0.2, 1.85)})


@pytest.mark.parametrize("noise", [0.002, 0.004])
def test_good_sweeps_are_not_called_useless(noise: float) -> None:
    """Of 300 such sweeps it fired in none (noise .002) and in two (.004), whose draws of a by approach 2 ran away."""
    for seed in range(4):
        points = sweep(
            budgets=tuple(np.geomspace(1e18, 1e20, 5)), sizes=7, width=12**0.5, noise=noise, seed=seed
        )
        for fit in (fit_approach_2, fit_approach_3):
            flags = fit(points, FitOptions(draws=100, seed=seed)).flags
            assert "wide_interval" not in flags
            assert "unidentified" not in flags


def test_a_sweep_that_shows_no_exponent_says_so() -> None:
    """Three budgets within a factor of four, and much noise."""
    points = sweep(budgets=(1e18, 2e18, 4e18), sizes=7, width=12**0.5, noise=0.02, seed=3)
    two = fit_approach_2(points, FitOptions(draws=100))
    assert two.a_interval is not None
    assert two.a_interval[1] - two.a_interval[0] > 0.3
    assert "wide_interval" in two.flags
    three = fit_approach_3(points, FitOptions(draws=100))
    assert {"wide_interval", "unidentified", "at_bound"} & set(three.flags)


def upside_down() -> Points:
    """Losses that rise with the size of the model."""
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=8, noise=0.002)
    loss = 2 + 0.05 * np.log(points.params / points.params.min()) + 1 / np.log(points.tokens)
    return Points(points.params, points.tokens, points.flops, loss, points.run_id, budget=points.budget)


def test_an_approach_without_an_answer_has_nothing_of_one(tmp_path: Path) -> None:
    fit = fit_points(upside_down(), FitOptions(draws=40))
    assert {"no_optimum", "too_few_budgets"} == {fit.approach_3.status, fit.approach_2.status}
    path = write_fit(fit, tmp_path)
    saved = json.loads(path.read_text())
    for name in ("approach_1", "approach_2", "approach_3"):
        shown = saved[name]
        assert shown["a"] is None
        held = {key for key, value in shown.items() if key.endswith(("_interval", "_se", "_law")) and value}
        assert not held
    assert all(saved["approach_3"][name] is None for name in ("E", "A", "B", "alpha", "beta", "a_6nd"))
    assert load_fit(path).approach_3.draws is None
    assert "approach_3_draws" not in np.load(tmp_path / "draws.npz").files


def test_an_earlier_fit_is_read_without_what_it_should_not_have_held() -> None:
    results = Path(__file__).parents[2] / "results" / "one_gpu"
    saved = json.loads((results / "fit.json").read_text())["approach_3"]
    three = load_fit(results).approach_3
    assert saved["a"] is None
    assert three.a is None
    for field in fields(Approach3):
        if field.name.endswith(("_interval", "_se")) or field.name in ("draws", "E", "alpha"):
            assert getattr(three, field.name) in (None, {})
    assert three.objective == saved["objective"]


def test_exponents_that_are_no_numbers_are_no_answer() -> None:
    found = Approach2(a=float("nan"), b=0.5, b_interval=(0.4, 0.6), params_law=PowerLaw(1.0, float("nan")))
    assert found.status == "failed"
    assert (found.a, found.b, found.b_interval, found.params_law) == (None,) * 4
    fine = Approach2(a=0.5, b=0.5, a_interval=(0.4, 0.6))
    assert (fine.status, fine.a_interval) == ("ok", (0.4, 0.6))


@pytest.mark.parametrize("a", [-42.5, 42.5])
def test_a_coefficient_that_no_float_holds_is_no_answer(a: float) -> None:
    """Sizes that are the best at nearly one compute: a steep line, whose value at C = 1 is exp(-+800)."""
    log_c = np.log([1.9e8, 1.95e8, 2e8])
    row = fit_frontier(log_c, 9.0 + a * (log_c - 19), 8.0 + 0.5 * (log_c - 19), np.array([[3.3, 3.2, 3.1]]))[
        0
    ]
    found = Approach1(**frontier_fields(row, None, 0.9), **judge(frontier_flags(row, None)))
    assert found.status == "failed"
    assert (found.theta(), found.a, found.predict(2e8).params) == (None, None, None)


def test_a_coefficient_that_a_file_could_not_hold_is_read_as_no_answer() -> None:
    """Fits written before: inf went into the file as null."""
    stored = PowerLaw(None, -42.5)  # type: ignore[arg-type]
    found = Approach1(a=-42.5, b=41.5, params_law=stored, tokens_law=PowerLaw(1.0, 41.5))
    assert (found.status, found.theta(), found.predict(2e8).params) == ("failed", None, None)
