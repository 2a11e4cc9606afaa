"""Fitting L = E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, section 3.3): two solvers and their starts.

Inside, the law is written with centred logs, theta = (ln E, ln A', ln B', alpha, beta) with
A' = A exp(-alpha mean(ln N)) and B' likewise: A and alpha are then nearly uncorrelated.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from harness.fit import huber
from harness.fit.table import Array

START_EXPONENTS = (0.15, 0.35, 0.7, 1.2)
STARTS = 5


@dataclass(frozen=True, eq=False)
class Data:
    """Centred logs of N and D, and ln L, each of shape (n,), with the means that were taken away."""

    x: Array
    y: Array
    log_loss: Array
    mean_x: float
    mean_y: float

    @classmethod
    def of(cls, params: Array, tokens: Array, loss: Array) -> "Data":
        x, y = np.log(params), np.log(tokens)
        return cls(x - x.mean(), y - y.mean(), np.log(loss), float(x.mean()), float(y.mean()))

    def take(self, keep: NDArray[Any]) -> "Data":
        """The runs of a mask or index, centred where the whole table is."""
        return Data(self.x[keep], self.y[keep], self.log_loss[keep], self.mean_x, self.mean_y)


@dataclass(frozen=True, eq=False)
class LawFit:
    """Solution in both parametrisations and how it was reached.

    Attributes:
        theta: (ln E, ln A', ln B', alpha, beta), centred.
        natural: (E, A, B, alpha, beta).
        objective: sum of Huber losses of the log residuals.
        starts, agreeing: starts tried; those that ended within 1e-6 of the best objective, relatively.
    """

    theta: Array
    natural: Array
    objective: float
    converged: bool
    starts: int
    agreeing: int

    @property
    def lawful(self) -> bool:
        """Whether loss falls with both N and D, so that a compute-optimal model exists."""
        return bool(np.isfinite(self.natural).all() and (self.natural[1:] > 0).all())


def predict(theta: Array, data: Data) -> Array:
    """ln L of the law at the data, shape (n,)."""
    e, a, b, alpha, beta = theta
    return np.log(np.exp(e) + np.exp(a - alpha * data.x) + np.exp(b - beta * data.y))


def jacobian(theta: Array, data: Data) -> Array:
    """d ln L / d theta, shape (n, 5)."""
    e, a, b, alpha, beta = theta
    size, tokens = np.exp(a - alpha * data.x), np.exp(b - beta * data.y)
    total = np.exp(e) + size + tokens
    columns = (
        np.exp(e) / total,
        size / total,
        tokens / total,
        -data.x * size / total,
        -data.y * tokens / total,
    )
    return np.stack(columns, axis=1)


def objective(data: Data, weights: Array, delta: float) -> huber.Objective:
    """Sum of w * Huber_delta(ln L(theta) - ln L) and its gradient; written for speed, for the bootstrap."""
    x, y, log_loss = data.x, data.y, data.log_loss

    def value_and_gradient(theta: Array) -> tuple[float, Array]:
        e, a, b, alpha, beta = theta
        floor, size, tokens = np.exp(e), np.exp(a - alpha * x), np.exp(b - beta * y)
        total = floor + size + tokens
        residual = np.log(total) - log_loss
        clipped = np.clip(residual, -delta, delta)
        pull = weights * clipped
        value = pull @ (residual - 0.5 * clipped)
        pull = pull / total
        size *= pull
        tokens *= pull
        gradient = np.array((floor * pull.sum(), size.sum(), tokens.sum(), -(size @ x), -(tokens @ y)))
        return value, gradient

    return value_and_gradient


def natural(theta: Array, data: Data) -> Array:
    """(E, A, B, alpha, beta) from centred theta, on the last axis."""
    e, a, b, alpha, beta = np.moveaxis(theta, -1, 0)
    # A draw that has run away overflows to inf, by which it is recognised.
    with np.errstate(over="ignore"):
        columns = (np.exp(e), np.exp(a + alpha * data.mean_x), np.exp(b + beta * data.mean_y), alpha, beta)
    return np.stack(columns, axis=-1)


def project(exponents: Array, data: Data, weights: Array) -> tuple[Array, Array]:
    """Variable projection's inner step: the best E, A', B' >= 0 for given (alpha, beta).

    The law is linear in them, so this is non-negative least squares on relative residuals, L_hat/L - 1.

    Returns: the three coefficients, and the weighted residuals (n,).
    """
    alpha, beta = exponents
    scale = np.sqrt(weights) / np.exp(data.log_loss)
    columns = (np.ones_like(data.x), np.exp(-alpha * data.x), np.exp(-beta * data.y))
    design = np.stack(columns, axis=1) * scale[:, None]
    target = np.sqrt(weights)
    coefficients = np.linalg.lstsq(design, target, rcond=None)[0]
    if (coefficients < 0).any():
        coefficients = nnls(design, target)[0]
    return np.asarray(coefficients), np.asarray(design @ coefficients - target)


def starts(data: Data, weights: Array, delta: float, count: int = STARTS) -> list[Array]:
    """A handful of starts: the linear part solved on a small grid of exponents, best Huber sums first."""
    found: list[tuple[float, Array]] = []
    for alpha in START_EXPONENTS:
        for beta in START_EXPONENTS:
            coefficients, _ = project(np.array((alpha, beta)), data, weights)
            floored = np.maximum(coefficients, 1e-3 * np.exp(data.log_loss.min()))
            theta = np.array((*np.log(floored), alpha, beta))
            residual = predict(theta, data) - data.log_loss
            found.append((float(huber.huber_sum(residual, delta, weights)), theta))
    found.sort(key=lambda item: item[0])
    return [theta for _, theta in found[:count]]


def fit_lbfgs(
    data: Data, delta: float, weights: Array | None = None, start: list[Array] | None = None
) -> LawFit:
    """The sum-Huber optimum, the best of a few starts.

    Args:
        delta: Huber's delta on log residuals; ``inf`` is least squares.
        weights: one a run (bootstrap counts), shape (n,); default 1.
        start: centred theta to start from; default ``starts``.
    """
    weights = np.ones_like(data.x) if weights is None else weights
    begin = starts(data, weights, delta) if start is None else start
    target = objective(data, weights, delta)
    solutions = []
    for theta in begin:
        scale = huber.unit(delta, predict(theta, data) - data.log_loss) ** 2
        first = huber.solve(target, theta, huber.whitening(jacobian(theta, data)), scale)
        # The Jacobian at the start may be far from that at the solution: whiten again there.
        scale = huber.unit(delta, predict(first.theta, data) - data.log_loss) ** 2
        solutions.append(
            huber.solve(target, first.theta, huber.whitening(jacobian(first.theta, data)), scale)
        )
    best = min(solutions, key=lambda s: s.objective if np.isfinite(s.objective) else np.inf)
    agreeing = sum(s.objective <= best.objective * (1 + 1e-6) + 1e-18 for s in solutions)
    return LawFit(
        best.theta, natural(best.theta, data), best.objective, best.converged, len(solutions), agreeing
    )


def refit_lbfgs(data: Data, delta: float, weights: Array, start: list[Array]) -> LawFit:
    """One descent from a solution nearby (the full fit): what a bootstrap draw needs, at half the time."""
    theta = start[0]
    scale = huber.unit(delta, predict(theta, data) - data.log_loss) ** 2
    found = huber.solve(objective(data, weights, delta), theta, huber.whitening(jacobian(theta, data)), scale)
    return LawFit(found.theta, natural(found.theta, data), found.objective, found.converged, 1, 1)


def fit_varpro(
    data: Data, delta: float, weights: Array | None = None, start: list[Array] | None = None
) -> LawFit:
    """Least squares on relative residuals by variable projection: a search over (alpha, beta) only.

    Czech et al. 2026 (arXiv 2603.22339) propose it in place of approach 2's parabola. ``delta`` is used only
    to report the same objective as ``fit_lbfgs``; the fit itself is least squares, so it is not robust.
    """
    weights = np.ones_like(data.x) if weights is None else weights
    begin = starts(data, weights, np.inf, count=3) if start is None else start

    def residuals(log_exponents: Array) -> Array:
        return project(np.exp(log_exponents), data, weights)[1]

    solutions = []
    for theta in begin:
        log_exponents = np.log(np.maximum(theta[3:], 1e-3))
        found = least_squares(
            residuals, log_exponents, bounds=(np.log(1e-3), np.log(10.0)), xtol=1e-14, ftol=1e-14, gtol=1e-14
        )
        solutions.append(found)
    best = min(solutions, key=lambda s: s.cost)
    exponents = np.exp(best.x)
    coefficients, _ = project(exponents, data, weights)
    theta = np.array((*np.log(np.maximum(coefficients, 1e-300)), *exponents))
    value = float(huber.huber_sum(predict(theta, data) - data.log_loss, delta, weights))
    agreeing = sum(s.cost <= best.cost * (1 + 1e-6) + 1e-18 for s in solutions)
    return LawFit(theta, natural(theta, data), value, best.status > 0, len(solutions), agreeing)
