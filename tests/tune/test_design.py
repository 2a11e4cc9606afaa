"""Which runs a tuning trains."""

from dataclasses import dataclass, replace

import pytest

from harness.errors import UserError
from harness.model.counts import flops_per_token
from harness.model.ladder import BandConfig, LadderConfig, build_ladder
from harness.model.shape import ModelConfig
from harness.plan.duration import Timing
from harness.plan.grid import GridConfig
from harness.plan.plan import Rules
from harness.plan.recipe import apply_recipe
from harness.plan.recipe_rules import OptimizerConfig, RecipeConfig, Rule
from harness.plan.schedule import ScheduleConfig
from harness.plan.throughput import ThroughputConfig
from harness.tune.config import TuneConfig
from harness.tune.design import TunePlan, center_budget, make_tune_plan, wanted_sizes


@dataclass(frozen=True)
class Facts:
    fingerprint: str = "f00d"
    train_tokens: int = 10**9


RECIPE = RecipeConfig(lr=Rule(0.009, -0.6, 2.5e4), batch_tokens=Rule(512), min_steps=300)
GRID = GridConfig(budgets=[6e10, 4e11], center_params=25_000, center_budget=1.5e11)
RULES = Rules(GRID, RECIPE, ScheduleConfig(), Timing(ThroughputConfig()), 128, 4096, "auto")
SHAPES = build_ladder(
    LadderConfig(bands=[BandConfig(8, 96, 8, 8)], min_layers=2), ModelConfig(), 256, 128
).shapes
TUNE = TuneConfig(params=[8e3, 4e4])


def made(
    tune: TuneConfig = TUNE, rules: Rules = RULES, facts: Facts = Facts(), epochs: float = 1.0
) -> TunePlan:
    return make_tune_plan("t", SHAPES, tune, rules, facts, epochs)


def test_the_grid_is_centred_on_the_recipe_at_the_size_s_own_budget() -> None:
    plan = made()
    assert len(plan.sizes) == 2
    cells = {cell.run_id: cell for cell in plan.plan.cells}
    assert len(cells) == len(plan.plan.cells) == 40
    for size in plan.sizes:
        budget = center_budget(GRID, size.params_total)
        assert GRID.center_params * (budget / GRID.center_budget) ** 0.5 == pytest.approx(size.params_total)
        per_token = flops_per_token(size.shape, 128, "appendix_f")
        assert size.tokens * per_token == pytest.approx(budget)
        hyper = apply_recipe(RECIPE, size.shape, size.tokens, 128)
        assert (size.rate, size.batch_tokens) == (hyper.optimizer.lr, hyper.batch_sequences * 128)
        mine = [cells[run_id] for run_id in size.run_ids]
        rates = sorted({cell.spec.optimizer.lr for cell in mine})
        assert rates == pytest.approx([m * size.rate for m in TUNE.rates], rel=1e-3)
        batches = {max(1, round(m * hyper.batch_sequences)) * 128 for m in TUNE.batches}
        assert {cell.spec.batch_tokens for cell in mine} == batches
        for cell in mine:
            assert abs(cell.tokens - size.tokens) <= cell.spec.batch_tokens / 2
            assert cell.spec.optimizer.beta2 == pytest.approx(0.95)


def test_a_run_of_the_recipe_itself_is_the_grid_s_own() -> None:
    """A tuning's centre and the experiment's cell of the same size and tokens share a run id."""
    plan = made()
    size = plan.sizes[0]
    centre = next(
        cell
        for cell in plan.plan.cells
        if cell.spec.optimizer.lr == size.rate and cell.spec.batch_tokens == size.batch_tokens
    )
    from harness.plan.plan import plan_cell

    assert plan_cell(size.shape, centre.budget, 0, RULES, Facts()).run_id == centre.run_id


def test_the_corpus_caps_the_tokens() -> None:
    plan = made(facts=Facts(train_tokens=500_000))
    small, large = plan.sizes
    assert (small.capped, large.capped) == (False, True)
    assert all(cell.epochs <= 1 for cell in plan.plan.cells)
    assert large.tokens > 490_000
    assert made(facts=Facts(train_tokens=500_000), epochs=10).sizes[1].capped is False


def test_batches_that_round_to_the_same_sequences_are_one() -> None:
    rules = replace(RULES, recipe=replace(RECIPE, batch_tokens=Rule(128)))
    plan = made(rules=rules)
    assert sorted({cell.spec.batch_sequences for cell in plan.plan.cells}) == [1, 2, 4]


def test_short_points_are_left_out_and_said() -> None:
    plan = made(replace(TUNE, min_steps=200))
    assert {cell.spec.batch_tokens for cell in plan.plan.cells} >= {256, 512, 1024}
    assert any("tune.min_steps is 200" in skipped.reason for skipped in plan.plan.skipped)
    assert min(cell.spec.steps for cell in plan.plan.cells) >= 195
    with pytest.raises(UserError, match="nothing to train"):
        made(replace(TUNE, min_steps=10**6))


def test_tokens_per_param_and_seeds() -> None:
    plan = made(replace(TUNE, tokens_per_param=50, seeds=[0, 1]))
    assert len(plan.plan.cells) == 80
    assert plan.sizes[0].tokens == pytest.approx(50 * plan.sizes[0].params_total)


def test_every_size_may_have_the_same_tokens() -> None:
    plan = made(replace(TUNE, tokens=1e6))
    assert [size.tokens for size in plan.sizes] == [1e6, 1e6]
    with pytest.raises(UserError, match=r"set one to 0"):
        replace(TUNE, tokens=1e6, tokens_per_param=20)


def test_sizes_follow_the_grid_unless_named() -> None:
    largest = 25_000 * (4e11 / 1.5e11) ** 0.5
    assert wanted_sizes(TuneConfig(), GRID) == pytest.approx([largest / 5, largest / 5**0.5, largest])
    assert wanted_sizes(TuneConfig(sizes=1), GRID) == pytest.approx([largest])
    with pytest.raises(UserError, match=r"tune\.params: name the sizes"):
        wanted_sizes(TuneConfig(), GridConfig())
    with pytest.raises(UserError, match=r"tune\.tokens_per_param: set it"):
        center_budget(GridConfig(center_exponent=0), 1e4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"params": [0.0]}, "tune.params"),
        ({"rates": []}, "tune.rates: name at least one"),
        ({"rates": [1.0, 1.0, 2.0]}, "listed twice"),
        ({"batches": [1.0, 2.0]}, "one value .* or at least 3"),
        ({"rates": [1.0], "batches": [1.0]}, "both have a single"),
        ({"seeds": []}, "tune.seeds"),
        ({"tokens_per_param": -1.0}, "tune.tokens_per_param"),
        ({"min_steps": 0}, "tune.min_steps"),
        ({"window": 0.0}, "tune.window"),
        ({"level": 1.0}, "tune.level: must lie between"),
        ({"span": 0.5}, "tune.span"),
    ],
)
def test_a_config_that_cannot_be_is_one_clear_line(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        TuneConfig(**values)
    assert "\n" not in str(error.value)


def test_a_grid_under_muon_does_not_call_adamw_s_rate_the_learning_rate() -> None:
    muon = replace(RULES, optimizer=OptimizerConfig(kind="muon"))
    with pytest.raises(UserError, match=r"AdamW's.*tune=sequential tune\.axes=\[rate,muon\]") as error:
        made(rules=muon)
    assert "\n" not in str(error.value)
    batches = replace(TUNE, rates=[1.0])
    assert len({cell.spec.batch_sequences for cell in made(batches, muon).plan.cells}) > 2
