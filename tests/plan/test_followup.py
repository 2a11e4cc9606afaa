"""More seeds and other rates at each budget's best cell, all else equal."""

from dataclasses import replace

import pytest

from harness.errors import UserError
from harness.plan.followup import FollowupConfig, ablations, best_cells, expected, replicates
from tests.plan.test_plan import plan


def test_the_best_cell_of_each_budget_is_followed_up() -> None:
    made = plan()
    losses = {cell.run_id: abs(i % 5 - 2) + 1.0 for i, cell in enumerate(made.cells)}
    best = best_cells(made, losses)
    assert [cell.run_id for cell in best] == [made.cells[2].run_id, made.cells[7].run_id]
    more = replicates(best, [0, 1, 2])
    assert [cell.spec.seed for cell in more] == [1, 2, 1, 2], "the seed it has is not trained again"
    assert {cell.run_id for cell in more}.isdisjoint(cell.run_id for cell in made.cells)
    assert replace(more[0].spec, seed=0) == best[0].spec


def test_an_ablation_differs_in_its_rate_alone() -> None:
    made = plan()
    best = best_cells(made, {made.cells[0].run_id: 1.0})
    low, high = ablations(best, FollowupConfig(rates=[0.5, 2.0]))
    assert (low.of, low.rate) == (best[0].run_id, 0.5)
    assert high.cell.spec.optimizer.lr == pytest.approx(2 * best[0].spec.optimizer.lr, rel=1e-3)
    assert replace(high.cell.spec, optimizer=best[0].spec.optimizer) == best[0].spec


def test_a_longer_schedule_differs_in_its_length_alone() -> None:
    made = plan()
    best = best_cells(made, {made.cells[0].run_id: 1.0})
    spec = best[0].spec
    short, long = ablations(best, FollowupConfig(horizons=[1.1, 5.0]))
    assert (short.of, short.rate, short.horizon) == (best[0].run_id, 1.0, 1.1)
    assert long.cell.spec.schedule.steps == 5 * spec.steps
    assert long.cell.tokens == best[0].tokens
    assert replace(long.cell.spec, schedule=spec.schedule) == spec
    last, matched = long.cell.spec.schedule.factor(spec.steps), spec.schedule.factor(spec.steps)
    assert last > 0.8 > 0.2 > matched, "the run ends while the rate is still near its peak"


def test_expected_followups_are_those_that_each_budget_still_lacks() -> None:
    made = plan()
    asked = FollowupConfig(seeds=[1, 2], rates=[0.5])
    budgets = sorted({cell.budget for cell in made.cells})
    assert [cell.budget for cell in expected(made, asked, ())] == [b for b in budgets for _ in range(3)]
    assert [cell.budget for cell in expected(made, asked, budgets[:1])] == budgets[1:] * 3
    best = best_cells(made, {made.cells[2].run_id: 1.0})
    grown = replace(made, cells=(*made.cells, *replicates(best, asked.seeds)))
    more = expected(grown, asked, ())
    assert [cell.budget for cell in more] == [budgets[0], *(budgets[1:] * 3)], (
        "one has its seeds, the others not"
    )
    assert [cell.spec.seed for cell in more] == [0, *[1, 2, 0] * len(budgets[1:])]


def test_budgets_without_a_finished_cell_have_no_followup() -> None:
    assert best_cells(plan(), {}) == []


@pytest.mark.parametrize(
    "values",
    [
        {"seeds": [-1]},
        {"seeds": [1, 1]},
        {"rates": [1.0]},
        {"rates": [0.0]},
        {"horizons": [1.0]},
        {"horizons": [0.5]},
        {"horizons": [2.0, 2.0]},
    ],
)
def test_impossible_followups_are_refused(values: dict) -> None:
    with pytest.raises(UserError, match="followup"):
        FollowupConfig(**values)
