"""Axes without a sure minimum, excesses of skewed losses, and points whose runs are better than their surface."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.plan.cell import Cell
from harness.plan.recipe_rules import MeasuredRange, Rule
from harness.runs.files import read_json
from harness.tune.config import TuneConfig
from harness.tune.sequential.best_tried import best_tried
from harness.tune.sequential.lowest_runs import lowest_runs
from harness.tune.sequential.next_runs import beyond
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.recipe import rule_text, tuned_recipe
from harness.tune.sequential.results import RULE_STATUSES, RoundsFit
from harness.tune.sequential.surfaces import fit_points
from harness.tune.stored import tuning_from_json
from tests.tune.sequential.known import noise, tuned
from tests.tune.test_design import RECIPE, RULES

ROOT = Path(__file__).resolve().parents[3]
STORED = Path(__file__).parent / "without_minimum.json"


def stored() -> tuple[RoundsFit, Observed]:
    """A tuning of the demo with query and key norms, as an earlier version wrote it, and its runs."""
    fit = read_json(STORED, "", tuning_from_json)
    assert isinstance(fit, RoundsFit)
    h = [
        [np.log(t.values[axis] / fit.points[t.point].values[axis].centre) for axis in fit.axes]
        for t in fit.trials
    ]
    return fit, Observed(
        fit.axes,
        np.array(h),
        np.array([np.nan if t.loss is None else t.loss for t in fit.trials]),
        np.array([t.point for t in fit.trials], dtype=np.intp),
        np.log([point.params for point in fit.points]),
        np.log([point.tokens for point in fit.points]),
    )


def test_runs_that_are_better_at_every_point_are_not_called_flat() -> None:
    """Real runs: three times the embedding's rate gains .011 to .063 nats at all six points."""
    fit, observed = stored()
    surfaces = fit_points(observed, fit.window, 0.95, fit.draws, np.random.default_rng(fit.seed))
    assert surfaces is not None
    assert surfaces.active.tolist() == [True, False]
    found = best_tried(observed, 1, fit.window, fit.level, surfaces.noise, surfaces.freedom)
    assert found is not None
    assert np.exp(found.h) == pytest.approx(3, rel=1e-3)
    gains = [
        observed.loss[here & (np.abs(observed.h[:, 1]) < 0.01)][0]
        - observed.loss[here & (np.abs(observed.h[:, 1] - np.log(3)) < 0.01)][0]
        for here in ((observed.point == p) & (np.abs(observed.h[:, 0]) < 0.01) for p in range(6))
    ]
    assert min(gains) > 0.01
    assert found.points == 6
    assert 0 < found.interval[0] < found.gain < found.interval[1]
    steps = np.log([2.0, 3.0])
    assert not beyond(observed, surfaces, steps).any(), (
        "losses fall at the centre, and rise again farther out"
    )
    # a slope, and the lowest run at that end
    up = replace(observed, loss=np.where(observed.h[:, 1] > 3, observed.loss - 0.2, observed.loss))
    assert beyond(up, surfaces, steps)[0, 1]


def test_the_gain_is_sure_as_often_as_the_level_says() -> None:
    """Where nothing depends on the axis a value is taken in at most the share of tunings that the level leaves."""
    rng, taken, count = np.random.default_rng(0), 0, 400
    h = np.array([[0.0, -1.0], [0.0, 0.0], [0.0, 1.0], [0.7, 0.0], [-0.7, 0.0]] * 4)
    point = np.repeat(np.arange(4), 5)
    for _ in range(count):
        loss = 2 + 0.01 * rng.standard_normal(len(h))
        observed = Observed(("rate", "embedding"), h, loss, point, np.zeros(4), np.zeros(4))
        taken += best_tried(observed, 1, 0.15, 0.9, 0.01, 20) is not None
    assert taken <= 0.05 * count, "of two values, each wrongly better by chance in 2.5%"


def test_pairs_differ_in_the_axis_alone_and_a_value_that_diverges_is_none() -> None:
    h = np.array([[0.0, 0.0], [0.0, 1.0], [0.7, 2.0], [0.7, 0.0], [-0.7, 3.0]])
    loss = np.array([2.0, 1.9, 1.8, 2.1, 1.0])
    rows = [np.concatenate([part] * 3) for part in (h, loss)]
    point = np.repeat(np.arange(3), 5)
    observed = Observed(("rate", "embedding"), rows[0], rows[1], point, np.zeros(3), np.zeros(3))
    found = best_tried(observed, 1, 10.0, 0.9, 0.01, 20)
    assert found is not None
    assert (found.h, found.gain) == pytest.approx((2.0, 0.3)), "the value 3 has no partner at its rate"
    near = best_tried(observed, 1, 0.85, 0.9, 0.01, 20)
    assert near is not None, "1.8 is within .85 of the lowest loss, 1.9 is not"
    assert near.h == pytest.approx(2.0)
    gone = replace(observed, loss=np.where((observed.h[:, 1] == 2) & (point == 2), np.nan, observed.loss))
    left = best_tried(gone, 1, 10.0, 0.9, 0.01, 20)
    assert left is not None
    assert left.h == pytest.approx(1.0)
    assert best_tried(replace(observed, loss=2 + 0 * observed.loss), 1, 10.0, 0.9, 0.01, 20) is None


EMBEDDING = TuneConfig(
    design="sequential",
    axes=["rate", "embedding"],
    params=[6e3, 2e4, 6e4],
    horizons=[0.4, 1.0],
    rounds=1,
    draws=200,
)


