"""Rules with limits, batches shrunk by the least number of steps, and rules under a parametrization."""

from dataclasses import replace

import numpy as np
import pytest

from harness.model.parametrization import Parametrization
from harness.plan.base import Base
from harness.plan.cell import Cell
from harness.plan.recipe_rules import Rule
from harness.tune.config import TuneConfig
from harness.tune.sequential.recipe import rule_text
from harness.tune.sequential.terms import Held
from tests.tune.sequential.known import noise, trainer_of, tuned
from tests.tune.test_design import RECIPE, RULES

TAU = 0.15
DECAY = TuneConfig(
    design="sequential",
    axes=["weight_decay"],
    params=[8e3, 4e4],
    horizons=[0.25, 1.0],
    rounds=3,
    tolerance=0.0,
    draws=200,
)
CAPPED = Rule(0.0047, -0.3333, 1.08e8, maximum=0.03)


def by_timescale(cell: Cell) -> float:
    best = cell.spec.batch_tokens / (cell.spec.optimizer.lr * TAU * cell.tokens)
    return float(3 + 0.025 * np.log(cell.spec.optimizer.weight_decay / best) ** 2 + noise(cell))


def test_a_rule_is_what_it_says_at_the_points_its_limits_included() -> None:
    x, d = np.log([0.5, 0.5, 2.0, 2.0]), np.log([0.3, 1.0, 1.0, 4.0])
    rule = Rule(1.0, -0.5, 1e4, 0.2, 1e6)
    free = Held.of(rule, 1e4, 1e6)
    said = -0.5 * x + 0.2 * d
    assert Held.through(rule, 1e4, 1e6, x, d, said) == free
    level = np.full(4, np.log(0.3))
    assert Held.through(rule, 1e4, 1e6, x, d, level).array == pytest.approx([np.log(0.3), 0, 0])
    assert Held.through(rule, 1e4, 1e6, x, d, d - 5).array == pytest.approx([-5, 0, 1])
    assert Held.through(rule, 1e4, 1e6, x, d, 2 * x - 5).array == pytest.approx([-5, 2, 0])
    some = np.minimum(said, 0.1)
    both = Held.through(rule, 1e4, 1e6, x, d, some)
    assert np.abs(both.array @ np.stack((np.ones(4), x, d)) - some).max() < 0.2


def test_weight_decay_is_built_on_the_rate_that_runs_had() -> None:
    recipe = replace(RECIPE, lr=CAPPED, min_steps=1)
    made, _, fit = tuned(DECAY, replace(RULES, recipe=recipe), by_timescale)
    assert {point.centre["rate"] for point in made.points} == {0.03}
    for point in fit.points:
        value = point.values["weight_decay"]
        assert value.best is not None
        assert value.rule == pytest.approx(value.best, rel=0.1)
        assert point.rule_excess == pytest.approx(0, abs=1e-3)
    assert not any("limits" in note for note in fit.notes), "all points are kept within them"


def test_a_limit_at_some_points_only_is_said() -> None:
    recipe = replace(RECIPE, lr=CAPPED, min_steps=300)
    _, _, fit = tuned(DECAY, replace(RULES, recipe=recipe), by_timescale)
    notes = [note for note in fit.notes if "recipe.batch_tokens is kept within its limits" in note]
    assert len(notes) == 1
    assert "N=5.80k D=131k, and not at the other points" in notes[0]
    assert "weight decay's rule" in notes[0]
    assert max(point.rule_excess or 0 for point in fit.points) < 0.005, "the power law that follows it best"


@pytest.mark.parametrize(("axes", "status"), [(["rate"], "best_tried"), (["rate", "embedding"], "at_edge")])
def test_a_rule_that_is_moved_passes_its_limit(axes: list[str], status: str) -> None:
    """Losses fall with the rate at all points, and the recipe's limit is what holds it down."""

    def falling(cell: Cell) -> float:
        embedding = 0.05 * np.log(cell.spec.groups.embedding.lr) ** 2
        return float(3 - 0.05 * np.log(cell.spec.optimizer.lr) + embedding + noise(cell, 1e-3))

    recipe = replace(RECIPE, lr=CAPPED, min_steps=1)
    made, _, fit = tuned(replace(DECAY, axes=axes, rounds=1), replace(RULES, recipe=recipe), falling)
    rate = fit.rules[0]
    assert rate.status == status
    assert rate.gain == pytest.approx(0.05 * np.log(2), abs=0.002)
    for point, found in zip(made.points, fit.points, strict=True):
        assert rate.rule(point.params, point.tokens) == pytest.approx(0.06, rel=0.01)
        assert status == "best_tried" or (found.recipe_excess or 0) > 0.03


@pytest.mark.parametrize(("axes", "status"), [(["batch"], "best_tried"), (["batch", "embedding"], "at_edge")])
def test_a_batch_that_the_least_steps_shrink_is_moved_from_what_it_was(axes: list[str], status: str) -> None:
    def falling(cell: Cell) -> float:
        embedding = 0.05 * np.log(cell.spec.groups.embedding.lr) ** 2
        return float(3 + 0.05 * np.log(cell.spec.batch_tokens) + embedding + noise(cell, 1e-3))

    tune = replace(DECAY, axes=axes, rounds=1, horizons=[0.5, 1.0], params=[1e5, 2e5])
    recipe = replace(RECIPE, batch_tokens=Rule(1e6), min_steps=500)
    made, _, fit = tuned(tune, replace(RULES, recipe=recipe), falling)
    assert all(point.centre["batch"] > 2000 for point in made.points)
    batch = next(one for one in fit.rules if one.axis == "batch")
    assert batch.status == status
    for point in made.points:
        assert batch.rule(point.params, point.tokens) == pytest.approx(point.tokens / 1000, rel=0.05)


def test_under_a_parametrization_the_timescale_goes_by_d_alone() -> None:
    base = Base(Parametrization("mup", 32, 2, 16), 20_000.0)
    recipe = replace(RECIPE, min_steps=1)
    tune = replace(DECAY, horizons=[0.25, 1.0, 4.0], tokens_per_param=20)

    def loss(cell: Cell) -> float:
        timescale = TAU * (cell.tokens / 1e6) ** -0.5
        best = cell.spec.batch_tokens / (cell.spec.optimizer.lr * timescale * cell.tokens)
        return float(3 + 0.025 * np.log(cell.spec.optimizer.weight_decay / best) ** 2 + noise(cell))

    for rules, ratio_of, words in (
        (replace(RULES, recipe=recipe, base=base), "D", " by D^"),
        (replace(RULES, recipe=recipe), "D/N", " by (D/N)^"),
    ):
        assert trainer_of(tune, rules).places().at_base is (ratio_of == "D")
        decay = tuned(tune, rules, loss)[2].rules[0]
        assert decay.ratio_of == ratio_of
        assert words in rule_text(decay)
        if ratio_of == "D":
            assert decay.ratio is not None
            assert decay.ratio.value == pytest.approx(-0.5, abs=0.05)
