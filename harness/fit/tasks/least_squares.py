"""Nonlinear least squares of many starts or bootstrap draws at once, and the F test that chooses between two laws."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from harness.fit.budgets import Cells
from harness.fit.status import Flag
from harness.fit.table import Array
from harness.fit.tasks.points import cell_means

Model = Callable[[Array], tuple[Array, Array]]
"""Parameters (batch, p) to fitted values (batch, runs) and their derivatives (batch, runs, p)."""

MOST_STEPS = 200
SMALL_GAIN = 1e-9  # of the sum of squares in one step: there is nothing left to gain
MANY = 0.1  # of the draws at a bound
STUCK = 1e9  # a damping beyond this: no step helps


def least_squares(model: Model, y: Array, weights: Array, start: Array, bounds: Array) -> tuple[Array, Array]:
    """Levenberg-Marquardt with bounds, for every row of ``start`` (Nocedal & Wright 2006, section 10.3).

    A parameter at a bound that the fit would cross is held there for that step.

    Args:
        y: (runs,). weights: (batch, runs), how often each run counts. start: (batch, p), within ``bounds`` (2, p).

    Returns: parameters (batch, p) and weighted sums of squares (batch,).
    """
    theta = np.clip(start, bounds[0], bounds[1])
    value, slope = model(theta)
    cost = _cost(y, value, weights)
    damping = np.full(len(theta), 1e-3)
    left = np.arange(len(theta))
    for _ in range(MOST_STEPS):
        step = _step(y, value[left], slope[left], weights[left], damping[left], theta[left], bounds)
        tried = np.clip(theta[left] + step, bounds[0], bounds[1])
        its_value, its_slope = model(tried)
        its_cost = _cost(y, its_value, weights[left])
        gain = cost[left] - its_cost
        better = gain > 0
        done = (better & (gain <= SMALL_GAIN * cost[left])) | (damping[left] > STUCK)
        took = left[better]
        theta[took], value[took], slope[took] = tried[better], its_value[better], its_slope[better]
        cost[took] = its_cost[better]
        damping[left] = np.where(better, np.maximum(damping[left] * 0.3, 1e-12), damping[left] * 4)
        left = left[~done]
        if not len(left):
            break
    return theta, cost


def best_of(model: Model, y: Array, starts: Array, bounds: Array) -> Array:
    """The best fit (p,) to all runs, with equal weights, from any of ``starts`` (batch, p)."""
    theta, cost = least_squares(model, y, np.ones((len(starts), len(y))), starts, bounds)
    return np.asarray(theta[np.argmin(cost)])


def draw_fits(model: Model, y: Array, counts: Array, start: Array, laws: Sequence[Array]) -> Array:
    """The fit of every bootstrap draw under every law, from ``start`` (draws, p), shape (laws, draws, p).

    Args:
        counts: how often each run is in each draw, (draws, runs). laws: the bounds (2, p) of each.
    """
    return np.stack([least_squares(model, y, counts, start, bounds)[0] for bounds in laws])


def widening(cells: Cells, parameters: int) -> float:
    """What corrects the spread of draws of few cells, sqrt(cells / (cells - parameters)); at most 2.

    A fit follows its cells, so their residuals, which the bootstrap draws, are smaller than their errors.
    """
    n = int(cells.max()) + 1
    return float(np.sqrt(n / max(n - parameters, n / 4)))


def between_cells(residual: Array, cells: Cells) -> float:
    """Sum of squares of the cells' mean residuals, each as often as it has runs; ``residual`` (runs,)."""
    return float(np.sum(np.bincount(cells) * cell_means(residual, cells) ** 2))


def further_parameter_p(simple: Array, richer: Array, cells: Cells, parameters: int) -> float:
    """p value of an F test of one further parameter, from the residuals (runs,) of both laws.

    Cells are the observations, for seeds share what a law misses at their size and length.

    Args:
        parameters: of the richer law.

    Returns: 1 where there are no degrees of freedom left.
    """
    freedom = int(cells.max()) + 1 - parameters
    left = between_cells(richer, cells)
    gain = between_cells(simple, cells) - left
    if freedom < 1 or gain <= 0:
        return 1.0
    return float(fdtrc(1, freedom, gain / max(left / freedom, 1e-300)))


def bound_flags(theta: Array, drawn: Array, bounds: Array, names: Sequence[str]) -> list[Flag]:
    """``at_bound`` for each parameter that lies at a bound in the fit (p,) or in a tenth of its draws (draws, p).

    Args:
        names: of the parameters to look at, the first ones.
    """
    shown = len(names)
    mine = _at_bounds(theta, bounds)[:shown]
    share = _at_bounds(drawn, bounds).mean(axis=0)[:shown] if len(drawn) else np.zeros(shown)
    flags = []
    for name, held, lost in zip(names, mine, share, strict=True):
        if held:
            flags.append(Flag("at_bound", f"{name} lies at a bound of the fit"))
        elif lost > MANY:
            flags.append(Flag("at_bound", f"{name} lies at a bound in {lost:.0%} of the bootstrap draws"))
    return flags


def _at_bounds(theta: Array, bounds: Array) -> NDArray[np.bool_]:
    near = 1e-4 * (bounds[1] - bounds[0])
    return np.asarray((theta <= bounds[0] + near) | (theta >= bounds[1] - near))


def _cost(y: Array, value: Array, weights: Array) -> Array:
    return np.asarray(np.sum(weights * (y - value) ** 2, axis=1))


def _step(
    y: Array, value: Array, slope: Array, weights: Array, damping: Array, theta: Array, bounds: Array
) -> Array:
    weighted = slope * weights[:, :, None]
    gradient = np.einsum("bnp,bn->bp", weighted, y - value)
    normal = np.swapaxes(weighted, 1, 2) @ slope
    held = ((theta <= bounds[0]) & (gradient < 0)) | ((theta >= bounds[1]) & (gradient > 0))
    normal = np.where(held[:, :, None] | held[:, None, :], 0.0, normal)
    each = np.arange(theta.shape[1])
    diagonal = normal[:, each, each]
    # A parameter that nothing depends on has no curvature; it stays where it is.
    damped = diagonal * (1 + damping[:, None]) + 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    normal[:, each, each] = np.where(held, 1.0, damped)
    return np.asarray(np.linalg.solve(normal, np.where(held, 0.0, gradient)[:, :, None])[:, :, 0])
