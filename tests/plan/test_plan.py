"""The grid: whole steps, exact FLOPs, stable identities, and a corpus that is large enough."""

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.model.counts import FLOP_COUNTS, flops_per_token
from harness.model.ladder import BandConfig, LadderConfig, build_ladder
from harness.model.shape import ModelConfig
from harness.plan.duration import Timing
from harness.plan.grid import GridConfig, fewer_seeds, seeds_at, targets
from harness.plan.plan import Plan, Rules, check_corpus, make_plan
from harness.plan.recipe_rules import OptimizerConfig, RecipeConfig, Rule, significant
from harness.plan.schedule import ScheduleConfig
from harness.plan.spec import RunSpec
from harness.plan.throughput import ThroughputConfig


@dataclass(frozen=True)
class Facts:
    fingerprint: str = "f00d"
    train_tokens: int = 10**9


RULES = Rules(
    grid=GridConfig(budgets=[1e11, 1e12], sizes=5, span=8, center_params=5e4, center_budget=3e11),
    recipe=RecipeConfig(batch_tokens=Rule(value=1024)),
    schedule=ScheduleConfig(),
    timing=Timing(ThroughputConfig()),
    seq_len=128,
    eval_tokens=4096,
    precision="auto",
)
LADDER = LadderConfig(bands=[BandConfig(8, 256, 8, 8)], depths=[0.7, 1.0, 1.5], aspect=24)
SHAPES = build_ladder(LADDER, ModelConfig(), vocab_size=256, context=128).shapes


def plan(rules: Rules = RULES, facts: Facts = Facts()) -> Plan:
    return make_plan("test", SHAPES, rules, facts)


@settings(max_examples=40)
@given(
    st.floats(2e10, 1e14),
    st.integers(1, 9),
    st.floats(1, 20),
    st.sampled_from(sorted(FLOP_COUNTS)),
    st.integers(0, 9),
)
def test_every_cell_spends_its_budget_to_half_a_step(
    budget: float, sizes: int, span: float, count: str, seed: int
) -> None:
    grid = GridConfig([budget], sizes, span, 5e4, 3e11, seeds=[seed], count=count)
    made = plan(replace(RULES, grid=grid))
    assert len(made.cells) + len(made.skipped) == sizes
    for cell in made.cells:
        per_token = flops_per_token(cell.spec.shape, 128, count)
        assert cell.tokens == cell.spec.steps * cell.spec.batch_sequences * 128
        assert cell.flops == pytest.approx(per_token * cell.tokens)
        assert abs(cell.flops - budget) <= 0.5 * per_token * cell.spec.batch_tokens * (1 + 1e-9)
        assert cell.spec.schedule.steps == cell.spec.steps
        assert cell.spec.seed == seed


@settings(max_examples=60, deadline=None)
@given(
    st.floats(2e10, 1e14),
    st.sampled_from(["adamw", "muon"]),
    st.sampled_from(sorted(FLOP_COUNTS)),
    st.floats(64, 1e5),
    st.floats(-1.5, 1.5),
    st.integers(1, 2000),
    st.booleans(),
)
def test_a_budget_that_pays_for_the_optimizer_is_met_to_half_a_step(
    budget: float, kind: str, count: str, batch: float, power: float, min_steps: int, share: bool
) -> None:
    """Whatever the recipe: also where its batch depends on the tokens, which depend on what the optimizer costs."""
    grid = GridConfig([budget], 5, 8, 5e4, 3e11, count=count, count_optimizer=True)
    recipe = RecipeConfig(
        batch_tokens=Rule(value=batch, tokens=power, tokens_at=1e7, minimum=1, maximum=1e9),
        min_steps=min_steps,
    )
    schedule = ScheduleConfig("wsd", share_trunk=True) if share else ScheduleConfig()
    made = plan(
        replace(RULES, grid=grid, recipe=recipe, schedule=schedule, optimizer=OptimizerConfig(kind=kind))
    )
    for cell in made.cells:
        per_token = flops_per_token(cell.spec.shape, 128, count)
        step = per_token * cell.spec.batch_tokens + cell.optimizer_flops / cell.spec.steps
        assert cell.flops == pytest.approx(per_token * cell.tokens + cell.optimizer_flops)
        assert abs(cell.flops - budget) <= 0.5 * step * (1 + 1e-9)


def test_sizes_of_a_budget_are_distinct_ascending_and_span_what_was_asked() -> None:
    for budget in (1e11, 1e12):
        sizes = [cell.params.total for cell in plan().cells if cell.budget == budget]
        assert len(set(sizes)) == 5
        assert sizes == sorted(sizes)
        assert 5 < sizes[-1] / sizes[0] < 12


def test_plan_survives_json() -> None:
    made = plan()
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_the_batch_leaves_enough_steps() -> None:
    rules = replace(RULES, recipe=RecipeConfig(batch_tokens=Rule(value=1e9), min_steps=100))
    assert all(80 <= cell.spec.steps <= 200 for cell in plan(rules).cells)


