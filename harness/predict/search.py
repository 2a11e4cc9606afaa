"""Minima and draws of laws that have no closed form."""

from collections.abc import Callable

import numpy as np

from harness.fit.surface import ParametricLaw, Surface
from harness.fit.table import Array

POINTS = 64
SEARCHED = 200
"""Bootstrap draws of such a law, evenly taken, of which each is a search of its own."""


def minimise(values: Callable[[Array], Array], low: float, high: float) -> float:
    """Where a function of an array is lowest in [low, high], to 1e-9: a grid, refined around its lowest point."""
    while high - low > 1e-9:
        grid = np.linspace(low, high, POINTS)
        best = int(np.argmin(values(grid)))
        low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    return 0.5 * (low + high)


def searched(laws: ParametricLaw) -> range:
    """Which draws to search: all, or of a law without a closed form about :data:`SEARCHED`."""
    every = max(1, len(laws.theta) // SEARCHED) if isinstance(laws, Surface) else 1
    return range(0, len(laws.theta), every)
