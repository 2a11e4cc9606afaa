"""Fitting the bowls: through which runs, what the sizes share, and how sure one can be."""

from dataclasses import dataclass

import numpy as np

from harness.fit.table import Array
from harness.tune.surface import BATCH, RATE, Surface

ROUNDS = 12
SETTLED = 0.01  # in ln rate and ln batch
FARTHEST_STEP = 0.5  # a round moves an origin by no more: early rounds overshoot


@dataclass(frozen=True, eq=False)
class Sample:
    """Runs to draw bowls through.

    Attributes:
        z: (n, 2), ln rate and ln batch over the size's centre.
        loss: (n,) nats per token.
        size: (n,) from 0, none left out.
        low, high: (sizes, 2), the range of z that was tried.
        axes: which columns of z were varied.
    """

    z: Array
    loss: Array
    size: Array
    low: Array
    high: Array
    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Bowls:
    """The bowls of all sizes.

    Attributes:
        estimate: leading axis (sizes,).
        draws: leading axes (draws, sizes); None without a degree of freedom left to measure the noise by.
        noise: standard deviation of a run about its bowl, nats per token; None likewise.
        freedom: runs less coefficients.
        squares: residual sum of squares, nats².
        skewed: whether the sides of the bowls may differ.
    """

    estimate: Surface
    draws: Surface | None
    noise: float | None
    freedom: int
    squares: float
    skewed: bool


def near_minimum(loss: Array, width: float, least: int) -> Array:
    """Which runs of one size a bowl may be drawn through, (n,) bool.

    Those within ``width`` nats of the lowest, and in any case the ``least`` lowest. Farther out loss rises
    almost linearly below the best rate and like a cliff above it, and no polynomial of low degree follows. A
    width in loss rather than in rate suits each size's own curvature; it must be many times the noise of a run
    (about 0.01 nats), or noise would choose the runs. NaN (diverged) is never near.
    """
    finite = np.isfinite(loss)
    if not finite.any():
        return finite
    ordered = np.sort(loss[finite])
    limit = max(ordered[0] + width, ordered[min(least, len(ordered)) - 1])
    with np.errstate(invalid="ignore"):
        return np.asarray(finite & (loss <= limit))


def fit_bowls(sample: Sample, skewed: bool, draws: int, rng: np.random.Generator) -> Bowls | None:
    """Least squares for all sizes together: each has a level and a minimum of its own, the shape is shared.

    A size has some dozen runs in the window, with noise; six coefficients of its own would leave its minimum to
    chance, and curvature in logarithms hardly changes from size to size. Skewness is shared in the same way.
    It belongs to the shape about the minimum, so the minima are found by repeating the fit about the last
    ones; where that does not settle, the bowls stay symmetric. On a synthetic surface with a linear left side and a
    cliff on the right (the tests have it), at noise 0.01 and a window of 0.15, skewness lowers the bias of
    ln rate from -0.2 to -0.05 and costs a tenth more spread where the truth is symmetric.

    The draws are a parametric bootstrap: coefficients are drawn about the estimate with their covariance, and
    the noise, itself measured from few degrees of freedom, from its own distribution, which gives Student's
    interval for each coefficient. Resampling runs of a designed grid would often leave one without a bowl.

    Returns: None where the runs do not determine the coefficients.
    """
    sizes = int(sample.size.max()) + 1
    origin, tilt = np.zeros((sizes, 2)), 0.0
    plain = _fit(sample, origin, tilt, False, draws, rng)
    if plain is None or not skewed:
        return plain
    found: Bowls | None = plain
    for _ in range(ROUNDS):
        if found is None:
            return plain
        move = found.estimate.box_minimum(sample.low, sample.high) - origin
        origin = origin + np.clip(move, -FARTHEST_STEP, FARTHEST_STEP)
        tilt = _tilt(found.estimate)
        found = _fit(sample, origin, tilt, True, draws if np.abs(move).max() < SETTLED else 0, rng)
        if np.abs(move).max() < SETTLED:
            return found if found is not None and found.estimate.is_bowl().all() else plain
    return plain


def _tilt(surface: Surface) -> float:
    if len(surface.axes) < 2 or surface.bend[0, RATE, RATE] <= 0:
        return 0.0
    return float(np.clip(surface.bend[0, RATE, BATCH] / surface.bend[0, RATE, RATE], -1.5, 1.5))


def design(sample: Sample, origin: Array, tilt: float, skewed: bool, own: bool = False) -> Array:
    """Columns (n, k): for every size a level and slopes, then bends, then skews; ``own`` bends for every size."""
    w = sample.z - origin[sample.size]
    member = (sample.size[:, None] == np.arange(len(origin))).astype(float)
    straight = [np.ones(len(w)), *(w[:, axis] for axis in sample.axes)]
    bent = [0.5 * w[:, axis] ** 2 for axis in sample.axes]
    bent += [w[:, RATE] * w[:, BATCH]] if len(sample.axes) == 2 else []
    along = (w[:, RATE] + tilt * w[:, BATCH], w[:, BATCH])
    columns = [member * column[:, None] for column in straight]
    columns += [column[:, None] * (member if own else np.ones((1, 1))) for column in bent]
    columns += [along[axis][:, None] ** 3 for axis in sample.axes] if skewed else []
    return np.concatenate(columns, axis=1)


def _fit(
    sample: Sample, origin: Array, tilt: float, skewed: bool, draws: int, rng: np.random.Generator
) -> Bowls | None:
    columns = design(sample, origin, tilt, skewed)
    rows, k = columns.shape
    scale = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    if rows < k or np.linalg.cond(columns / scale) > 1e6:
        return None
    inverse = np.linalg.pinv(columns / scale) / scale[:, None]
    beta = inverse @ sample.loss
    squares, freedom = float(np.sum((sample.loss - columns @ beta) ** 2)), rows - k
    estimate = _unpack(beta, origin, tilt, sample.axes, skewed)
    if freedom < 1:
        return Bowls(estimate, None, None, freedom, squares, skewed)
    noise = (squares / freedom) ** 0.5
    # inverse · inverseᵀ is (XᵀX)⁻¹, so standard normals through ``inverse`` have the coefficients' covariance
    normal = rng.standard_normal((draws, rows)) @ inverse.T
    inflated = noise * np.sqrt(freedom / rng.chisquare(freedom, size=(draws, 1)))
    drawn = _unpack(beta + inflated * normal, origin, tilt, sample.axes, skewed)
    return Bowls(estimate, drawn, noise, freedom, squares, skewed)


def _unpack(beta: Array, origin: Array, tilt: float, axes: tuple[int, ...], skewed: bool) -> Surface:
    """Coefficients (..., k) as a surface for each size, (..., sizes)."""
    lead, sizes = beta.shape[:-1], len(origin)
    parts, shared = 1 + len(axes), beta[..., (1 + len(axes)) * sizes :]
    straight = beta[..., : parts * sizes].reshape(*lead, parts, sizes)
    slope, skew = np.zeros((*lead, sizes, 2)), np.zeros((*lead, sizes, 2))
    bend = np.zeros((*lead, sizes, 2, 2))
    for i, axis in enumerate(axes):
        slope[..., axis] = straight[..., 1 + i, :]
        bend[..., axis, axis] = shared[..., i, None]
        if skewed:
            skew[..., axis] = shared[..., -len(axes) + i, None]
    if len(axes) == 2:
        bend[..., 0, 1] = bend[..., 1, 0] = shared[..., 2, None]
    return Surface(straight[..., 0, :], slope, bend, skew, origin, tilt, axes)
