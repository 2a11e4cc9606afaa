"""Ablations: a cell with one hyperparameter at a multiple of its value, all else equal. Each is an entry of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import UserError
from harness.plan.cell import Cell
from harness.plan.recipe_rules import significant
from harness.plan.spec import RunSpec

ROUNDING = 0.01
"""A multiple that whole sequences or steps change by less is the one that was asked for."""


@dataclass(frozen=True)
class Hyperparameter:
    """One that ablations multiply.

    Attributes:
        label: in tables and sentences.
        times: the specification with it at a multiple; the same specification where that rounds to nothing.
        absent: why a cell does not have it; empty where it does.
        of_recipe: whether a recipe could choose another value: then it has part in the recipe's cost.
        under_muon: the label where Muon steps the matrices of the blocks; empty where that is the same.
        realised: of the specification before and after, the multiple that whole sequences or steps made of what was
            asked; None where any multiple can be had.
    """

    label: str
    times: Callable[[RunSpec, float], RunSpec]
    absent: Callable[[Cell], str] = lambda cell: ""
    of_recipe: bool = True
    under_muon: str = ""
    realised: Callable[[RunSpec, RunSpec], float] | None = None

    def called(self, muon: bool) -> str:
        """The label where Muon (or not) steps the matrices of the blocks."""
        return self.under_muon if muon and self.under_muon else self.label


def multiplied(*paths: str) -> Callable[[RunSpec, float], RunSpec]:
    """Multiplies the fields at these dotted paths of a specification; a path through None is left out."""

    def times(spec: RunSpec, factor: float) -> RunSpec:
        for path in paths:
            spec = _multiplied(spec, path.split("."), factor)
        return spec

    return times


def _multiplied(value: Any, path: Sequence[str], factor: float) -> Any:
    if value is None:
        return None
    if not path:
        return significant(factor * value)
    return replace(value, **{path[0]: _multiplied(getattr(value, path[0]), path[1:], factor)})


def _batch(spec: RunSpec, factor: float) -> RunSpec:
    """Another batch on as many tokens, as nearly as whole steps allow; warm-up keeps its share of the horizon."""
    sequences = max(1, round(factor * spec.batch_sequences))
    steps = max(1, round(spec.steps * spec.batch_sequences / sequences))
    ratio = steps / spec.steps
    length = max(steps, round(spec.schedule.steps * ratio))
    warmup = min(round(spec.schedule.warmup_steps * ratio), length - 1)
    schedule = replace(spec.schedule, steps=length, warmup_steps=warmup)
    return replace(spec, batch_sequences=sequences, steps=steps, schedule=schedule)


def _horizon(spec: RunSpec, factor: float) -> RunSpec:
    return replace(spec, schedule=replace(spec.schedule, steps=round(factor * spec.steps)))


def _without_decay(cell: Cell) -> str:
    muon = cell.spec.optimizer.muon
    decays = cell.spec.optimizer.weight_decay or (muon is not None and muon.weight_decay)
    return "" if decays else "recipe.weight_decay is 0 there"


def _without_head(cell: Cell) -> str:
    return "" if cell.params.head else "its head is tied to the embedding: followup.embedding_rates"


def _without_muon(cell: Cell) -> str:
    return "" if cell.spec.optimizer.muon else "it is trained by AdamW alone; set optimizer=muon"


HYPERPARAMETERS: dict[str, Hyperparameter] = {
    "rates": Hyperparameter(
        "peak learning rate", multiplied("optimizer.lr"), under_muon="AdamW's peak learning rate"
    ),
    "batches": Hyperparameter(
        "batch", _batch, realised=lambda before, after: after.batch_sequences / before.batch_sequences
    ),
    "weight_decays": Hyperparameter(
        "weight decay",
        multiplied("optimizer.weight_decay", "optimizer.muon.weight_decay"),
        _without_decay,
    ),
    "embedding_rates": Hyperparameter("embedding's learning rate", multiplied("groups.embedding.lr")),
    "head_rates": Hyperparameter("head's learning rate", multiplied("groups.head.lr"), _without_head),
    "muon_rates": Hyperparameter("Muon's learning rate", multiplied("optimizer.muon.lr"), _without_muon),
    "horizons": Hyperparameter(
        "length of the schedule",
        _horizon,
        of_recipe=False,
        realised=lambda before, after: after.schedule.steps / before.steps,
    ),
}
"""By the key of :class:`harness.plan.followup.FollowupConfig` that has the multiples. The peak learning rate is that of
all groups that AdamW steps; weight decay is Muon's, too."""


@dataclass(frozen=True)
class Ablation:
    """The cell ``of`` (a run id) with the hyperparameter ``changed`` at ``factor`` times its value.

    Attributes:
        changed: a key of :data:`HYPERPARAMETERS`.
        factor: the multiple that was asked for, or where whole sequences make more than :data:`ROUNDING` of a
            difference, the one that it became.
        neighbour: ``of`` is not its budget's best cell but one beside it.
    """

    of: str
    cell: Cell
    changed: str
    factor: float
    neighbour: bool = False


def ablate(
    cells: Sequence[Cell], multiples: Mapping[str, Sequence[float]], neighbour: bool = False
) -> list[Ablation]:
    """Each of ``cells`` with one hyperparameter after the other at each of its ``multiples``.

    A multiple that rounds to the cell's own value is left out (half of a batch of one sequence is one sequence), and so
    is one that rounds to what another became (three sequences, halved or taken three quarters of, are two): it would be
    the same run, with the same noise.

    Raises:
        UserError: a cell does not have the hyperparameter.
    """
    found = []
    for cell in cells:
        for key, factors in multiples.items():
            hyperparameter = HYPERPARAMETERS[key]
            if factors and (reason := hyperparameter.absent(cell)):
                raise UserError(
                    f"followup.{key}: {cell.spec.shape.label} at {cell.budget:.3g} has none: {reason}"
                )
            seen = {cell.spec}
            for factor in factors:
                spec = hyperparameter.times(cell.spec, factor)
                if spec not in seen:
                    seen.add(spec)
                    became = _became(hyperparameter, cell.spec, spec, factor)
                    found.append(Ablation(cell.run_id, _with(cell, spec), key, became, neighbour))
    return found


def _became(hyperparameter: Hyperparameter, before: RunSpec, after: RunSpec, asked: float) -> float:
    if hyperparameter.realised is None:
        return asked
    ratio = hyperparameter.realised(before, after)
    # budgets are compared at equal multiples, which rounding of a thousandth must not tell apart
    return asked if abs(ratio / asked - 1) < ROUNDING else significant(ratio)


def _with(cell: Cell, spec: RunSpec) -> Cell:
    """The cell of another ``spec`` of the same shape. A step is taken to be no shorter with a smaller batch."""
    tokens, steps = spec.tokens / cell.spec.tokens, spec.steps / cell.spec.steps
    flops = {count: value * tokens for count, value in cell.flops_by_count.items()}
    estimate = replace(cell.estimate, steps=cell.estimate.steps * max(tokens, steps))
    return replace(cell, spec=spec, flops_by_count=flops, estimate=estimate)
