"""The law fitted to many variants of one table at once: what a bootstrap, a backtest and a bias estimate need.

One descent for all draws together, in numpy: reweighted Gauss-Newton steps with Levenberg's damping. It reaches the
optimum of :func:`harness.fit.law_solver.refit_lbfgs` and takes a fifth to a twentieth of its time.
"""

import numpy as np

from harness.fit import law_solver
from harness.fit.law_solver import Data
from harness.fit.table import Array

ITERATIONS = 300
TOLERANCE = 1e-9
MOST_DAMPING = 1e7
CHUNK = 4_000_000  # numbers held at once


def refit_draws(data: Data, log_loss: Array, weights: Array, delta: float, start: Array) -> Array:
    """Centred theta of every draw, shape (draws, 5): the minimum of the sum of w * Huber_delta near ``start``.

    Args:
        data: the runs; its own ``log_loss`` is not read.
        log_loss: ln L, (draws, n) or (1, n). weights: (draws, n) or (1, n). They broadcast against each other.
        delta: Huber's delta on log residuals; ``inf`` is least squares.
        start: centred theta (5,), the full fit's.

    A draw that does not converge is solved by L-BFGS instead; one that runs away has entries that are not finite.
    """
    log_loss, weights = np.broadcast_arrays(log_loss, weights)
    size = max(1, CHUNK // (12 * max(log_loss.shape[1], 1)))
    parts = [
        _descend(data, log_loss[i : i + size], weights[i : i + size], delta, start)
        for i in range(0, len(log_loss), size)
    ]
    return np.concatenate(parts) if parts else np.empty((0, 5))


def predict_draws(theta: Array, data: Data) -> Array:
    """ln L of the laws theta (draws, 5) at the runs, shape (draws, n)."""
    return _parts(theta, data)[3]


def _parts(theta: Array, data: Data) -> tuple[Array, Array, Array, Array]:
    """The floor, size and data terms as shares of the loss, and ln L, each (draws, n)."""
    floor = np.exp(theta[:, :1])
    size = np.exp(theta[:, 1:2] - theta[:, 3:4] * data.x)
    tokens = np.exp(theta[:, 2:3] - theta[:, 4:5] * data.y)
    total = floor + size + tokens
    return floor / total, size / total, tokens / total, np.log(total)


def _objective(residual: Array, weights: Array, delta: float) -> Array:
    clipped = np.clip(residual, -delta, delta)
    return np.sum(weights * clipped * (residual - clipped / 2), axis=1)


def _descend(data: Data, log_loss: Array, weights: Array, delta: float, start: Array) -> Array:
    theta = np.repeat(np.asarray(start, dtype=float)[None], len(log_loss), axis=0)
    damping = np.full(len(theta), 1e-3)
    with np.errstate(all="ignore"):
        reached = _objective(_parts(theta, data)[3] - log_loss, weights, delta)
        left = np.arange(len(theta))
        for _ in range(ITERATIONS):
            floor, size, tokens, fitted = _parts(theta[left], data)
            residual = fitted - log_loss[left]
            pull = weights[left] * np.minimum(1.0, delta / np.maximum(np.abs(residual), 1e-300))
            jacobian = np.stack((floor, size, tokens, -data.x * size, -data.y * tokens), axis=2)
            weighted = (jacobian * pull[:, :, None]).transpose(0, 2, 1)
            gram, slope = weighted @ jacobian, (weighted @ residual[:, :, None])[:, :, 0]
            scale = np.einsum("bii->bi", gram)
            # A parameter that the runs of a draw do not see has a zero here, and would leave no system to solve.
            scale = np.maximum(scale, 1e-10 * scale.max(axis=1, keepdims=True) + 1e-300)
            damped = gram + (damping[left][:, None] * scale)[:, :, None] * np.eye(5)
            stepped = theta[left] - _solved(damped, slope)
            now = _objective(_parts(stepped, data)[3] - log_loss[left], weights[left], delta)
            before = reached[left]
            lower = now <= before
            theta[left[lower]], reached[left[lower]] = stepped[lower], now[lower]
            damping[left] = np.where(lower, np.maximum(damping[left] / 10, 1e-12), damping[left] * 10)
            settled = (lower & (before - now <= TOLERANCE * before)) | (damping[left] > MOST_DAMPING)
            left = left[~settled]
            if not len(left):
                break
    for i in left:
        held = weights[i] > 0
        one = Data(data.x[held], data.y[held], log_loss[i][held], data.mean_x, data.mean_y)
        theta[i] = law_solver.refit_lbfgs(one, delta, weights[i][held], [theta[i]]).theta
    return theta


def _solved(gram: Array, slope: Array) -> Array:
    """gram^-1 slope of every draw (draws, 5); NaN, which no step accepts, where the matrix is not finite."""
    whole = np.isfinite(gram).all(axis=(1, 2)) & np.isfinite(slope).all(axis=1)
    steps = np.full(slope.shape, np.nan)
    if whole.any():
        steps[whole] = np.linalg.solve(gram[whole], slope[whole][:, :, None])[:, :, 0]
    return steps
