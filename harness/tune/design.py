"""The runs of a tuning: which sizes, how long, at which learning rates and batches, and the table to be fitted.

Nothing here trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import UserError
from harness.model.counts import count_params, flops_per_token
from harness.model.ladder import check_reach, near, spread
from harness.model.shape import Shape
from harness.plan.cell import Cell
from harness.plan.grid import GridConfig
from harness.plan.plan import CorpusFacts, Plan, Rules, Skipped, plan_cell
from harness.plan.recipe import apply_recipe
from harness.plan.recipe_rules import RecipeConfig, Rule
from harness.runs.record import Record
from harness.text import counted
from harness.tune.config import TuneConfig


@dataclass(frozen=True)
class TuneSize:
    """One size of a tuning.

    Attributes:
        params: N as the recipe counts it; ``params_total`` is all of them.
        tokens: D aimed at; a run's own differs by less than a step.
        rate, batch_tokens: what the recipe says for it: the centre of its grid.
        capped: whether the corpus, not the rule, set the tokens.
        run_ids: its runs.
    """

    shape: Shape
    params: int
    params_total: int
    tokens: float
    rate: float
    batch_tokens: int
    capped: bool
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class TunePlan:
    """An ordinary plan, and what is known of its sizes.

    Attributes:
        base_params: N of the base of a parametrization, as the recipe counts it; None without.
    """

    plan: Plan
    sizes: tuple[TuneSize, ...]
    base_params: float | None = None


def center_budget(grid: GridConfig, params: float) -> float:
    """The FLOPs at which the grid's centre guess makes ``params`` parameters optimal.

    Raises:
        UserError: the guess is the same size at every budget, so it cannot be inverted.
    """
    if grid.center_exponent <= 0:
        raise UserError(
            "tune.tokens_per_param: set it; grid.center_exponent is not positive, so the grid's centre guess "
            "does not say for which budget a size is optimal"
        )
    return grid.center_budget * (params / grid.center_params) ** (1 / grid.center_exponent)


def wanted_sizes(tune: TuneConfig, grid: GridConfig) -> list[float]:
    """The parameter counts to tune at, ascending.

    Raises:
        UserError: neither sizes nor budgets to take them from.
    """
    if tune.params:
        return sorted(tune.params)
    if not grid.budgets:
        raise UserError(
            "tune.params: name the sizes, e.g. 'tune.params=[1e4,3e4,1e5]'; the grid has no budgets"
        )
    largest = grid.center_params * (max(grid.budgets) / grid.center_budget) ** grid.center_exponent
    last = max(1, tune.sizes - 1)
    return sorted(largest * tune.span ** (-i / last) for i in range(tune.sizes))


def make_tune_plan(
    name: str, shapes: Sequence[Shape], tune: TuneConfig, rules: Rules, corpus: CorpusFacts, max_epochs: float
) -> TunePlan:
    """The cells of a tuning, by size, batch, rate and seed.

    A multiple of the batch that rounds to the same whole sequences as another is one batch, trained once.

    Raises:
        UserError: no sizes, more than the ladder has, not a single point is long enough, or learning rates of which
            Muon's is not one.
    """
    # runs of one size are compared at one D, whatever the optimizer's steps cost at each batch
    rules = replace(rules, grid=replace(rules.grid, count_optimizer=False))
    _check_optimizer(tune, rules)
    cells: list[Cell] = []
    skipped: list[Skipped] = []
    sizes = []
    wanted = wanted_sizes(tune, rules.grid)
    for params in tune.params:
        near(shapes, params)
    check_reach(shapes, wanted, "tune:")
    for shape in spread(shapes, wanted):
        size = _size(shape, tune, rules, corpus, max_epochs)
        budget = size.tokens * flops_per_token(shape, rules.seq_len, rules.grid.count)
        mine: dict[str, Cell] = {}
        for batch in _batches(size, tune, rules.seq_len):
            if size.tokens / batch < tune.min_steps:
                steps = f"{counted(round(size.tokens / batch), 'step')} only at a batch of {batch}"
                reason = f"{steps} (tune.min_steps is {tune.min_steps})"
                skipped.append(Skipped(budget, size.params_total, reason))
                continue
            for rate in tune.rates:
                recipe = held_recipe(rules.recipe, rate * size.rate, batch)
                for seed in tune.seeds:
                    cell = plan_cell(shape, budget, seed, replace(rules, recipe=recipe), corpus)
                    mine.setdefault(cell.run_id, cell)
        cells += mine.values()
        sizes.append(replace(size, run_ids=tuple(mine)))
    if not cells:
        raise UserError(
            f"tune: nothing to train: {skipped[0].reason}; larger sizes or more tokens have more steps"
        )
    return TunePlan(Plan(name, tuple(cells), tuple(skipped)), tuple(sizes), rules.base.params)


def _check_optimizer(tune: TuneConfig, rules: Rules) -> None:
    """Refuse to vary the learning rate under Muon: it is AdamW's, of embedding, head and norms alone."""
    if rules.optimizer.kind == "muon" and len(tune.rates) > 1:
        raise UserError(
            "tune.rates: under optimizer=muon a grid varies AdamW's learning rate alone (of embedding, head and norms) "
            "and keeps that of the matrices; tune both with tune=sequential tune.axes=[rate,muon], or the batch alone "
            "with tune.rates=[1]"
        )


