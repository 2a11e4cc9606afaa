"""How far a plan goes beyond what its recipe was measured at."""

import pytest

from harness.errors import UserError
from harness.plan.measured import Outside, how_far, measured_at, outside
from harness.plan.recipe_rules import MeasuredRange, RecipeConfig
from tests.plan.test_plan import plan


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
