"""One point of a tuning in rounds as it is reported."""

from collections.abc import Sequence

import numpy as np

from harness.fit.surface_design import in_box
from harness.fit.table import Array
from harness.tune.results import Interval
from harness.tune.rules import quantiles
from harness.tune.sequential.lowest_runs import lowest_runs
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.parts import Parts, log_centres
from harness.tune.sequential.points import Trainer
from harness.tune.sequential.results import AxisResult, PointResult, Value

FITTED = 2.0  # windows: a centre no further above the minimum has its excess from the surface


def point_result(
    trainer: Trainer,
    observed: Observed,
    parts: Parts | None,
    rules: Sequence[AxisResult],
    p: int,
    alone: bool = False,
) -> PointResult:
    """Point ``p``: its minimum, and what the recipe tuned from and the new rules cost there.

    Args:
        parts: None without a surface.
        alone: whether others have one, and this point has too few runs to take part.
    """
    point, mine = trainer.points[p], observed.point == p
    losses = observed.loss[mine]
    finite = losses[np.isfinite(losses)]
    said = np.log(
        [trainer.said(one.rule, axis.name, point) for one, axis in zip(rules, trainer.axes, strict=True)]
    )
    plain = {
        "shape": point.shape.label,
        "params": point.params,
        "params_total": point.params_total,
        "tokens": point.tokens,
        "runs": len(losses),
        "diverged": len(losses) - len(finite),
        "loss_lowest": float(finite.min()) if len(finite) else None,
    }
    if parts is None:
        status = "diverged" if not len(finite) else "too_few_runs" if alone else "flat"
        values = {
            axis.name: Value(point.centre[axis.name], float(np.exp(said[j])), None, None, status)
            for j, axis in enumerate(trainer.axes)
        }
        return PointResult(**plain, used=0, loss_opt=None, values=values)  # type: ignore[arg-type]
    surfaces, centre = parts.surfaces, log_centres(trainer)[p]
    lowest = _lowest(parts, p)
    # what the best value that was tried gains along an axis without a minimum, the mean of the points
    gain = sum(one.gain or 0.0 for one in rules)
    level = float(surfaces.level[p] + surfaces.rise(p, lowest)) - gain
    values = {}
    for j, axis in enumerate(trainer.axes):
        active = bool(surfaces.active[j])
        ends = quantiles(surfaces.drawn[:, p, j], parts.level) if active else None
        values[axis.name] = Value(
            centre=point.centre[axis.name],
            rule=float(np.exp(said[j])),
            best=float(np.exp(centre[j] + lowest[j])) if active else None,
            interval=None
            if ends is None or parts.status[j][p] != "ok"
            else (float(np.exp(centre[j] + ends[0])), float(np.exp(centre[j] + ends[1]))),
            status=parts.status[j][p],
        )
    here, there = np.zeros(len(said)), said - centre
    measured = float(surfaces.rise(p, here)) > FITTED * surfaces.window
    fitted = float(surfaces.level[p] + surfaces.rise(p, here)) - level
    own = lowest_runs(observed, surfaces, p, level, fitted, parts.level)
    recipe: float | None = fitted + own.below
    if measured:
        recipe = None if own.centre is None else own.centre - level + own.below
    elif own.recipe is not None:
        recipe, measured = own.recipe, True
    rule = float(surfaces.level[p] + surfaces.rise(p, there)) - gain - level + own.below
    more = sum(one.gain_interval[1] for one in rules if one.gain_interval is not None)
    return PointResult(
        **plain,  # type: ignore[arg-type]
        used=int((mine & surfaces.used).sum()),
        loss_opt=level,
        values=values,
        recipe_excess=recipe,
        recipe_excess_interval=None if measured or own.below else _excess_bound(parts, p, here, more),
        recipe_excess_measured=measured and recipe is not None,
        rule_excess=rule,
        rule_excess_interval=None if own.below else _excess_bound(parts, p, there),
        below=own.below,
    )


def _lowest(parts: Parts, p: int) -> Array:
    """h of the lowest point of a point's surface within what it tried, (q,)."""
    surfaces, (low, high) = parts.surfaces, parts.observed.tried()
    axes = np.flatnonzero(surfaces.active)
    if all(parts.status[j][p] == "ok" for j in axes):
        return surfaces.best[p]
    found = np.zeros(len(surfaces.active))
    bend = surfaces.bend[np.ix_(axes, axes)]
    found[axes] = in_box(surfaces.best[[p]][:, axes], bend, low[[p]][:, axes], high[[p]][:, axes])[0]
    return found


def _excess_bound(parts: Parts, p: int, h: Array, more: float = 0.0) -> Interval | None:
    """From 0 to the upper bound of the excess at h: draws' excesses over their own minima are never below zero.

    None where the minimum is beyond what was tried: nothing bounds it.

    Args:
        more: the upper bound of what the axes without a minimum add.
    """
    surfaces = parts.surfaces
    if any(parts.status[j][p] in ("beyond", "cliff") for j in range(len(surfaces.active))):
        return None
    found = quantiles(surfaces.drawn_rise(p, h), 2 * parts.level - 1)
    return None if found is None else (0.0, max(0.0, found[1]) + more)
