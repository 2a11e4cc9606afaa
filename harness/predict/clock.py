"""From N and D to a run: its shape, batch, learning rate and steps, and how long it takes on a device.

The clock is the time model of a device as a function of N and D, for any size between those of a ladder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from harness.bounds import bounded, check_bounds
from harness.errors import UserError
from harness.fit.table import Array
from harness.model.counts import count_params, flops_per_token
from harness.model.ladder import LadderConfig, build_ladder, near
from harness.model.parametrization import ParametrizationConfig
from harness.model.shape import ModelConfig, Shape
from harness.plan.base import Base, resolve_base
from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.grid import GridConfig
from harness.plan.plan import AssumedCorpus, Rules, plan_cell, plan_spec
from harness.plan.recipe_rules import OptimizerConfig, RecipeConfig
from harness.plan.schedule import ScheduleConfig
from harness.plan.spec import RunSpec
from harness.plan.throughput import ThroughputConfig


@dataclass
class ShapeRules:
    """What turns N and D into a run: the sizes to choose from and the recipe for the rest.

    Attributes:
        optimizer, parametrization: what, beside the recipe, says how a run is trained.
        vocab_size: V of the tokenizer; the embedding and the head count in N.
        seq_len: tokens of a sequence.
    """

    ladder: LadderConfig = field(default_factory=LadderConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    recipe: RecipeConfig = field(default_factory=RecipeConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    parametrization: ParametrizationConfig = field(default_factory=ParametrizationConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    vocab_size: int = bounded(32000, 2, 100_000_000)
    seq_len: int = bounded(2048, 2, 1 << 24)

    def __post_init__(self) -> None:
        check_bounds(self)

    def shapes(self) -> Sequence[Shape]:
        """The sizes of the ladder."""
        return build_ladder(self.ladder, self.model, self.vocab_size, self.seq_len).shapes

    def base(self) -> Base:
        """The base of the parametrization: as in a plan, of this ladder.

        Raises:
            UserError: nothing says which.
        """
        return resolve_base(self.parametrization, self.recipe, self.shapes())


@dataclass(frozen=True, kw_only=True)
class Target:
    """The model to build.

    Attributes:
        params: N wanted, by the parameter count ``count``.
        flops: training FLOPs to spend, by the FLOP count ``compute``; or
        tokens: training tokens, where those are what must not change.
        count_optimizer: ``flops`` have the optimizer's own steps in them.
    """

    params: float
    count: str = "total"
    compute: str = "6nd"
    flops: float | None = None
    tokens: float | None = None
    count_optimizer: bool = False


def nearest_shape(rules: ShapeRules, target: Target) -> Shape:
    """The ladder's shape nearest to the target.

    Raises:
        UserError: the nearest is further than a factor of 1.5.
    """
    return near(rules.shapes(), target.params, target.count)


def plan_flops(
    rules: ShapeRules,
    shape: Shape,
    flops: float,
    compute: str,
    timing: Timing | None = None,
    base: Base | None = None,
    count_optimizer: bool = False,
) -> Cell:
    """The run of ``shape`` whose whole steps come nearest to ``flops`` training FLOPs, as ``compute`` counts them.

    Its cooldown ends with it: one length for the schedules of a sweep's runs (``schedule.tokens``) is theirs alone.

    Args:
        base: :meth:`ShapeRules.base`, by who asks often.
        count_optimizer: ``flops`` pay for the optimizer's own steps, too.
    """
    plan_rules = _plan_rules(rules, compute, timing or Timing(ThroughputConfig()), base, count_optimizer)
    return plan_cell(shape, flops, 0, plan_rules, AssumedCorpus("any", shape.vocab_size))


def _plan_rules(
    rules: ShapeRules, compute: str, timing: Timing, base: Base | None = None, count_optimizer: bool = False
) -> Rules:
    return Rules(
        grid=GridConfig(count=compute, count_optimizer=count_optimizer),
        recipe=rules.recipe,
        schedule=replace(rules.schedule, tokens=0.0, share_trunk=False),
        timing=timing,
        seq_len=rules.seq_len,
        eval_tokens=1,
        precision="auto",
        optimizer=rules.optimizer,
        base=base or rules.base(),
    )


def plan_target(rules: ShapeRules, target: Target, timing: Timing | None = None) -> Cell:
    """The run that the target becomes: whole steps nearest to its compute, or to its tokens.

    Args:
        timing: of the device that trains it, for the cell's estimate.

    Raises:
        UserError: no shape of the ladder is near.
    """
    shape = nearest_shape(rules, target)
    budget, counted = target.flops, target.count_optimizer
    if budget is None:
        counted = False
        if target.tokens is None:
            raise UserError("shape: needs training FLOPs or tokens")
        budget = target.tokens * flops_per_token(shape, rules.seq_len, target.compute)
    return plan_flops(rules, shape, budget, target.compute, timing, count_optimizer=counted)


DECADES, PER_DECADE = (3, 17), 4  # tokens that are looked at: 1e3 to 1e17


class _Runs:
    """The runs that rules make of a grid of N and D, whatever device trains them."""

    def __init__(self, rules: ShapeRules, count: str) -> None:
        self.rules = rules
        shapes = rules.shapes()
        base = rules.base()
        sizes = [count_params(shape).count(count) for shape in shapes]
        order = np.argsort(sizes, kind="stable")
        self._shapes: Sequence[Shape] = [shapes[i] for i in order]
        self._plan_rules = _plan_rules(rules, "6nd", Timing(ThroughputConfig()), base)
        self.params: Array = np.array(sizes, dtype=float)[order]

    @cached_property
    def log_tokens(self) -> Array:
        """(tokens,): log D of the grid, evenly."""
        first, last = DECADES
        return np.log(10.0) * np.linspace(first, last, (last - first) * PER_DECADE + 1)

    @cached_property
    def specs(self) -> list[list[RunSpec]]:
        """Of every shape the run at each number of tokens of the grid."""
        return [
            [self._spec(shape, float(tokens)) for tokens in np.exp(self.log_tokens)] for shape in self._shapes
        ]

    def _spec(self, shape: Shape, tokens: float) -> RunSpec:
        flops = tokens * flops_per_token(shape, self.rules.seq_len, "6nd")
        return plan_spec(shape, flops, 0, self._plan_rules, AssumedCorpus("any", shape.vocab_size))


class Clock:
    """Seconds of a training on a device, by shape and recipe: interpolated in the logarithms of N, D and time.

    Between two sizes of the ladder a model takes what lies between them; above the largest, time grows as N (it is
    bound by its FLOPs), below the smallest it does not fall (it is bound by launches).
    """

    def __init__(self, rules: ShapeRules, timing: Timing, count: str = "total") -> None:
        """Of the runs that ``rules`` make of N (counted as ``count``) and D, on the device of ``timing``."""
        self.timing = timing
        self._runs = _Runs(rules, count)

    def on(self, timing: Timing) -> "Clock":
        """The clock of another device for the same runs, which are planned once for both."""
        clock = Clock.__new__(Clock)
        clock.timing, clock._runs = timing, self._runs
        return clock

    @property
    def params(self) -> Array:
        """(shapes,): N of the ladder's sizes, ascending."""
        return self._runs.params

    @property
    def log_tokens(self) -> Array:
        """(tokens,): log D of the grid, evenly."""
        return self._runs.log_tokens

    @property
    def start_seconds(self) -> float:
        """What every run takes before its first step."""
        return self.timing.throughput.startup_seconds

    @property
    def assumed(self) -> bool:
        """Whether its times were not measured on such a device, or Muon's part, where the runs have it, was not."""
        throughput = self.timing.throughput
        muon = self._runs.rules.optimizer.kind == "muon" and throughput.muon_time.assumed
        return throughput.assumed or muon

    def covers(self, params: float) -> bool:
        """Whether N lies within the ladder's sizes."""
        return bool(self.params[0] <= params <= self.params[-1])

    @cached_property
    def log_seconds(self) -> Array:
        """(shapes, tokens): log seconds on the grid; more tokens never take less time."""
        rows = [self._seconds_of(specs) for specs in self._runs.specs]
        return np.maximum.accumulate(np.log(rows), axis=1)

    def _seconds_of(self, specs: Sequence[RunSpec]) -> list[float]:
        """Of one shape at every number of tokens of the grid, as if steps could be parts of one."""
        found = []
        for spec, tokens in zip(specs, np.exp(self.log_tokens), strict=True):
            run = self.timing.run(spec, self.timing.choose_mode([spec]))
            found.append(run.start + run.compile + run.steps * float(tokens) / spec.tokens)
        return found

    def seconds(self, params: Array | float, tokens: Array | float) -> Array:
        """Seconds on the clock of training N parameters on D tokens; arrays that broadcast against each other."""
        n, d = np.broadcast_arrays(np.log(np.asarray(params, float)), np.log(np.asarray(tokens, float)))
        # the time of every shape at each D, then between the two shapes around each N
        at_tokens = np.stack([np.interp(d, self.log_tokens, row) for row in self.log_seconds])
        beyond = np.maximum(0.0, n - np.log(self.params[-1]))
        return np.exp(_between(n, np.log(self.params), at_tokens) + beyond)

    def tokens(self, params: Array | float, seconds: float) -> Array:
        """Tokens that models of N parameters, sizes of the ladder or between them, are trained on in ``seconds``.

        NaN where the start alone takes longer, or where there is time for more tokens than are looked at.
        """
        n, wanted = np.log(np.asarray(params, float)), np.log(seconds)
        per_shape = []
        for row in self.log_seconds:
            # where a row is flat, the most tokens of that time
            unique, last = np.unique(row[::-1], return_index=True)
            tokens = self.log_tokens[::-1][last]
            per_shape.append(np.interp(wanted, unique, tokens) if row[0] < wanted < row[-1] else np.nan)
        at_time = np.array(per_shape)[(...,) + (None,) * n.ndim] + np.zeros(n.shape)
        return np.exp(_between(n, np.log(self.params), at_time))


def _between(n: Array, sizes: Array, values: Array) -> Array:
    """``values`` (sizes, ...) interpolated linearly at ``n`` (...) along the ascending ``sizes``; held at the ends."""
    if len(sizes) == 1:
        return values[0]
    upper = np.clip(np.searchsorted(sizes, n), 1, len(sizes) - 1)
    low, high = sizes[upper - 1], sizes[upper]
    share = np.clip((n - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    below = np.take_along_axis(values, (upper - 1)[None], axis=0)[0]
    above = np.take_along_axis(values, upper[None], axis=0)[0]
    return (1 - share) * below + share * above
