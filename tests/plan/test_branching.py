"""Runs that begin alike: how far, which branch from which, and a plan whose runs do."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.plan.branching import find_branches, flops_saved, shared_steps
from harness.plan.grid import GridConfig
from harness.plan.plan import Plan, Rules
from harness.plan.recipe_rules import RecipeConfig, Rule
from harness.plan.schedule import Schedule, ScheduleConfig
from harness.plan.spec import RunSpec
from tests.plan.test_plan import RULES, plan

SPEC = plan().cells[0].spec
RECIPE = RecipeConfig(
    lr=Rule(value=0.01, tokens=-0.3, tokens_at=1e6),
    batch_tokens=Rule(value=1e9),
    beta2=Rule(value=0.95, tokens=0.01, tokens_at=1e6),
    min_steps=100,
    warmup_share=0.1,
)
SHARED = replace(
    RULES,
    grid=GridConfig(budgets=[1e11, 3e11, 1e12], params=[3e4, 6e4], seeds=[0, 1]),
    recipe=RECIPE,
    schedule=ScheduleConfig("wsd", floor=0.0, share_trunk=True),
)


def of_length(steps: int, schedule: Schedule) -> RunSpec:
    return replace(SPEC, steps=steps, schedule=replace(schedule, steps=steps))


@given(
    st.integers(2, 400),
    st.integers(2, 400),
    st.integers(0, 50),
    st.floats(0, 0.9),
    st.floats(0.01, 1),
    st.sampled_from(["wsd", "constant", "cosine", "linear"]),
)
def test_rates_are_equal_as_far_as_is_shared_and_no_further(
    one: int, other: int, warmup: int, floor: float, decay: float, kind: str
) -> None:
    shorter, longer = sorted((one, other))
    schedule = Schedule(kind, min(warmup, shorter - 1), 0, floor, decay)
    a, b = of_length(shorter, schedule), of_length(longer, schedule)
    step = shared_steps(a, b)
    assert step == shared_steps(b, a) < shorter
    same = [a.schedule.factor(s) == b.schedule.factor(s) for s in range(1, shorter)]
    assert all(same[:step])
    assert not any(same[step:])


def test_wsd_shares_all_but_the_decay_of_the_shorter() -> None:
    schedule = Schedule("wsd", 10, 0, 0.0, 0.2)
    assert shared_steps(of_length(100, schedule), of_length(300, schedule)) == 80


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, seed=1),
        lambda s: replace(s, data="beef"),
        lambda s: replace(s, batch_sequences=s.batch_sequences + 1),
        lambda s: replace(s, optimizer=replace(s.optimizer, lr=2 * s.optimizer.lr)),
        lambda s: replace(s, shape=replace(s.shape, layers=s.shape.layers + 1)),
        lambda s: replace(s, schedule=replace(s.schedule, warmup_steps=11)),
        lambda s: replace(s, schedule=replace(s.schedule, decay_share=0.3)),
        lambda s: replace(s, schedule=replace(s.schedule, floor=0.1)),
    ],
)
def test_nothing_is_shared_by_runs_that_differ_in_more_than_their_horizon(change) -> None:  # type: ignore[no-untyped-def]
    schedule = Schedule("wsd", 10, 0, 0.0, 0.2)
    assert shared_steps(of_length(100, schedule), change(of_length(300, schedule))) == 0


def by_trunk(made: Plan) -> dict[tuple, list[RunSpec]]:
    groups: dict[tuple, list[RunSpec]] = {}
    for cell in made.cells:
        groups.setdefault((cell.spec.shape, cell.spec.seed), []).append(cell.spec)
    return groups


def test_all_runs_of_a_shape_and_seed_share_a_trunk() -> None:
    made = plan(SHARED)
    assert len(made.cells) == 12
    groups = by_trunk(made)
    assert len(groups) == 4
    for specs in groups.values():
        trunk = max(specs, key=lambda spec: spec.steps)
        for spec in specs:
            if spec is not trunk:
                assert shared_steps(trunk, spec) == pytest.approx(0.8 * spec.steps, abs=1)
        shortest = min(specs, key=lambda spec: spec.steps)
        assert shortest.steps >= RECIPE.min_steps - 1, "no branch has fewer steps than the recipe allows"
        assert shortest.schedule.warmup_steps <= 0.1 * shortest.steps + 0.5
    branches = find_branches(made.cells)
    assert len(branches) == 8
    spent = sum(cell.flops for cell in made.cells) - flops_saved(made.cells, branches)
    alone = 2 * 2 * (1e11 + 3e11 + 1e12)
    assert spent == pytest.approx(alone - 0.8 * 2 * 2 * 4e11, rel=0.02)


def test_without_sharing_rules_that_depend_on_the_horizon_leave_no_trunk() -> None:
    alone = plan(replace(SHARED, schedule=ScheduleConfig("wsd", floor=0.0)))
    assert not find_branches(alone.cells)


def test_sharing_changes_no_run_of_a_single_horizon_and_larger_budgets_keep_the_others() -> None:
    one = replace(SHARED.grid, budgets=[1e11])
    shared = plan(replace(SHARED, grid=one))
    alone = plan(replace(SHARED, grid=one, schedule=ScheduleConfig("wsd", floor=0.0)))
    assert [cell.run_id for cell in shared.cells] == [cell.run_id for cell in alone.cells]
    grown = {cell.run_id for cell in plan(SHARED).cells}
    assert {cell.run_id for cell in shared.cells} <= grown


def test_a_cell_that_is_left_out_does_not_set_the_horizon() -> None:
    """3e4 parameters at 1e9 FLOPs: fewer than a hundred steps however small the batch."""
    rules: Rules = replace(SHARED, grid=replace(SHARED.grid, budgets=[1e8, *SHARED.grid.budgets]))
    grown = plan(rules)
    assert {skipped.budget for skipped in grown.skipped} == {1e8}
    assert [cell.run_id for cell in grown.cells] == [cell.run_id for cell in plan(SHARED).cells]


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_a_schedule_that_knows_its_end_from_the_start_has_no_trunk(kind: str) -> None:
    with pytest.raises(UserError, match=r"schedule\.share_trunk.*use schedule=wsd"):
        ScheduleConfig(kind, share_trunk=True)
