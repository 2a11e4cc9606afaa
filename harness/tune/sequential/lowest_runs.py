"""Whether a point's lowest losses are lower than its surface and noise explain.

A surface of the wrong form, or one without a sure minimum along an axis, lies above the best runs: an excess over its
minimum is then too small, however exact it looks.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from harness.tune.sequential.observed import SAME, Observed
from harness.tune.sequential.point_surfaces import PointSurfaces


@dataclass(frozen=True)
class LowestRuns:
    """What a point's own runs say.

    Attributes:
        centre: mean loss of runs with the recipe's values, nats per token; None where none has finished.
        below: how far the best losses are below the fitted minimum: the lowest run's distance less what the lowest of
            so many runs is below its mean by chance; 0 where noise explains it all.
        recipe: the least excess of the recipe by its own runs, over the lowest losses; None where noise explains why
            it is more than the fitted one, or there are no such runs.
    """

    centre: float | None
    below: float
    recipe: float | None


def lowest_runs(
    observed: Observed, surfaces: PointSurfaces, p: int, minimum: float, recipe: float, level: float
) -> LowestRuns:
    """Of point ``p``.

    Args:
        minimum: its fitted loss at the best values. recipe: the fitted excess of the recipe over it.
        level: probability that no point of the tuning has one of these by noise alone.
    """
    mine = (observed.point == p) & np.isfinite(observed.loss)
    losses = observed.loss[mine]
    seen = observed.loss[mine & (np.abs(observed.h) < SAME).all(axis=1)]
    centre = float(seen.mean()) if len(seen) else None
    runs = int((mine & surfaces.used).sum())
    usual, most = _of_the_lowest(runs, surfaces.freedom, 1 - (1 - level) / observed.points)
    lowest = float(losses.min())
    floor = lowest + usual * surfaces.noise
    below = minimum - floor if minimum - lowest > most * surfaces.noise else 0.0
    least = None
    if centre is not None and len(seen):
        error = surfaces.noise * float(np.sqrt(1 + 1 / len(seen)))
        least = centre - floor if centre - lowest - recipe > most * error else None
    return LowestRuns(centre, max(0.0, below), least)


def _of_the_lowest(runs: int, freedom: int, level: float) -> tuple[float, float]:
    """How far the lowest of so many runs lies below their mean, in standard deviations: usually (Blom 1958), and at
    most with probability ``level``."""
    usual = float(ndtri((runs - 0.375) / (runs + 0.25)))
    return max(0.0, usual), float(stdtrit(freedom, level ** (1 / runs)))
