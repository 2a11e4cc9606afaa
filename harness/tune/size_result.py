"""One size of a tuning, from its runs and its surface to its result."""

from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from harness.fit.table import Array
from harness.plan.recipe_rules import Rule
from harness.text import counted
from harness.tune.config import TuneConfig
from harness.tune.design import TuneSize
from harness.tune.minimum import Minimum, SizeRuns
from harness.tune.results import Interval, SizeResult
from harness.tune.rules import quantiles
from harness.tune.surface import BATCH, RATE, Surface

SAME = 0.02  # rates rounded to four digits, in ln


@dataclass(frozen=True, eq=False)
class SizeFit:
    """One size of the fit: its runs, which of them are near the minimum, its surface and its minimum, if any."""

    size: TuneSize
    runs: SizeRuns
    used: Array
    surface: Surface | None = None
    draws: Surface | None = None
    minimum: Minimum | None = None


class _Excess(TypedDict):
    recipe_excess: float | None
    recipe_excess_interval: Interval | None
    recipe_excess_measured: bool


def size_result(part: SizeFit, at: Minimum | None, rate: Rule, batch: float, tune: TuneConfig) -> SizeResult:
    """What is reported of a size.

    Args:
        at: the best rate at ``batch``, the tokens a step that the new recipe gives this size. rate: its rule.
    """
    size, runs, minimum = part.size, part.runs, part.minimum
    finite = runs.loss[np.isfinite(runs.loss)]
    result = SizeResult(
        params=size.params,
        params_total=size.params_total,
        tokens=size.tokens,
        runs=len(runs.loss),
        diverged=len(runs.loss) - len(finite),
        used=int(part.used.sum()),
        recipe_rate=size.rate,
        recipe_batch=size.batch_tokens,
        status="too_few_runs",
        flags=("too_few_runs",),
        notes=(
            f"{counted(len(finite), 'finished run')}, {int(part.used.sum())} near the minimum: no response surface"
            + ("; all diverged: lower the learning rate there" if len(runs.loss) and not len(finite) else ""),
        ),
        loss_lowest=float(finite.min()) if len(finite) else None,
        rule_rate=rate(size.params, size.tokens),
        rule_batch=batch,
        shape=size.shape.label,
    )
    if part.surface is None or minimum is None:
        return result
    result = _with_minimum(result, part, part.surface, minimum, tune.level)
    result = replace(result, **_recipe_excess(part, part.surface, minimum, tune.level))
    centres = np.array([size.rate, size.batch_tokens])
    rule_z = np.log(np.array([result.rule_rate, batch]) / centres)
    if np.all((rule_z >= runs.low - 1e-9) & (rule_z <= runs.high + 1e-9)):
        left = float(part.surface.value(rule_z)) - float(part.surface.value(minimum.z))
        result = replace(result, rule_excess=left)
    return result if at is None else _with_rate(result, part, at, tune.level)


def _with_minimum(
    result: SizeResult, part: SizeFit, surface: Surface, minimum: Minimum, level: float
) -> SizeResult:
    centres = (part.size.rate, float(part.size.batch_tokens))
    best = [float(np.exp(minimum.z[axis])) * centres[axis] for axis in (RATE, BATCH)]
    intervals = [_interval(minimum, axis, centres[axis], level) for axis in (RATE, BATCH)]
    ok = minimum.status == "ok"
    return replace(
        result,
        status=minimum.status,
        flags=minimum.flags,
        notes=minimum.notes,
        rate_opt=best[RATE] if ok else None,
        rate_interval=intervals[RATE] if ok else None,
        batch_opt=best[BATCH] if ok else None,
        batch_interval=intervals[BATCH] if ok else None,
        rate_best=best[RATE],
        batch_best=best[BATCH],
        loss_opt=float(surface.value(minimum.z)),
        loss_interval=None if part.draws is None else quantiles(part.draws.value(minimum.z), level),
        rate_bound=None if minimum.bound is None else float(np.exp(minimum.bound)) * centres[RATE],
        surface=surface,
    )


def _recipe_excess(part: SizeFit, surface: Surface, minimum: Minimum, level: float) -> _Excess:
    """Excess loss of the recipe at the grid's centre over the minimum, nats per token.

    Fitted where the centre is among the runs that the surface was fitted to: that has less noise than one
    run. Elsewhere the surface says nothing, and the mean of the runs at the centre is taken.
    """
    runs, lowest, centre = part.runs, float(surface.value(minimum.z)), np.zeros(2)
    at_centre = np.all(np.abs(runs.z) < SAME, axis=1)
    if (at_centre & part.used).any():
        # Each draw's excess is over its own minimum, so none is below zero and a lower end would hardly ever hold a
        # recipe without excess: only the upper bound, at ``level``, is told.
        interval: Interval | None = None
        if part.draws is not None:
            own = part.draws.box_minimum(runs.low, runs.high)
            excess = part.draws.value(centre) - part.draws.value(own)
            if (found := quantiles(excess, 2 * level - 1)) is not None:
                interval = (0.0, found[1])
        left: float | None = float(surface.value(centre)) - lowest
        return _Excess(recipe_excess=left, recipe_excess_interval=interval, recipe_excess_measured=False)
    seen = runs.loss[at_centre & np.isfinite(runs.loss)]
    left = float(seen.mean()) - lowest if len(seen) else None
    return _Excess(recipe_excess=left, recipe_excess_interval=None, recipe_excess_measured=left is not None)


def _with_rate(result: SizeResult, part: SizeFit, at: Minimum, level: float) -> SizeResult:
    """With the best rate at the rule's batch, and a note where its interval is wider than what was tried."""
    interval = _interval(at, RATE, part.size.rate, level) if at.status == "ok" else None
    low, high = (float(np.exp(end[RATE])) * part.size.rate for end in (part.runs.low, part.runs.high))
    notes = result.notes
    if interval is not None and (interval[0] < low / (1 + SAME) or interval[1] > high * (1 + SAME)):
        notes += (
            f"the learning rate's interval, {interval[0]:.3g} to {interval[1]:.3g}, is wider than those that trained",
        )
    return replace(
        result,
        rate_at_rule=float(np.exp(at.z[RATE])) * part.size.rate,
        rate_at_rule_interval=interval,
        rate_at_rule_status=at.status,
        notes=notes,
    )


def _interval(minimum: Minimum, axis: int, centre: float, level: float) -> Interval | None:
    if minimum.draws is None or axis not in minimum.axes:
        return None
    found = quantiles(minimum.draws[:, axis], level)
    return None if found is None else (float(np.exp(found[0])) * centre, float(np.exp(found[1])) * centre)
