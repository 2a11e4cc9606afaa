"""One model fitted to many variants of a table at once: reweighted Gauss-Newton steps with Levenberg's damping.

What a bootstrap, a backtest and a comparison of forms need. It reaches the optimum that L-BFGS reaches from the same
start, for all variants together, in a fraction of its time.
"""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.fit.forms.model import Bound, Model
from harness.fit.huber import huber_sum
from harness.fit.table import Array

ITERATIONS = 300
TOLERANCE = 1e-9
MOST_DAMPING = 1e7
CHUNK = 400_000  # numbers held at once
RESIDUALS = ("log", "relative", "absolute")


@dataclass(frozen=True)
class Misfit:
    """What is minimised: the sum of w * Huber_delta(r).

    Attributes:
        delta: Huber's, in the residuals' unit; ``inf`` is least squares.
        residual: r is ``log`` ln(fitted / measured), ``relative`` fitted / measured - 1, or ``absolute`` fitted less
            measured in nats per token.
    """

    delta: float = 1e-3
    residual: str = "log"

    def residuals(self, fitted: Array, measured: Array) -> Array:
        """Of ln L fitted and measured, of shapes that broadcast."""
        if self.residual == "relative":
            return np.expm1(fitted - measured)
        if self.residual == "absolute":
            return np.exp(fitted) - np.exp(measured)
        return fitted - measured

    def slope(self, fitted: Array, measured: Array) -> Array | float:
        """The residual's derivative by ln L fitted."""
        if self.residual == "relative":
            return np.exp(fitted - measured)
        return np.exp(fitted) if self.residual == "absolute" else 1.0


@dataclass(frozen=True, eq=False)
class Descended:
    """Free parameters (draws, q), the objective of each (draws,), and whether it settled (draws,)."""

    phi: Array
    objective: Array
    settled: NDArray[np.bool_]


def descend(
    bound: Bound,
    log_loss: Array,
    weights: Array,
    misfit: Misfit,
    start: Array,
    z: Array | None = None,
    tolerance: float = TOLERANCE,
) -> Descended:
    """The minimum near ``start`` of every draw.

    Args:
        log_loss: ln L measured, (draws, n) or (1, n). weights: (draws, n) or (1, n).
        start: free parameters, (q,) or (draws, q).
        z: the covariates, (n, columns).
        tolerance: relative fall of the objective in one step that counts as none.
    """
    asked = bound.model, _digest(bound, log_loss, weights, misfit, start, z, tolerance)
    known = _KEPT.get(asked)
    if known is None:
        known = _descended(bound, log_loss, weights, start, (misfit, z, tolerance))
        _KEPT.keep(asked, known)
    return known


_Asked = tuple[Model, bytes]


class _Kept:
    """The last answers: a table counted in several ways asks the same of its N, D and L once for every count of C."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[_Asked, Descended] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, asked: _Asked) -> Descended | None:
        with self._lock:
            return self._found.get(asked)

    def keep(self, asked: _Asked, found: Descended) -> None:
        for column in (found.phi, found.objective, found.settled):
            column.flags.writeable = False  # shared by all who ask
        with self._lock:
            self._found[asked] = found
            while len(self._found) > self._most:
                self._found.popitem(last=False)


_KEPT = _Kept(most=64)


def _digest(
    bound: Bound,
    log_loss: Array,
    weights: Array,
    misfit: Misfit,
    start: Array,
    z: Array | None,
    tolerance: float,
) -> bytes:
    """Equal where all that :func:`descend` is given is equal, number by number."""
    place = bound.place
    digest = hashlib.blake2b(repr((misfit, tolerance, place.mean_x, place.mean_y)).encode())
    for array in (place.x, place.y, bound.offset, bound.basis, log_loss, weights, start, z):
        digest.update(repr(None if array is None else (array.shape, array.dtype)).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _descended(
    bound: Bound, log_loss: Array, weights: Array, start: Array, how: tuple[Misfit, Array | None, float]
) -> Descended:
    start = np.atleast_2d(start)
    draws = max(len(log_loss), len(weights), len(start))
    n, q = log_loss.shape[1], start.shape[1]
    log_loss, weights, start = (
        np.broadcast_to(part, (draws, part.shape[1])) for part in (log_loss, weights, start)
    )
    size = max(1, CHUNK // ((q + 8) * max(n, 1)))
    parts = [
        _descend(bound, log_loss[i : i + size], weights[i : i + size], start[i : i + size], how)
        for i in range(0, draws, size)
    ]
    phi, objective, settled = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Descended(phi, objective, settled)


def _descend(
    bound: Bound, log_loss: Array, weights: Array, start: Array, how: tuple[Misfit, Array | None, float]
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """One chunk of :func:`descend`; ``how`` is its misfit, covariates and tolerance."""
    misfit, z, tolerance = how
    phi, q = np.array(start, dtype=float), start.shape[1]
    damping = np.full(len(phi), 1e-3)
    settled = np.zeros(len(phi), dtype=bool)

    def objective(at: Array, rows: NDArray[np.intp]) -> Array:
        fitted, _ = bound.evaluate(at, z, derivatives=False)
        found = huber_sum(misfit.residuals(fitted, log_loss[rows]), misfit.delta, weights[rows])
        return np.where(np.isfinite(found), found, np.inf)

    with np.errstate(all="ignore"):
        left = np.arange(len(phi))
        reached = objective(phi, left)
        for _ in range(ITERATIONS):
            fitted, jacobian = bound.evaluate(phi[left], z)
            residual = misfit.residuals(fitted, log_loss[left])
            slope = misfit.slope(fitted, log_loss[left])
            if misfit.residual != "log":
                jacobian = jacobian * np.asarray(slope)[:, :, None]
            pull = weights[left] * np.minimum(1.0, misfit.delta / np.maximum(np.abs(residual), 1e-300))
            weighted = (jacobian * pull[:, :, None]).transpose(0, 2, 1)
            gram, gradient = weighted @ jacobian, (weighted @ residual[:, :, None])[:, :, 0]
            scale = np.einsum("bii->bi", gram)
            # A parameter that the runs of a draw do not see has a zero here, and would leave no system to solve.
            scale = np.maximum(scale, 1e-10 * scale.max(axis=1, keepdims=True) + 1e-300)
            damped = gram + (damping[left][:, None] * scale)[:, :, None] * np.eye(q)
            stepped = phi[left] - _solved(damped, gradient)
            before, now = reached[left], objective(stepped, left)
            lower = now <= before
            phi[left[lower]], reached[left[lower]] = stepped[lower], now[lower]
            damping[left] = np.where(lower, np.maximum(damping[left] / 10, 1e-12), damping[left] * 10)
            done = lower & (before - now <= tolerance * before)
            settled[left[done | (damping[left] > MOST_DAMPING)]] = True
            left = left[~settled[left]]
            if not len(left):
                break
    return phi, reached, settled & np.isfinite(reached)


def _solved(gram: Array, gradient: Array) -> Array:
    """gram^-1 gradient of every draw (draws, q); NaN, which no step accepts, where the matrix is not finite."""
    whole = np.isfinite(gram).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1)
    steps = np.full(gradient.shape, np.nan)
    if whole.any():
        steps[whole] = np.linalg.solve(gram[whole], gradient[whole][:, :, None])[:, :, 0]
    return steps
