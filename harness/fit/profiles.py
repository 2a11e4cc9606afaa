"""One IsoFLOP profile: a polynomial of loss in a log, and its minimum, for many bootstrap draws at once."""

from dataclasses import dataclass

import numpy as np

from harness.fit.table import Array

HUBER_WIDTH = 1.345  # 95% efficient at the normal distribution
GRID = 401


@dataclass(frozen=True, eq=False)
class Axis:
    """ln x mapped to u in [-1, 1] over the sampled range, where polynomials are well conditioned.

    ``nuisance`` (n,) or None is one further regressor, zero at the budget itself.
    """

    u: Array
    centre: float
    half: float
    nuisance: Array | None = None

    @classmethod
    def of(cls, log_x: Array, nuisance: Array | None = None) -> "Axis":
        centre, half = (log_x.max() + log_x.min()) / 2, np.ptp(log_x) / 2
        return cls((log_x - centre) / half, float(centre), float(half), nuisance)

    def design(self, degree: int) -> Array:
        """Columns 1, u, ..., u^degree (and the nuisance), shape (n, k)."""
        columns = np.vander(self.u, degree + 1, increasing=True)
        return columns if self.nuisance is None else np.column_stack((columns, self.nuisance))


def fit_polynomials(design: Array, losses: Array, weights: Array, robust: bool = False) -> Array:
    """Weighted least squares for many draws.

    Args:
        design: (n, k).
        losses, weights: (draws, n) or (1, n); they broadcast against each other.
        robust: reweight by Huber's function of residual over its median absolute deviation, 25 rounds.

    Returns: coefficients (draws, k); NaN for draws with too few different points.
    """
    if len(weights) == 1 and not robust:  # one matrix for all draws
        root = np.sqrt(weights[0])
        if np.linalg.matrix_rank(design * root[:, None]) < design.shape[1]:
            return np.full((len(losses), design.shape[1]), np.nan)
        return np.asarray((losses * root) @ np.linalg.pinv(design * root[:, None]).T)
    losses, weights = np.broadcast_arrays(losses, weights)
    coefficients = _weighted(design, losses, weights)
    for _ in range(25 if robust else 0):
        size = np.abs(losses - coefficients @ design.T)
        spread = _weighted_median(size, weights) / 0.6745
        limit = HUBER_WIDTH * np.maximum(spread, 1e-12)[:, None]
        coefficients = _weighted(design, losses, weights * limit / np.maximum(size, limit))
    return coefficients


def minima(coefficients: Array, degree: int) -> Array:
    """u of the minimum for each draw, shape (draws,); NaN where the polynomial has none.

    A parabola's vertex may lie outside [-1, 1]. Of a cubic or quartic the lowest local minimum within the
    sampled range is taken: beyond it these turn where there are no data.
    """
    with np.errstate(all="ignore"):
        if degree == 2:
            vertex = -coefficients[:, 1] / (2 * coefficients[:, 2])
            return np.where(coefficients[:, 2] > 0, vertex, np.nan)
        grid = np.linspace(-1, 1, GRID)
        values = coefficients[:, : degree + 1] @ np.vander(grid, degree + 1, increasing=True).T
        inner = (values[:, 1:-1] <= values[:, :-2]) & (values[:, 1:-1] < values[:, 2:])
        lowest = np.argmin(np.where(inner, values[:, 1:-1], np.inf), axis=1)
        u = np.where(inner.any(axis=1), grid[1:-1][lowest], np.nan)
        order = np.arange(degree + 1)
        for _ in range(4):
            powers = u[:, None] ** np.arange(degree + 1)
            slope = np.sum(coefficients[:, 1 : degree + 1] * order[1:] * powers[:, :degree], axis=1)
            bend = np.sum(
                coefficients[:, 2 : degree + 1] * order[2:] * (order[2:] - 1) * powers[:, : degree - 1],
                axis=1,
            )
            u = u - np.where(bend > 0, slope / bend, 0)
        return np.where(np.abs(u) <= 1, u, np.nan)


def value(coefficients: Array, u: Array, degree: int) -> Array:
    """The polynomial at u, for each draw, shape (draws,)."""
    powers = u[:, None] ** np.arange(degree + 1)
    return np.sum(coefficients[:, : degree + 1] * powers, axis=1)


def _weighted(design: Array, losses: Array, weights: Array) -> Array:
    gram = np.einsum("dn,ni,nj->dij", weights, design, design)
    moment = np.einsum("dn,dn,ni->di", weights, losses, design)
    # Fewer different points than coefficients leave the Gram matrix singular: that draw has no polynomial.
    gram = np.where(np.isfinite(gram), gram, 0.0)
    solvable = np.linalg.cond(gram) < 1e11
    coefficients = np.full(moment.shape, np.nan)
    if solvable.any():
        coefficients[solvable] = np.linalg.solve(gram[solvable], moment[solvable][..., None])[..., 0]
    return coefficients


def _weighted_median(values: Array, weights: Array) -> Array:
    order = np.argsort(values, axis=1)
    cumulative = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    middle = np.argmax(cumulative >= cumulative[:, -1:] / 2, axis=1)
    return np.take_along_axis(values, np.take_along_axis(order, middle[:, None], axis=1), axis=1)[:, 0]
