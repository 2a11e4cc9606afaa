"""Minimising a sum of Huber losses of log residuals so that the minimum is really reached.

Two things make the paper's recipe stop early (it then reports success): the objective is tiny (1e-3 for 240
runs, below default tolerances), and its parameters are so correlated that L-BFGS crawls. So residuals are
measured in units of delta, and the search runs in coordinates whitened by the Jacobian at the start.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from harness.fit.table import Array

# One unit of a whitened coordinate moves the residuals by this many units in all, so that L-BFGS's first
# step, of length one, is about the distance to the solution.
STEP = 10.0
GRADIENT_TOLERANCE = 1e-4

# theta (k,) -> (value, gradient (k,)), of the sum of Huber losses in units of delta^2.
Objective = Callable[[Array], tuple[float, Array]]


@dataclass(frozen=True, eq=False)
class Solution:
    """A minimum: its place theta (k,), the objective there (sum of Huber losses), and whether it is one."""

    theta: Array
    objective: float
    converged: bool


def huber_sum(residual: Array, delta: float, weights: Array | float = 1.0) -> Array:
    """Sum over the last axis of w * Huber_delta(r): r^2/2 within delta, delta (|r| - delta/2) beyond."""
    clipped = np.clip(residual, -delta, delta)
    return np.sum(weights * clipped * (residual - clipped / 2), axis=-1)


def unit(delta: float, residual: Array) -> float:
    """The scale that residuals are measured in: delta, or their size where that is smaller."""
    rms = float(np.sqrt(np.mean(residual**2)))
    return max(min(delta, rms), 1e-12)


def whitening(jacobian: Array) -> Array:
    """Coordinates (k, k) in which the Jacobian (n, k) of the residuals is orthonormal.

    Directions that the data do not see are kept short (a ridge), so the search cannot run away along them.
    """
    jacobian = np.nan_to_num(jacobian, posinf=0.0, neginf=0.0)
    scale = np.linalg.norm(jacobian, axis=0)
    scale[scale == 0] = 1.0
    gram = (jacobian / scale).T @ (jacobian / scale)
    squares, directions = np.linalg.eigh(gram)
    kept = np.sqrt(np.maximum(squares, 1e-12 * max(squares[-1], 1e-300)))
    return (directions / kept) / scale[:, None]


def solve(
    objective: Objective, start: Array, basis: Array, scale: float = 1.0, iterations: int = 500
) -> Solution:
    """L-BFGS from ``start`` (k,) in the coordinates ``basis`` (k, k).

    Args:
        objective: as ``Objective``, the sum of Huber losses and its gradient.
        scale: unit^2, which the objective is divided by inside the search.
        iterations: where a search along a valley without end is given up (and not called converged).
    """
    basis = basis * (STEP * np.sqrt(scale))

    def scaled(z: Array) -> tuple[float, Array]:
        value, gradient = objective(start + basis @ z)
        return value / scale, (gradient @ basis) / scale

    with np.errstate(all="ignore"):
        found = minimize(
            scaled,
            np.zeros(len(start)),
            jac=True,
            method="L-BFGS-B",
            options={
                "maxiter": iterations,
                "maxfun": 3 * iterations,
                "ftol": 1e-15,
                "gtol": GRADIENT_TOLERANCE,
                "maxcor": 20,
            },
        )
    steepest = float(np.max(np.abs(found.jac)))
    # A line search that cannot improve on rounding error ends "abnormally" at the minimum.
    converged = bool(np.isfinite(found.fun)) and (
        bool(found.success) or steepest < 1e-2 * max(1.0, found.fun)
    )
    return Solution(start + basis @ found.x, float(found.fun) * scale, converged)
