"""How far beyond its runs a fit answers: in C it is marked, in N, D and D/N it is marked and has no interval."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.fit import Fit, FitOptions, Points, fit_points, load_fit, write_fit
from harness.fit.estimate import FrontierSource
from harness.fit.run_range import RunRange, run_range
from harness.plan.duration import Timing
from harness.predict.assess import GivenModel, assess, overtrain
from harness.predict.clock import Clock
from harness.predict.data_constrained import answer_data_constrained
from harness.predict.fixed_time import answer_time
from harness.predict.question import Question, ask
from harness.predict.serving import answer_serving
from harness.predict.source import from_fit
from tests.fit.synthetic import ASYMMETRIC, CHINCHILLA, sweep
from tests.predict.test_fixed_time import LAW, RATE, RULES

BUDGETS = tuple(np.geomspace(1e18, 1e20, 5))


def grid(law: tuple[float, ...] = CHINCHILLA, drift: float = 1.0) -> Points:
    return sweep(law, budgets=BUDGETS, sizes=7, width=12**0.5, noise=0.002, drift=drift)


@pytest.fixture(scope="module")
def points() -> Points:
    return grid()


@pytest.fixture(scope="module")
def fit(points: Points) -> Fit:
    return fit_points(points, FitOptions(draws=100))


@pytest.fixture(scope="module")
def source(fit: Fit) -> FrontierSource:
    return from_fit(fit)[2]


def test_the_range_of_the_runs_goes_with_the_fit(points: Points, fit: Fit, tmp_path: Path) -> None:
    ratio = points.tokens / points.params
    found = run_range(points)
    assert (found.smallest_params, found.largest_params) == (points.params.min(), points.params.max())
    assert (found.smallest_tokens, found.largest_tokens) == (points.tokens.min(), points.tokens.max())
    assert (found.smallest_tokens_per_param, found.largest_tokens_per_param) == (ratio.min(), ratio.max())
    assert [approach.runs for approach in fit.approaches] == [found] * 3
    path = write_fit(fit, tmp_path)
    assert load_fit(path).approach_3.runs == found
    old = json.loads(path.read_text())
    del old["sha256"]
    for name in ("approach_1", "approach_2", "approach_3"):
        del old[name]["runs"]
    path.write_text(json.dumps(old))
    assert load_fit(path).approach_3.runs is None
    far = load_fit(path).predict(1e26)["approach_3"]
    assert far.status == "extrapolation"
    assert far.params_interval is not None, "of an earlier fit only the range of C is known"


def test_what_lies_beyond_is_named_with_its_distance() -> None:
    runs = RunRange(1e6, 1e8, 1e7, 1e9, 5.0, 100.0)
    assert not list(runs.beyond(1e8, 1e9, 1.0)), "the edge itself is within"
    assert not list(runs.beyond(9e8, 9e9, 10.0))
    assert list(runs.beyond(2e6, 2e10, 10.0)) == [
        "D = 2e+10 is 20 x the largest that was run",
        "D/N = 1e+04 is 100 x the largest that was run",
    ]
    assert list(runs.beyond(2e4, 1e7, 10.0)) == ["N = 2e+04 is 50 x below the smallest that was run"]
    assert next(runs.beyond(np.inf, 1e8, 10.0)).startswith("N = inf")
    assert not list(runs.beyond(np.nan, 1e8, 10.0)), "what is not a number is not judged"


@pytest.mark.parametrize("law", [CHINCHILLA, ASYMMETRIC])
@pytest.mark.parametrize("drift", [1.0, 3.0])
def test_the_frontier_within_the_runs_and_at_the_default_target_is_no_extrapolation(
    law: tuple[float, ...], drift: float
) -> None:
    fit = fit_points(grid(law, drift), FitOptions(draws=40))
    for flops in np.geomspace(BUDGETS[0], 10 * BUDGETS[-1], 30):
        for found in fit.predict(float(flops)).values():
            assert "extrapolation" not in found.flags


def test_beyond_the_limit_in_compute_an_estimate_is_marked_and_far_beyond_it_has_no_interval(
    fit: Fit,
) -> None:
    near, marked, far = (fit.predict(factor * BUDGETS[-1])["approach_3"] for factor in (29.0, 31.0, 1e4))
    assert "extrapolation" not in near.flags
    assert (marked.status, marked.params_interval is None) == ("extrapolation", False)
    assert "31 x the largest budget" in marked.notes[0]
    assert far.status == "extrapolation"
    for name in ("params", "tokens", "loss", "tokens_per_param"):
        assert getattr(far, name) is not None
        assert getattr(far, f"{name}_interval") is None
    assert any("no interval, since nothing that was run" in note for note in far.notes)
    assert not any("no bootstrap draws" in note for note in far.notes)


def test_a_model_with_far_more_tokens_per_parameter_than_any_run_has_no_interval(
    points: Points, source: FrontierSource
) -> None:
    """A law fitted to D/N of at most some hundreds says nothing of a model at a hundred times that."""
    largest = float((points.tokens / points.params).max())

    def at(ratio: float, which: FrontierSource = source) -> tuple[str, bool, bool]:
        params = np.sqrt(BUDGETS[2] / 6 / ratio)
        found = assess(which, GivenModel(float(params), float(params * ratio)))
        assert found.loss is not None
        return found.status, found.loss_interval is None, found.compute_overhead_interval is None

    assert at(0.5 * largest) == ("ok", False, False)
    assert at(9 * largest) == ("ok", False, False)
    assert at(100 * largest) == ("extrapolation", True, True)
    smallest = float((points.tokens / points.params).min())
    assert at(smallest / 100) == ("extrapolation", True, True)
    # Of published constants the runs are not known.
    assert at(100 * largest, replace(source, runs=None))[1:] == (False, False)


def test_profiles_say_how_far_such_a_model_is_from_the_optimum_that_they_know(
    points: Points, fit: Fit
) -> None:
    ratio = 100 * float((points.tokens / points.params).max())
    params = float(np.sqrt(BUDGETS[2] / 6 / ratio))
    found = assess(from_fit(fit)[1], GivenModel(params, params * ratio))
    assert found.status == "extrapolation"
    assert found.loss is None
    assert found.params_ratio_interval is not None, "the best model of its compute is within the runs"


def test_serving_and_overtraining_are_judged_by_their_own_models(source: FrontierSource) -> None:
    law = source.law
    assert law is not None
    loss = float(law.at_flops(BUDGETS[-1]).loss)
    few, many = (answer_serving(source, loss, served) for served in (1e8, 1e15))
    assert (few.status, few.params_interval is None) == ("ok", False)
    assert many.tokens_per_param > 1000
    assert many.status == "extrapolation"
    assert (many.params_interval, many.tokens_interval, many.saving_interval) == (None, None, None)
    rows = overtrain(law, loss, (1.0, 2.0, 8.0), source=source)
    assert [row.status for row in rows] == ["ok", "ok", "extrapolation"]
    assert "D/N" in rows[-1].notes[-1]
    assert [row.status for row in overtrain(law, loss, (1.0, 8.0))] == ["ok", "ok"], "no runs to judge by"


def test_limited_data_are_judged_by_their_own_model(source: FrontierSource) -> None:
    near, far = (
        answer_data_constrained(source, Question("flops", BUDGETS[-1]), unique) for unique in (1e12, 1e6)
    )
    assert (near.status, near.params_interval is None) == ("ok", False)
    assert "extrapolation" in far.flags
    assert (far.params_interval, far.epochs_interval, far.loss_interval) == (None, None, None)


def test_the_best_of_a_time_is_judged_by_its_own_model() -> None:
    theta = np.tile(LAW.theta, (100, 1))
    theta[:, 3:] += 0.01 * np.random.default_rng(0).standard_normal((100, 2))
    runs = RunRange(1e6, 1e8, 1e8, 1e10, 1.0, 300.0)
    base = FrontierSource(
        name="approach_3", frontier=LAW, draws=type(LAW).from_theta(theta, LAW.cost), runs=runs
    )
    clock = Clock(RULES, Timing(RATE))
    near = answer_time(base, clock, 60.0)
    assert (near.status, near.loss_interval is None) == ("ok", False)
    far = answer_time(replace(base, runs=replace(runs, largest_tokens_per_param=1.0)), clock, 60.0)
    assert far.params == near.params
    assert far.status == "extrapolation"
    assert (far.params_interval, far.tokens_interval, far.loss_interval) == (None, None, None)


def test_the_limit_is_the_users(points: Points) -> None:
    fit = fit_points(points, FitOptions(draws=40, extrapolation_limit=1e6))
    assert fit.predict(1e4 * BUDGETS[-1])["approach_3"].status == "ok"
    strict = fit_points(points, FitOptions(draws=40, extrapolation_limit=1))
    assert strict.predict(BUDGETS[-1])["approach_3"].status == "ok"
    assert strict.predict(1.01 * BUDGETS[-1])["approach_3"].status == "extrapolation"


def test_a_share_is_never_rounded_to_none_or_to_all(source: FrontierSource) -> None:
    law = source.law
    assert law is not None
    loss = float(law.E) * 1.01
    for lost, said in (
        (1, "0.1% of the draws"),
        (230, "23% of the draws"),
        (999, "more than 99% of the draws"),
    ):
        theta = np.tile(law.theta, (1000, 1))
        theta[:lost, 0] = 2 * loss
        drawn = replace(source, runs=None, draws=type(law).from_theta(theta, law.cost))
        found = ask(drawn, Question("loss", loss))
        assert found.unreachable == lost / 1000
        assert any(note.startswith(said) for note in found.notes)
