"""Fitting the response surfaces: to which runs, what the sizes share, and how certain the result is.

A response surface (Box and Wilson 1951) is the loss as a polynomial of ln learning rate and ln batch near its minimum.
"""

from dataclasses import dataclass

import numpy as np

from harness.fit.table import Array
from harness.tune.surface import BATCH, RATE, Surface

ROUNDS = 12
SETTLED = 0.01  # in ln rate and ln batch
FARTHEST_STEP = 0.5  # a round moves an origin by no more: early rounds overshoot
BEND_VALUES, SKEW_VALUES = 3, 4  # different values along an axis that bend and skew need
MOST_SKEW = 0.5  # of the bend: above it the cubic part outgrows the quadratic within a factor of e


@dataclass(frozen=True, eq=False)
class Sample:
    """The runs that the surfaces are fitted to.

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
class SurfaceFit:
    """The response surfaces of all sizes.

    Attributes:
        estimate: leading axis (sizes,).
        draws: leading axes (draws, sizes); None without a degree of freedom left to measure the noise by.
        noise: standard deviation of a run about its surface, nats per token; None likewise.
        freedom: runs less coefficients.
        squares: residual sum of squares, nats².
        skews: the axes along which the two sides of a minimum may differ.
    """

    estimate: Surface
    draws: Surface | None
    noise: float | None
    freedom: int
    squares: float
    skews: tuple[int, ...]


def near_minimum(z: Array, loss: Array, axes: tuple[int, ...], width: float, least: int) -> Array:
    """Which runs of one size a surface may be fitted to, (n,) bool.

    Those within ``width`` nats of the lowest, and in any case the lowest until there are ``least`` and three
    different values along each of ``axes``. Farther out loss rises almost linearly below the best rate and
    like a cliff above it, and no polynomial of low degree follows. A width in loss rather than in rate suits
    each size's own curvature; it must be many times the noise of a run (about 0.01 nats), or noise would
    choose the runs. NaN (diverged) is never near.
    """
    order = np.argsort(loss)[: int(np.isfinite(loss).sum())]
    near = np.zeros(len(loss), dtype=bool)
    for rank, run in enumerate(order):
        enough = rank >= least and all(values_along(z[near], axis) >= BEND_VALUES for axis in axes)
        if enough and loss[run] > loss[order[0]] + width:
            break
        near[run] = True
    return near


def values_along(z: Array, axis: int) -> int:
    """How many different values the runs z (n, 2) have along ``axis``."""
    return len(np.unique(np.round(z[:, axis], 2)))


def fit_surfaces(sample: Sample, skewed: bool, draws: int, rng: np.random.Generator) -> SurfaceFit | None:
    """Least squares for all sizes together: each has a level and a minimum of its own, the shape is shared.

    A size has some dozen runs in the window, with noise; six coefficients of its own would leave its minimum to
    chance, and curvature in logarithms hardly changes from size to size. Skewness is shared in the same way.
    It belongs to the shape about the minimum, so the minima are found by repeating the fit about the last
    ones; where that does not settle, or the skewness is so large that it says more of the border than of the
    minimum, the surfaces stay symmetric. On a synthetic
    surface with a linear left side and a cliff on the right (the tests have it), at noise 0.01 and a window of
    0.15, skewness takes the bias of ln rate from -0.22 to -0.06 (nominal 90% intervals then cover .8, without
    it .1); where the truth is symmetric it widens the intervals by 40%.

    The draws are a parametric bootstrap: coefficients are drawn about the estimate with their covariance, and
    the noise, itself measured from few degrees of freedom, from its own distribution, which gives Student's
    interval for each coefficient. Resampling runs of a designed grid would often leave too few for a minimum.

    Returns: None where the runs do not determine the coefficients.
    """
    sizes = int(sample.size.max()) + 1
    origin, tilt = np.zeros((sizes, 2)), 0.0
    plain = _fit(sample, origin, tilt, (), draws, rng)
    skews = _skewable(sample) if skewed else ()
    if plain is None or not skews:
        return plain
    found = plain
    for _ in range(ROUNDS):
        move = found.estimate.box_minimum(sample.low, sample.high) - origin
        settled = bool(np.abs(move).max() < SETTLED)
        origin = origin + np.clip(move, -FARTHEST_STEP, FARTHEST_STEP)
        tilt = _tilt(found.estimate)
        last = _fit(sample, origin, tilt, skews, draws if settled else 0, rng)
        if last is None:
            return plain
        if settled:
            return last if _credible(last) else plain
        found = last
    return plain


def _skewable(sample: Sample) -> tuple[int, ...]:
    """The axes along which at least half of the sizes have the values that skewness needs."""
    sizes = range(int(sample.size.max()) + 1)
    return tuple(
        axis
        for axis in sample.axes
        if np.mean([values_along(sample.z[sample.size == i], axis) >= SKEW_VALUES for i in sizes]) >= 0.5
    )


def _credible(fitted: SurfaceFit) -> bool:
    surface = fitted.estimate
    bends = np.diagonal(surface.bend, axis1=-2, axis2=-1)
    return bool(
        surface.has_minimum().all() and np.all(np.abs(surface.skew) <= MOST_SKEW * np.abs(bends) + 1e-12)
    )


def _tilt(surface: Surface) -> float:
    if len(surface.axes) < 2 or surface.bend[0, RATE, RATE] <= 0:
        return 0.0
    return float(np.clip(surface.bend[0, RATE, BATCH] / surface.bend[0, RATE, RATE], -1.5, 1.5))


def design(sample: Sample, origin: Array, tilt: float, skews: tuple[int, ...], own: bool = False) -> Array:
    """Columns (n, k): for every size a level and slopes, then bends, then skews; ``own`` bends for every size."""
    w = sample.z - origin[sample.size]
    member = (sample.size[:, None] == np.arange(len(origin))).astype(float)
    straight = [np.ones(len(w)), *(w[:, axis] for axis in sample.axes)]
    bent = [0.5 * w[:, axis] ** 2 for axis in sample.axes]
    bent += [w[:, RATE] * w[:, BATCH]] if len(sample.axes) == 2 else []
    along = (w[:, RATE] + tilt * w[:, BATCH], w[:, BATCH])
    columns = [member * column[:, None] for column in straight]
    columns += [column[:, None] * (member if own else np.ones((1, 1))) for column in bent]
    columns += [along[axis][:, None] ** 3 for axis in skews]
    return np.concatenate(columns, axis=1)


def _fit(
    sample: Sample,
    origin: Array,
    tilt: float,
    skews: tuple[int, ...],
    draws: int,
    rng: np.random.Generator,
) -> SurfaceFit | None:
    columns = design(sample, origin, tilt, skews)
    rows, k = columns.shape
    scale = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    if rows < k or np.linalg.cond(columns / scale) > 1e6:
        return None
    inverse = np.linalg.pinv(columns / scale) / scale[:, None]
    beta = inverse @ sample.loss
    squares, freedom = float(np.sum((sample.loss - columns @ beta) ** 2)), rows - k
    estimate = _unpack(beta, origin, tilt, sample.axes, skews)
    if freedom < 1:
        return SurfaceFit(estimate, None, None, freedom, squares, skews)
    noise = (squares / freedom) ** 0.5
    # inverse · inverseᵀ is (XᵀX)⁻¹, so standard normals through ``inverse`` have the coefficients' covariance
    normal = rng.standard_normal((draws, rows)) @ inverse.T
    inflated = noise * np.sqrt(freedom / rng.chisquare(freedom, size=(draws, 1)))
    drawn = _unpack(beta + inflated * normal, origin, tilt, sample.axes, skews)
    return SurfaceFit(estimate, drawn, noise, freedom, squares, skews)


def _unpack(
    beta: Array, origin: Array, tilt: float, axes: tuple[int, ...], skews: tuple[int, ...]
) -> Surface:
    """Coefficients (..., k) as a surface for each size, (..., sizes)."""
    lead, sizes = beta.shape[:-1], len(origin)
    parts, shared = 1 + len(axes), beta[..., (1 + len(axes)) * sizes :]
    straight = beta[..., : parts * sizes].reshape(*lead, parts, sizes)
    slope, skew = np.zeros((*lead, sizes, 2)), np.zeros((*lead, sizes, 2))
    bend = np.zeros((*lead, sizes, 2, 2))
    for i, axis in enumerate(axes):
        slope[..., axis] = straight[..., 1 + i, :]
        bend[..., axis, axis] = shared[..., i, None]
    if len(axes) == 2:
        bend[..., 0, 1] = bend[..., 1, 0] = shared[..., 2, None]
    for i, axis in enumerate(skews):
        skew[..., axis] = shared[..., i - len(skews), None]
    return Surface(straight[..., 0, :], slope, bend, skew, origin, tilt, axes)
