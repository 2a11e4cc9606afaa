"""From a number of parameters to a model that can be trained: shape, batch, rate and steps."""

from dataclasses import dataclass, field

from harness.errors import UserError
from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.family import ModelConfig
from harness.plan.flops import flops_per_token
from harness.plan.grid import GridConfig
from harness.plan.ladder import LadderConfig, build_ladder, near
from harness.plan.plan import Rules, plan_cell
from harness.plan.recipe import RecipeConfig
from harness.plan.schedule import ScheduleConfig
from harness.plan.shape import Shape
from harness.plan.throughput import ThroughputConfig


@dataclass
class ShapeRules:
    """What turns N and D into a run: the sizes to choose from and the recipe for the rest.

    Attributes:
        vocab_size: V of the tokenizer; the embedding and the head count in N.
        seq_len: tokens a window.
    """

    ladder: LadderConfig = field(default_factory=LadderConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    vocab_size: int = 32000
    seq_len: int = 2048

    def __post_init__(self) -> None:
        if self.vocab_size < 2 or self.seq_len < 2:
            raise UserError("vocab_size and seq_len: must be at least 2")


@dataclass(frozen=True, kw_only=True)
class Target:
    """The model to build.

    Attributes:
        params: N wanted, by the parameter count ``count``.
        flops: training FLOPs to spend, by the FLOP count ``compute``; or
        tokens: training tokens, where those are what must not change.
    """

    params: float
    count: str = "total"
    compute: str = "6nd"
    flops: float | None = None
    tokens: float | None = None


@dataclass(frozen=True)
class _Elsewhere:
    """A corpus that a cell can be planned for before anyone has chosen one."""

    fingerprint: str = ""
    train_tokens: int = 1


def nearest_shape(rules: ShapeRules, target: Target) -> Shape:
    """The ladder's shape nearest to the target.

    Raises:
        UserError: the nearest is further than a factor of 1.5.
    """
    shapes = build_ladder(rules.ladder, rules.model, rules.vocab_size, rules.seq_len).shapes
    return near(shapes, target.params, target.count)


def plan_flops(
    rules: ShapeRules, shape: Shape, flops: float, compute: str, timing: Timing | None = None
) -> Cell:
    """The run of ``shape`` whose whole steps come nearest to ``flops`` training FLOPs, as ``compute`` counts them."""
    plan_rules = Rules(
        grid=GridConfig(budgets=[flops], count=compute),
        recipe=rules.recipe,
        schedule=rules.schedule,
        timing=timing or Timing(ThroughputConfig()),
        seq_len=rules.seq_len,
        eval_tokens=1,
        precision="auto",
    )
    return plan_cell(shape, flops, 0, plan_rules, _Elsewhere())


def plan_target(rules: ShapeRules, target: Target, timing: Timing | None = None) -> Cell:
    """The run that the target becomes: whole steps nearest to its compute, or to its tokens.

    Args:
        timing: of the device that trains it, for the cell's estimate.

    Raises:
        UserError: no shape of the ladder is near.
    """
    shape = nearest_shape(rules, target)
    budget = target.flops
    if budget is None:
        if target.tokens is None:
            raise UserError("shape: needs training FLOPs or tokens")
        budget = target.tokens * flops_per_token(shape, rules.seq_len, target.compute)
    return plan_flops(rules, shape, budget, target.compute, timing)
