"""Which base a parametrization has: the configuration's, the recipe's own, or the ladder's shape near its size."""

from dataclasses import replace

import pytest

from harness.errors import UserError
from harness.model.counts import count_params
from harness.model.parametrization import ParametrizationConfig
from harness.plan.base import STANDARD, resolve_base
from harness.plan.recipe_rules import MeasuredRange, RecipeConfig, Rule
from tests.plan.test_plan import SHAPES

MEASURED = MeasuredRange(parametrization="completep", base_width=40, base_layers=7, base_head_dim=20)
TUNED = RecipeConfig(name="mine", lr=Rule(value=0.01, params_at=2e4), measured=MEASURED)
COMPLETEP = ParametrizationConfig("completep")


def sides(config: ParametrizationConfig, recipe: RecipeConfig) -> tuple[int, int, int]:
    base = resolve_base(config, recipe, SHAPES).parametrization
    return base.base_width, base.base_layers, base.base_head_dim


def test_a_recipe_has_the_base_it_was_tuned_at_not_that_of_a_shape_of_its_size() -> None:
    assert sides(COMPLETEP, TUNED) == (40, 7, 20)
    nearest = min(SHAPES, key=lambda shape: abs(count_params(shape).total - 2e4))
    old = sides(COMPLETEP, replace(TUNED, measured=MeasuredRange()))
    assert old == (nearest.width, nearest.layers, nearest.head_dim) != (40, 7, 20)
    assert sides(ParametrizationConfig("mup"), TUNED) == old, "it was tuned under completep"
    assert resolve_base(ParametrizationConfig(), TUNED, SHAPES) is STANDARD


def test_what_the_configuration_names_comes_first() -> None:
    assert sides(replace(COMPLETEP, base_layers=3), TUNED) == (40, 3, 20)
    assert sides(replace(COMPLETEP, base_width=64), TUNED)[::2] == (64, 8)


def test_a_base_beside_the_ladder_takes_nothing_of_its_shapes_unsaid() -> None:
    """The largest width is 256: the heads and the depth of its shapes say nothing of a base of 512."""
    wide = replace(COMPLETEP, base_width=512)
    with pytest.raises(
        UserError, match=r"no shape of width 512 \(the nearest is 256\).*base_head_dim and .*base_layers"
    ):
        resolve_base(wide, TUNED, SHAPES)
    with pytest.raises(UserError, match=r"set parametrization\.base_layers$"):
        resolve_base(replace(wide, base_head_dim=64), TUNED, SHAPES)
    with pytest.raises(UserError, match=r"set parametrization\.base_head_dim$"):
        resolve_base(ParametrizationConfig("mup", base_width=512), TUNED, SHAPES)
    assert sides(ParametrizationConfig("completep", 512, 8, 64), TUNED) == (512, 8, 64)
    assert sides(ParametrizationConfig("completep", 64), TUNED)[2] == 8, "that of the ladder's width"
