"""Which points (N, D) a tuning in rounds has: every size at every horizon, but those that are too short."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.errors import UserError
from harness.model.counts import count_params, flops_per_token
from harness.model.ladder import check_reach, near, spread
from harness.model.shape import Shape
from harness.plan.plan import CorpusFacts, Rules, plan_cell
from harness.text import count, counted
from harness.tune.axes import AXES, Axis
from harness.tune.config import TuneConfig
from harness.tune.design import center_budget, wanted_sizes
from harness.tune.sequential.points import Trainer, TunePoint, label
from harness.tune.sequential.terms import apart

ROOM = 4  # batches: a run's tokens are whole steps, perhaps of a larger batch than the recipe's


def make_trainer(
    shapes: Sequence[Shape], tune: TuneConfig, rules: Rules, corpus: CorpusFacts, max_epochs: float
) -> Trainer:
    """The points of a tuning: every size at every horizon.

    Raises:
        UserError: no sizes, more than the ladder has, an axis that there is nothing of, or not a single point is long
            enough.
    """
    # runs of one point are compared at one D, whatever the optimizer's steps cost at each batch
    rules = replace(rules, grid=replace(rules.grid, count_optimizer=False))
    axes = tuple(AXES[name] for name in AXES if name in tune.axes)
    _check_axes(axes, rules)
    wanted = wanted_sizes(tune, rules.grid)
    for params in tune.params:
        near(shapes, params)
    check_reach(shapes, wanted, "tune:")
    found: dict[tuple[Shape, float], TunePoint] = {}
    left_out = []
    for shape in spread(shapes, wanted):
        for horizon in sorted(tune.horizons):
            point = _point(shape, horizon, axes, tune, rules, corpus, max_epochs)
            if (shape, point.tokens) in found:
                left_out.append(
                    f"N={count(point.params)} at horizon {horizon:g}: the corpus (data.max_epochs) has no more text "
                    "than for a shorter horizon"
                )
            found.setdefault((shape, point.tokens), point)
    enough = []
    for point in found.values():
        steps = point.tokens / point.centre["batch"]
        if steps >= tune.min_steps:
            enough.append(point)
            continue
        left_out.append(
            f"{label(point)}: {counted(int(steps), 'step')} only at the recipe's batch of {point.centre['batch']:.0f} "
            f"(tune.min_steps is {tune.min_steps})"
        )
    if not enough:
        raise UserError(
            f"tune: nothing to train: no point has tune.min_steps={tune.min_steps} steps; larger sizes or more tokens "
            "have more"
        )
    if "head" in tune.axes and any(point.shape.tied for point in enough):
        raise UserError("tune.axes: the head is tied to the embedding, so it has no learning rate of its own")
    if "rate" in tune.axes and left_out and len(tune.horizons) > 1 and not _apart(enough):
        left_out.append("the points that remain do not tell powers of N and of D apart")
    return Trainer(tuple(enough), axes, rules, corpus, max_epochs, tune.min_steps, tuple(left_out))


def _apart(points: Sequence[TunePoint]) -> bool:
    return apart(*np.log([[point.read_params, point.tokens] for point in points]).T)


def _check_axes(axes: Sequence[Axis], rules: Rules) -> None:
    for axis in axes:
        if axis.rule[0] == "muon" and rules.optimizer.kind != "muon":
            raise UserError(f"tune.axes: '{axis.name}' needs optimizer=muon")
        if axis.name == "weight_decay" and rules.optimizer.kind == "muon":
            raise UserError(
                "tune.axes: 'weight_decay' is AdamW's, and with optimizer=muon the matrices of the blocks have Muon's; "
                "take 'muon_weight_decay'"
            )
        if axis.before(rules.recipe).value <= 0:
            raise UserError(
                f"tune.axes: {axis.key}.value is 0, and a tuning tries multiples of it; set a positive one or leave "
                f"'{axis.name}' out"
            )


def _point(
    shape: Shape,
    horizon: float,
    axes: Sequence[Axis],
    tune: TuneConfig,
    rules: Rules,
    corpus: CorpusFacts,
    max_epochs: float,
) -> TunePoint:
    params = count_params(shape)
    per_token = flops_per_token(shape, rules.seq_len, rules.grid.count)
    if tune.tokens:
        tokens = horizon * tune.tokens
    elif tune.tokens_per_param:
        tokens = horizon * tune.tokens_per_param * params.total
    else:
        tokens = horizon * center_budget(rules.grid, params.total) / per_token
    wanted = [axis for axis in AXES.values() if axis.name in ("rate", "batch") or axis in axes]
    spec = plan_cell(shape, tokens * per_token, 0, rules, corpus).spec
    there_is = max(max_epochs * corpus.train_tokens - ROOM / 2 * spec.batch_tokens, 1.0)
    capped = tokens > there_is
    if capped:
        tokens = there_is
        spec = plan_cell(shape, tokens * per_token, 0, rules, corpus).spec
    own = float(params.count(rules.recipe.count))
    return TunePoint(
        shape=shape,
        params=int(own),
        read_params=own if rules.base.params is None else rules.base.params,
        params_total=params.total,
        tokens=tokens,
        capped=capped,
        centre={axis.name: axis.value(spec) for axis in wanted},
    )
