"""What the results of a tuning in rounds are made of: surfaces, the points' best values, and the rules through them."""

from dataclasses import dataclass

import numpy as np

from harness.fit.table import Array
from harness.tune.config import TuneConfig
from harness.tune.sequential.next_runs import beyond
from harness.tune.sequential.observed import Flags, Observed
from harness.tune.sequential.point_surfaces import PointSurfaces
from harness.tune.sequential.points import Trainer
from harness.tune.sequential.rules import BestValues, Rules, fit_rules
from harness.tune.sequential.terms import Places


@dataclass(frozen=True, eq=False)
class Parts:
    """What the results are made of; ``status`` (q, points)."""

    trainer: Trainer
    observed: Observed
    surfaces: PointSurfaces
    places: Places
    best: BestValues
    rules: Rules
    status: list[list[str]]
    level: float

    def row(self, axis: str) -> int | None:
        """Where ``axis`` is among those with a minimum."""
        return self.best.axes.index(axis) if axis in self.best.axes else None


def parts_of(trainer: Trainer, observed: Observed, surfaces: PointSurfaces, tune: TuneConfig) -> Parts:
    """The rules through the minima of ``surfaces`` that are within what was tried."""
    steps = np.log([tune.steps[axis.name] for axis in trainer.axes])
    outside = beyond(observed, surfaces, steps)
    status = [
        [_status(observed, surfaces, bool(outside[p, j]), p, j) for p in range(observed.points)]
        for j in range(len(trainer.axes))
    ]
    usable = np.array([[one == "ok" for one in points] for points in status])
    best = best_values(observed.names, log_centres(trainer), surfaces, usable)
    places = trainer.places()
    rules = fit_rules(best, places, surfaces.freedom)
    return Parts(trainer, observed, surfaces, places, best, rules, status, tune.level)


def _status(observed: Observed, surfaces: PointSurfaces, outside: bool, p: int, j: int) -> str:
    if not outside:
        return "ok" if surfaces.active[j] else "flat"
    gone = observed.h[(observed.point == p) & np.isnan(observed.loss), j]
    _, high = observed.tried()
    upwards = surfaces.best[p, j] > high[p, j] if surfaces.active[j] else surfaces.slope[p, j] < 0
    return "cliff" if upwards and (gone > high[p, j]).any() else "beyond"


def best_values(names: tuple[str, ...], centre: Array, surfaces: PointSurfaces, usable: Flags) -> BestValues:
    """The minima of the axes that have one, with their covariance and draws.

    Args:
        centre: ln of the values that h is over, (points, q).
        usable: which minima are within what was tried, (q, points) bool.
    """
    axes, points = np.flatnonzero(surfaces.active).tolist(), len(centre)
    size = np.linalg.norm(surfaces.solved.rows, axis=0)
    root = (
        surfaces.jacobian() @ (np.linalg.pinv(surfaces.solved.rows / size) / size[:, None]) * surfaces.noise
    )
    covariance = (root @ root.T).reshape(points, len(axes), points, len(axes)).transpose(1, 0, 3, 2)
    whole = np.isfinite(surfaces.drawn).all(axis=(1, 2))
    return BestValues(
        axes=tuple(names[j] for j in axes),
        y=(centre + surfaces.best).T[axes],
        usable=usable[axes],
        covariance=covariance.reshape(points * len(axes), -1),
        drawn=np.swapaxes(centre + surfaces.drawn[whole], 1, 2)[:, axes],
    )


def log_centres(trainer: Trainer) -> Array:
    """ln of what the recipe tuned from says at every point, (points, q)."""
    return np.log([[point.centre[axis.name] for axis in trainer.axes] for point in trainer.points])