CHANGES = {
    "seed": lambda s: replace(s, seed=1),
    "data": lambda s: replace(s, data="beef"),
    "steps": lambda s: replace(s, steps=s.steps + 1),
    "rate": lambda s: replace(s, optimizer=replace(s.optimizer, lr=2 * s.optimizer.lr)),
    "floor": lambda s: replace(s, schedule=replace(s.schedule, floor=0.2)),
    "shape": lambda s: replace(s, shape=replace(s.shape, layers=s.shape.layers + 1)),
    "precision": lambda s: replace(s, precision="bf16"),
    "evaluation": lambda s: replace(s, eval_tokens=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_the_result_changes_the_identity(change: str) -> None:
    spec = plan().cells[0].spec
    assert CHANGES[change](spec).run_id != spec.run_id


def test_identity_is_stable_across_versions() -> None:
    """A changed hash would orphan every finished run: this value may change only on purpose."""
    spec = plan().cells[0].spec
    assert RunSpec.from_json(json.loads(json.dumps(spec.to_json()))).run_id == spec.run_id
    assert spec.run_id == "86cf01d124e8"


def test_a_small_corpus_is_refused_with_the_epochs_of_each_cell() -> None:
    made = plan(facts=Facts(train_tokens=200_000))
    with pytest.raises(
        UserError, match=r"200,000 unique training tokens.*more than 1 epoch .*data.max_epochs"
    ):
        check_corpus(made, "tiny", max_epochs=1.0)
    check_corpus(made, "tiny", max_epochs=1e6)


def test_cells_of_a_few_steps_are_left_out_with_a_reason() -> None:
    rules = replace(RULES, grid=replace(RULES.grid, budgets=[1e9]), recipe=RecipeConfig(min_steps=2000))
    made = plan(rules)
    assert not made.cells
    assert all("steps only" in skipped.reason for skipped in made.skipped)


def test_no_budget_is_an_error() -> None:
    with pytest.raises(UserError, match=r"grid\.budgets"):
        plan(replace(RULES, grid=GridConfig()))


@pytest.mark.parametrize(
    "values",
    [
        {"budgets": [-1.0]},
        {"budgets": [1e9, 1e9]},
        {"seeds": []},
        {"seeds": [1, 1]},
        {"sizes": 0},
        {"span": 0.5},
        {"count": "flops"},
        {"center_params": 0.0},
        {"params": [0.0]},
    ],
)
def test_impossible_grids_are_refused(values: dict) -> None:
    with pytest.raises(UserError, match="grid"):
        GridConfig(**values)


def test_explicit_sizes_serve_every_budget() -> None:
    assert targets(GridConfig(params=[3.0, 1.0, 2.0]), 1e9) == [1.0, 2.0, 3.0]


def test_a_run_is_found_by_a_beginning_that_is_unique() -> None:
    made = plan()
    cell = made.cells[3]
    assert made.cell(cell.run_id[:8]) == cell
    with pytest.raises(UserError, match="matches no cell"):
        made.cell("zzzz")
    with pytest.raises(UserError, match="matches 10 cells"):
        made.cell("")


@given(st.floats(1e-12, 1e12), st.integers(1, 6))
def test_significant_digits_keep_the_value(value: float, digits: int) -> None:
    assert significant(value, digits) == pytest.approx(value, rel=10.0 ** (1 - digits))


@given(
    st.lists(st.integers(0, 99), min_size=1, max_size=6, unique=True),
    st.lists(st.integers(100, 199), max_size=3, unique=True),
    st.floats(1e10, 1e14),
    st.floats(1e10, 1e14),
    st.integers(1, 9),
)
def test_seeds_of_a_cell_cost_what_is_allowed_and_flanks_get_further_ones(
    seeds: list[int], flanks: list[int], allowed: float, budget: float, sizes: int
) -> None:
    grid = GridConfig([budget], sizes, seeds=seeds, seeds_flops=allowed, flank_seeds=flanks)
    made = seeds_at(grid, budget, sizes)
    inner = {tuple(one) for one in made[1:-1]}
    assert len(made) == sizes
    assert len(inner) <= 1
    assert made[0] == made[-1] == [*seeds_at(replace(grid, flank_seeds=[]), budget, sizes)[0], *flanks]
    shared = made[0][: len(made[0]) - len(flanks)]
    assert shared == seeds[: len(shared)]
    assert shared
    assert len(shared) == 1 or len(shared) * budget <= allowed * (1 + 1e-8)
    assert len(shared) == len(seeds) or (len(shared) + 1) * budget > allowed
    assert seeds_at(replace(grid, seeds_flops=None, flank_seeds=[]), budget, sizes) == [seeds] * sizes


def test_a_plan_has_more_seeds_at_small_budgets_and_flanks() -> None:
    grid = replace(RULES.grid, seeds=[0, 1, 2], seeds_flops=3e11, flank_seeds=[7])
    made = plan(replace(RULES, grid=grid))
    counts = [
        [sum(cell.budget == budget and cell.params.total == n for cell in made.cells) for n in sizes]
        for budget in grid.budgets
        for sizes in [sorted({cell.params.total for cell in made.cells if cell.budget == budget})]
    ]
    assert counts == [[4, 3, 3, 3, 4], [2, 1, 1, 1, 2]]
    assert len({cell.run_id for cell in made.cells}) == len(made.cells)


def test_it_is_said_where_a_cell_gets_fewer_seeds_than_are_named() -> None:
    grid = GridConfig([1e12, 1e11, 4e11], seeds=[0, 1, 2], seeds_flops=8e11)
    assert fewer_seeds(grid) == (
        "grid.seeds_flops=8e+11: of the 3 seeds a cell is trained with 2 at 4e+11, 1 at 1e+12 FLOPs; "
        "with grid.seeds_flops=null with all"
    )
    assert fewer_seeds(replace(grid, seeds_flops=3e12)) == fewer_seeds(replace(grid, seeds_flops=None)) == ""


@pytest.mark.parametrize("flanks", [[1], [3, 3]])
def test_flank_seeds_are_further_ones(flanks: list[int]) -> None:
    with pytest.raises(UserError, match=r"grid\.flank_seeds"):
        GridConfig([1e11], seeds=[0, 1], flank_seeds=flanks)
