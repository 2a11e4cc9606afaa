"""The columns of runs: what is refused, and which runs are seeds of one cell."""

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit.tasks.points import TaskPoints, cell_means, draw_counts
from tests.fit.tasks.synthetic import BUDGETS, sigmoid_law, sweep

POINTS = sweep(sigmoid_law(), np.random.default_rng(0))


def with_value(name: str, value: float) -> TaskPoints:
    column = getattr(POINTS, name).copy()
    column[7] = value
    return replace(POINTS, **{name: column})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("params", 0.0),
        ("tokens", -1.0),
        ("flops", np.inf),
        ("budget", np.nan),
        ("task_loss", np.nan),
        ("task_loss", -0.1),
        ("accuracy", np.nan),
        ("accuracy", 1.01),
        ("accuracy", -0.01),
        ("accuracy_se", np.nan),
    ],
)
def test_a_number_that_cannot_be_is_refused_in_one_line(name: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"^made: {name} of run 7 must be .*1 run of 72") as error:
        with_value(name, value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"), [("chance", 1.0), ("chance", -0.1), ("chance", np.nan), ("questions", 0)]
)
def test_a_task_that_cannot_be_is_refused(field: str, value: float) -> None:
    with pytest.raises(UserError, match=f"made: {field} must be"):
        replace(POINTS, **{field: value})


def test_columns_are_of_one_length_and_not_empty() -> None:
    with pytest.raises(UserError, match="of one length"):
        replace(POINTS, accuracy=POINTS.accuracy[:-1])
    with pytest.raises(UserError, match="no runs"):
        POINTS.at(1.0)


def test_seeds_of_a_cell_share_its_number() -> None:
    cells = POINTS.cells
    assert sorted(np.bincount(cells)) == [3] * 24
    for cell in range(24):
        assert len(set(POINTS.params[cells == cell])) == len(set(POINTS.tokens[cells == cell])) == 1
    assert cell_means(POINTS.params, cells)[cells] == pytest.approx(POINTS.params)


def test_below_and_at_part_the_budgets() -> None:
    assert POINTS.budgets == pytest.approx(BUDGETS)
    assert set(POINTS.below(BUDGETS[2]).budget) == set(BUDGETS[:2])
    assert set(POINTS.at(BUDGETS[2]).budget) == {BUDGETS[2]}
    assert len(POINTS.below(BUDGETS[2])) + len(POINTS.at(BUDGETS[2])) == len(POINTS)


def test_draws_are_of_whole_cells_and_have_enough_of_them() -> None:
    cells = np.repeat(np.arange(6), 2)
    counts = draw_counts(np.random.default_rng(0), cells, 500, least=4)
    assert np.array_equal(counts[:, ::2], counts[:, 1::2])
    assert set(counts.sum(axis=1)) == {12.0}
    distinct = (counts[:, ::2] > 0).sum(axis=1)
    assert distinct.min() == 4
    assert distinct.max() > 4
