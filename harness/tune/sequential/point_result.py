"""One point of a tuning in rounds as it is reported."""

from collections.abc import Sequence

import numpy as np

from harness.fit.surface_design import in_box
from harness.fit.table import Array
from harness.tune.results import Interval
from harness.tune.rules import quantiles
from harness.tune.sequential.observed import SAME, Observed
from harness.tune.sequential.parts import Parts, log_centres
from harness.tune.sequential.points import Trainer
from harness.tune.sequential.results import AxisResult, PointResult, Value

FITTED = 2.0  # windows: a centre no further above the minimum has its excess from the surface


def point_result(
    trainer: Trainer, observed: Observed, parts: Parts | None, rules: Sequence[AxisResult], p: int
) -> PointResult:
    """Point ``p``: its minimum, and what the recipe tuned from and the new rules cost there.

    Args:
        parts: None without a surface.
    """
    point, mine = trainer.points[p], observed.point == p
    losses = observed.loss[mine]
    finite = losses[np.isfinite(losses)]
    said = np.log([_said(trainer, rules, j, p) for j in range(len(trainer.axes))])
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
        values = {
            axis.name: Value(point.centre[axis.name], float(np.exp(said[j])), None, None, "flat")
            for j, axis in enumerate(trainer.axes)
        }
        return PointResult(**plain, used=0, loss_opt=None, values=values)  # type: ignore[arg-type]
    surfaces, centre = parts.surfaces, log_centres(trainer)[p]
    lowest = _lowest(parts, p)
    level = float(surfaces.level[p] + surfaces.rise(p, lowest))
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
    at_centre = mine & (np.abs(observed.h) < SAME).all(axis=1) & np.isfinite(observed.loss)
    recipe: float | None = float(surfaces.level[p] + surfaces.rise(p, here)) - level
    if measured:
        seen = observed.loss[at_centre]
        recipe = float(seen.mean()) - level if len(seen) else None
    return PointResult(
        **plain,  # type: ignore[arg-type]
        used=int((mine & surfaces.used).sum()),
        loss_opt=level,
        values=values,
        recipe_excess=recipe,
        recipe_excess_interval=None if measured else _excess_bound(parts, p, here),
        recipe_excess_measured=measured and recipe is not None,
        rule_excess=float(surfaces.level[p] + surfaces.rise(p, there)) - level,
        rule_excess_interval=_excess_bound(parts, p, there),
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


def _excess_bound(parts: Parts, p: int, h: Array) -> Interval | None:
    """From 0 to the upper bound of the excess at h: draws' excesses over their own minima are never below zero.

    None where the minimum is beyond what was tried: nothing bounds it.
    """
    surfaces = parts.surfaces
    if any(parts.status[j][p] in ("beyond", "cliff") for j in range(len(surfaces.active))):
        return None
    off = np.where(surfaces.active, h - surfaces.drawn[:, p], 0.0)
    excess = 0.5 * surfaces.scale[p] * np.einsum("di,dij,dj->d", off, surfaces.drawn_bend, off)
    found = quantiles(excess, 2 * parts.level - 1)
    return None if found is None else (0.0, max(0.0, found[1]))


def _said(trainer: Trainer, rules: Sequence[AxisResult], j: int, p: int) -> float:
    """What the new rule of axis ``j`` says at point ``p``."""
    axis, point = trainer.axes[j], trainer.points[p]
    value = rules[j].rule(point.params if axis.name == "batch" else point.read_params, point.tokens)
    if axis.name == "batch":
        return min(value, point.tokens / trainer.rules.recipe.min_steps)
    return value