def held_recipe(recipe: RecipeConfig, rate: float, batch_tokens: int) -> RecipeConfig:
    """``recipe`` with this rate and batch whatever the size; a short run keeps its batch too."""
    return replace(recipe, lr=Rule(value=rate), batch_tokens=Rule(value=batch_tokens), min_steps=1)


def _size(shape: Shape, tune: TuneConfig, rules: Rules, corpus: CorpusFacts, max_epochs: float) -> TuneSize:
    params = count_params(shape)
    if tune.tokens:
        tokens = tune.tokens
    elif tune.tokens_per_param:
        tokens = tune.tokens_per_param * params.total
    else:
        per_token = flops_per_token(shape, rules.seq_len, rules.grid.count)
        tokens = center_budget(rules.grid, params.total) / per_token
    hyper = apply_recipe(rules.recipe, shape, tokens, rules.seq_len, rules.base, rules.optimizer)
    # a run's tokens are rounded to whole steps, perhaps up: leave room for half of the largest
    largest = hyper.batch_sequences * rules.seq_len * max(tune.batches)
    there_is = max(max_epochs * corpus.train_tokens - largest / 2, 1.0)
    capped = tokens > there_is
    if capped:
        tokens = there_is
        hyper = apply_recipe(rules.recipe, shape, tokens, rules.seq_len, rules.base, rules.optimizer)
    batch_tokens = hyper.batch_sequences * rules.seq_len
    n = params.count(rules.recipe.count)
    return TuneSize(shape, n, params.total, tokens, hyper.optimizer.lr, batch_tokens, capped)


def _batches(size: TuneSize, tune: TuneConfig, seq_len: int) -> list[int]:
    sequences = {max(1, round(multiple * size.batch_tokens / seq_len)) for multiple in tune.batches}
    return [count * seq_len for count in sorted(sequences)]


@dataclass(frozen=True)
class Trial:
    """One run: ``loss`` is nats per token, None where it diverged; ``size`` counts from 0."""

    run_id: str
    size: int
    rate: float
    batch_tokens: int
    seed: int
    loss: float | None


def trials_of(sizes: Sequence[TuneSize], records: Mapping[str, Record]) -> list[Trial]:
    """The runs that have a record, in the plan's order. A record without a loss diverged."""
    return [
        Trial(
            run_id=run_id,
            size=i,
            rate=record.spec["optimizer"]["lr"],
            batch_tokens=record.spec["batch_windows"] * record.spec["seq_len"],
            seed=record.spec["seed"],
            loss=record.loss,
        )
        for i, size in enumerate(sizes)
        for run_id in size.run_ids
        if (record := records.get(run_id)) is not None
    ]
