"""How far a plan goes beyond what its recipe was measured at."""

from dataclasses import replace

import pytest

from harness.errors import UserError
from harness.model.parametrization import Parametrization
from harness.plan.base import Base
from harness.plan.measured import Outside, how_far, measured_at, outside, unlike, warns
from harness.plan.plan import Rules
from harness.plan.recipe_rules import MeasuredRange, MuonRules, OptimizerConfig, RecipeConfig, Rule
from tests.plan.test_plan import RULES, plan


def test_a_cell_is_told_by_its_ratio_to_the_nearest_measured() -> None:
    cell = plan().cells[0]
    n, d = cell.params.total, cell.tokens

    def far(params: list[float], tokens: list[float]) -> str:
        return str(outside(cell, RecipeConfig(measured=MeasuredRange(params, tokens))))

    assert far([], []) == ""
    assert far([n / 2, 2 * n], [d, d]) == ""
    assert far([n / 4, n / 2], []) == "2x N"
    assert far([n / 4, n / 2], [2.5 * d, 3 * d]) == "2x N, 0.4x D"
    assert far([n * 1.004, 2 * n], []) == "", "those in recipes are rounded"
    counted = RecipeConfig(count="non_embedding", measured=MeasuredRange([n, 2 * n]))
    assert outside(cell, counted).params == pytest.approx(cell.params.non_embedding / n)


def test_the_farther_of_the_two_is_named() -> None:
    assert Outside(2.0, 0.1).farthest == (0.1, "D")
    assert Outside(3.0, 0.5).farthest == (3.0, "N")
    assert not Outside()


def test_one_line_says_how_far_a_plan_goes() -> None:
    cells = plan().cells
    sizes = sorted(cell.params.total for cell in cells)
    every = RecipeConfig(name="mine", measured=MeasuredRange([sizes[0], sizes[-1]], [1, 1e15]))
    assert how_far(every, cells).endswith(f"{len(cells)} cells are all inside")
    half = RecipeConfig(name="mine", measured=MeasuredRange([sizes[-1] / 4, sizes[-1] / 2]))
    said = how_far(half, cells)
    out = [cell for cell in cells if outside(cell, half)]
    assert 0 < len(out) < len(cells)
    assert f"; {len(out)} of {len(cells)} cells are outside, the farthest (" in said
    assert said.startswith("recipe mine was measured at ")
    assert "tokens" not in said
    assert said.endswith("in N")
    assert measured_at(half) in said
    assert how_far(RecipeConfig(name="mine"), cells) == (
        "recipe mine does not say over which sizes it was measured"
    )


@pytest.mark.parametrize("ends", [[1.0], [2.0, 1.0], [0.0, 1.0]])
def test_a_range_is_two_numbers(ends: list[float]) -> None:
    with pytest.raises(UserError, match=r"recipe\.measured\.tokens"):
        MeasuredRange([], ends)


def test_a_small_model_on_the_most_tokens_lies_off_the_diagonal_of_a_tuning() -> None:
    """Within N and within D, but at a D/N that nothing was tuned at."""
    cell = plan().cells[0]
    n, d = cell.params.total, cell.tokens
    box = MeasuredRange([n / 2, 8 * n], [d / 8, 2 * d])
    assert not outside(cell, RecipeConfig(measured=box))
    diagonal = replace(box, tokens_per_param=[d / n / 8, d / n / 4])
    found = outside(cell, RecipeConfig(measured=diagonal))
    assert (str(found), found.farthest[1]) == ("4x D/N", "D/N")
    near_too = replace(diagonal, params=[2 * n, 8 * n])
    assert str(outside(cell, RecipeConfig(measured=near_too))) == "0.5x N, 4x D/N"
    farther_in_n = replace(diagonal, params=[10 * n, 20 * n])
    assert str(outside(cell, RecipeConfig(measured=farther_in_n))) == "0.1x N", (
        "the farthest alone beside N and D"
    )
    recipe = RecipeConfig(name="mine", measured=diagonal)
    assert how_far(recipe, [cell]).endswith(" 4 times larger in D/N")
    assert f"{d / n / 8:.3g} to {d / n / 4:.3g} tokens per parameter" in measured_at(recipe)


COMPLETEP = Base(Parametrization("completep", 32, 4, 8), 20_000.0)
UNDER = MeasuredRange(
    parametrization="completep",
    base_width=32,
    base_layers=4,
    base_head_dim=8,
    optimizer="adamw",
    family="llama",
)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (RULES, "completep with base 32x4 (here standard)"),
        (replace(RULES, base=COMPLETEP), ""),
        (
            replace(RULES, base=Base(Parametrization("completep", 64, 4, 8), 9e4)),
            "completep with base 32x4 (here completep with base 64x4)",
        ),
        (
            replace(RULES, base=Base(Parametrization("completep", 32, 4, 16), 2e4)),
            "completep with base 32x4 with heads of 8 (here completep with base 32x4 with heads of 16)",
        ),
        (
            replace(RULES, base=COMPLETEP, optimizer=OptimizerConfig("muon")),
            "optimizer adamw (here muon)",
        ),
    ],
)
def test_a_recipe_says_what_it_was_measured_under_where_a_plan_differs(rules: Rules, said: str) -> None:
    cells = plan(rules).cells
    recipe = RecipeConfig(name="mine", measured=UNDER, muon=MuonRules(lr=Rule(value=0.01)))
    assert unlike(recipe, cells) == said
    assert how_far(recipe, cells).endswith(f"; it was measured under {said}" if said else "was measured")
    assert warns(recipe, cells) == bool(said)
    assert unlike(RecipeConfig(), cells) == "", "a recipe of before says nothing of it"


def test_granite_is_a_llama_under_standard_alone() -> None:
    cells = plan().cells
    granite = [replace(c, spec=replace(c.spec, shape=replace(c.spec.shape, family="granite"))) for c in cells]
    qwen = [replace(c, spec=replace(c.spec, shape=replace(c.spec.shape, family="qwen3"))) for c in cells]
    recipe = RecipeConfig(measured=MeasuredRange(parametrization="standard", family="llama"))
    assert unlike(recipe, granite) == ""
    assert unlike(recipe, qwen) == "model llama (here qwen3)"
    under = [replace(c, spec=replace(c.spec, parametrization=COMPLETEP.parametrization)) for c in granite]
    assert unlike(RecipeConfig(measured=UNDER), under) == "model llama (here granite)"


def test_mup_has_no_base_depth() -> None:
    cells = plan(replace(RULES, base=Base(Parametrization("mup", 32, 2, 8), 2e4))).cells
    assert unlike(RecipeConfig(measured=replace(UNDER, parametrization="mup")), cells) == ""
    assert unlike(RecipeConfig(measured=replace(UNDER, parametrization="mup", base_width=64)), cells)


@pytest.mark.parametrize("key", ["parametrization", "optimizer"])
def test_what_a_recipe_was_measured_under_is_one_that_exists(key: str) -> None:
    with pytest.raises(UserError, match=rf"recipe\.measured\.{key}: 'other' is none of"):
        MeasuredRange(**{key: "other"})