def stepped(cell: Cell) -> float:
    """The recipe's multiple of the embedding's rate is worse than both of those beside it: that has no minimum."""
    rate = np.log(cell.spec.optimizer.lr / (0.009 * (cell.params.total / 2.5e4) ** -0.6))
    embedding = cell.spec.groups.embedding.lr
    gain = 0.05 if embedding > 2 else 0.045 if embedding < 0.5 else 0.0
    return float(3 + 0.1 * rate**2 - gain + noise(cell, 0.004))


def test_the_rule_moves_to_the_best_value_that_was_tried_and_the_excess_counts_it() -> None:
    _, _, fit = tuned(EMBEDDING, RULES, stepped)
    embedding = fit.rules[1]
    assert embedding.status == "best_tried"
    assert embedding.status in RULE_STATUSES
    assert embedding.rule == Rule(3.0)
    assert embedding.gain == pytest.approx(0.05, abs=0.01)
    assert embedding.gain_interval is not None
    assert embedding.gain_interval[0] < 0.05 < embedding.gain_interval[1]
    assert "gains 0.05" in rule_text(embedding)
    for point in fit.points:
        assert point.values["embedding"].rule == pytest.approx(3)
        assert point.recipe_excess == pytest.approx(0.05, abs=0.015)
        assert point.rule_excess == pytest.approx(0, abs=0.01)
        assert point.loss_opt == pytest.approx(2.95, abs=0.01)
    assert tuned_recipe("x", fit, RECIPE, {}).embedding.lr == Rule(3.0)
    assert RoundsFit.from_json(json.loads(json.dumps(fit.to_json()))) == fit
    # alone it is no surface, and a recipe all the same
    alone = replace(EMBEDDING, axes=["embedding"])
    _, _, fit = tuned(alone, RULES, stepped)
    assert fit.rules[0].status == "best_tried"
    before = replace(RECIPE, measured=MeasuredRange([1e3, 2e3], [1e5, 2e5]))
    assert tuned_recipe("x", fit, before, {}).measured == before.measured


def test_runs_far_below_their_surface_raise_the_excess() -> None:
    fit, observed = stored()
    surfaces = fit_points(observed, fit.window, 0.95, 200, np.random.default_rng(0))
    assert surfaces is not None
    p = 0
    minimum = float(surfaces.level[p])
    at_first = observed.loss[(observed.point == p) & np.isfinite(observed.loss)].min()
    plain = lowest_runs(observed, surfaces, p, float(at_first + surfaces.noise), 0.03, fit.level)
    assert plain.below == 0
    far = lowest_runs(observed, surfaces, p, minimum + 0.05, 0.0, fit.level)
    assert 0.05 < far.below < minimum + 0.05 - at_first, "less what the lowest of nine is below by chance"
    assert far.centre is not None
    worse = replace(
        observed, loss=np.where((observed.h == 0).all(axis=1), observed.loss + 0.1, observed.loss)
    )
    own = lowest_runs(worse, surfaces, p, minimum, 0.0, fit.level)
    assert own.recipe is not None
    assert own.recipe > 0.1, "its own runs show it"


def skewed(u: float) -> float:
    """Steep above the best rate, flat below; nats."""
    return 0.08 * u**2 + 0.04 * u**3 if u > 0 else 0.08 * u**2 / (1 - 0.25 * u)


@pytest.mark.parametrize("off", [0.5, 2.0, 3.0])
def test_the_excess_is_that_of_the_skewed_surface_that_was_fitted(off: float) -> None:
    tune = TuneConfig(
        design="sequential", axes=["rate"], params=[8e3, 4e4], horizons=[0.25, 1.0], rounds=3, tolerance=0.0
    )
    rules = replace(RULES, recipe=replace(RECIPE, lr=Rule(0.01 * off), min_steps=1))
    truth, reported, held = skewed(np.log(off)), [], []

    for seed in (0, 1):

        def loss(cell: Cell, seed: int = seed) -> float | None:
            rise = skewed(np.log(cell.spec.optimizer.lr / 0.01))
            return None if rise > 0.9 else 3 + rise + noise(cell, seed=seed)

        _, _, fit = tuned(replace(tune, draws=200), rules, loss)
        for point in fit.points:
            assert point.recipe_excess is not None
            assert point.recipe_excess_interval is not None
            reported.append(point.recipe_excess)
            held.append(truth <= point.recipe_excess_interval[1])
        rate = fit.rules[0]
        assert rate.cost_of_two == pytest.approx(skewed(np.log(2)) / 2 + skewed(-np.log(2)) / 2, rel=0.1)
        if rate.cost_of_double is not None and rate.cost_of_half is not None:
            assert rate.cost_of_double > 1.2 * rate.cost_of_half
            assert rate.cost_of_double == pytest.approx(skewed(np.log(2)), rel=0.15)
            assert rate.cost_of_half == pytest.approx(skewed(-np.log(2)), rel=0.15)
    assert np.mean(reported) == pytest.approx(truth, rel=0.06, abs=0.002)
    assert np.mean(held) >= 0.75, "upper bounds at 90%"


def test_tunings_of_earlier_versions_are_read() -> None:
    paths = sorted((ROOT / "results").rglob("tune.json"))
    assert len(paths) >= 6
    designs = {type(read_json(path, "", tuning_from_json)).__name__ for path in paths}
    assert designs == {"RoundsFit", "TuneFit"}
