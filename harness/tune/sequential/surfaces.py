"""Quadratic response surfaces of several hyperparameters at the points (N, D) of a tuning, fitted together.

At point p, with h the logs of the hyperparameters over the point's centre,

    L = m_p + s_p/2 (h - h_p)' H (h - h_p)

Level m_p and minimum h_p are the point's own, the curvature H is shared, up to a factor s_p that follows a power of N
and D where the runs show one (``harness.fit.surface_design`` has the least squares). So a few runs a point suffice.
"""

from dataclasses import replace

import numpy as np
from scipy.special import fdtrc

from harness.fit.surface_design import Coefficients, Design, Sample, Solved, freedom_of, least_squares
from harness.fit.table import Array
from harness.tune.sequential.observed import SAME, Flags, Observed
from harness.tune.sequential.point_surfaces import PointSurfaces

LEAST_VALUES = 3
SPARE = 2  # runs beyond the coefficients, to see the noise by
SKEWED = 0.01  # chance of cubes explaining as much by noise alone, below which they take part
CUBE_ROUNDS = 20
SETTLED = 0.005  # in ln of a hyperparameter
MOST_SKEW = 0.5  # of the curvature
OWN = 3  # g has 1, ln N, ln D, and from here a column for every point


def fit_points(
    observed: Observed, window: float, sure: float, draws: int, rng: np.random.Generator
) -> PointSurfaces | None:
    """The surfaces, or None where the runs do not determine them along any axis.

    Args:
        window: runs within so many nats of their point's lowest loss take part.
        sure: share of draws that must have a minimum; until they have, the axis whose curvature is least certain is
            taken out of the minimum.
        draws: of the coefficients, with their covariance and Student's tails.
    """
    used = observed.near(window)
    sample = sample_of(observed, used)
    bent = np.array([_values(sample.h[:, j]) >= LEAST_VALUES for j in range(len(observed.names))])
    active = bent.copy()
    while active.any():
        solved = _solve(sample, active, bent)
        if solved is None:
            return None
        found, certainty = _surfaces(sample, solved, active, used, window, draws, rng)
        if found is not None and np.isfinite(found.drawn).all(axis=(1, 2)).mean() >= sure:
            cubed = _with_cubes(sample, solved, active)
            if cubed is None:
                return found
            other, _ = _surfaces(sample, cubed, active, used, window, draws, rng)
            return found if other is None else _widened(other, found, rng)
        active = active.copy()
        active[np.flatnonzero(active)[np.argmin(certainty[active])]] = False
    return None


def sample_of(observed: Observed, used: Flags) -> Sample:
    """The runs of a mask (n,), and points with a column of g for each."""
    x, y = (values - values.mean() for values in (observed.log_params, observed.log_tokens))
    g = np.column_stack((np.ones(observed.points), x, y, np.eye(observed.points)))
    return Sample(observed.names, observed.h[used], observed.loss[used], observed.point[used], g)


def curved_along(g: Array) -> tuple[int, ...]:
    """Which of ln N (1) and ln D (2) of points g (points, 3 or more) a power can follow: those that vary apart."""
    spread = np.ptp(g[:, 1:3], axis=0)
    if np.linalg.matrix_rank(g[:, :3], tol=0.1) == 3:
        return (1, 2)
    return (1,) if spread[0] > 0.1 else (2,) if spread[1] > 0.1 else ()


def _solve(sample: Sample, active: Flags, bent: Flags) -> Solved | None:
    q, points = sample.h.shape[1], sample.g.shape[0]
    alone = [(j, j) for j in range(q) if bent[j]]
    crossed = [(i, j) for i in range(q) for j in range(i + 1, q) if active[i] and active[j]]
    terms = tuple(range(OWN, OWN + points))
    if len(np.unique(sample.cell)) < points:
        return None
    for pairs in (alone + crossed, alone) if crossed else (alone,):
        design = Design(terms, tuple(pairs), curved=curved_along(sample.g))
        if (solved := least_squares(sample, design, SPARE)) is not None:
            return solved
    return None


def _with_cubes(sample: Sample, plain: Solved, active: Flags) -> Solved | None:
    """The fit with cubes of the distances to its own minima, where losses are skewed (F test); None where they are not,
    or where cubes do not settle, or outgrow the quadratic within a factor of e."""
    q, points = sample.h.shape[1], sample.g.shape[0]
    cubed = tuple(int(j) for j in np.flatnonzero(active) if _values(sample.h[:, j]) > LEAST_VALUES)
    if not cubed:
        return None
    solved, before = plain, np.full((q, OWN + points), np.inf)
    for _ in range(CUBE_ROUNDS):
        own = _held(solved.design.coefficients(solved.beta, q, solved.gamma), active)
        rules = own.rules()
        if not np.isfinite(rules).all():
            return None
        if np.abs(rules - before).max() < SETTLED:
            cubes = np.abs(solved.beta[-len(cubed) :])
            if (cubes > MOST_SKEW * np.diag(own.bend)[list(cubed)]).any():
                return None
            freedom = freedom_of(sample, solved)
            left, total = (float(one.residual @ one.residual) for one in (solved, plain))
            ratio = (total - left) / len(cubed) / max(left / freedom, 1e-300)
            return solved if float(fdtrc(len(cubed), freedom, max(ratio, 0.0))) < SKEWED else None
        before = rules
        design = replace(plain.design, origin=rules, cubed=cubed, curved=())
        found = least_squares(sample, design, SPARE)
        if found is None:
            return None
        solved = found
    return None


def _widened(cubed: PointSurfaces, plain: PointSurfaces, rng: np.random.Generator) -> PointSurfaces:
    """With cubes, where these move the minima: half of that move as a further standard error, for cubes are no more the
    losses' own form than quadratics are."""
    shift = (cubed.best - plain.best) / 2
    return replace(cubed, drawn=cubed.drawn + shift * rng.standard_normal((len(cubed.drawn), 1, 1)))


def _surfaces(
    sample: Sample,
    solved: Solved,
    active: Flags,
    used: Flags,
    window: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[PointSurfaces | None, Array]:
    """The surfaces, None where they have no minimum; and how many standard errors each axis's curvature is, (q,)."""
    q, points = sample.h.shape[1], sample.g.shape[0]
    freedom = freedom_of(sample, solved)
    noise = float(np.sqrt(solved.residual @ solved.residual / freedom))
    size = np.linalg.norm(solved.rows, axis=0)
    scaled = solved.rows / size
    root = np.linalg.pinv(scaled) / size[:, None] * noise  # root root' is the coefficients' covariance
    errors = np.sqrt(np.sum(root**2, axis=1))
    first = q * points
    curvature, certainty = np.zeros(q), np.full(q, -np.inf)
    for number, (i, j) in enumerate(solved.design.pairs):
        if i == j:
            curvature[i] = solved.beta[first + number]
            certainty[i] = curvature[i] / max(errors[first + number], 1e-300)
    tail = np.sqrt(freedom / rng.chisquare(freedom, size=(draws, 1)))
    beta = solved.beta + tail * (rng.standard_normal((draws, root.shape[1])) @ root.T)
    raw = solved.design.coefficients(solved.beta, q, solved.gamma)
    own = _held(raw, active)
    best = own.rules()[:, OWN:].T
    if not np.isfinite(best).all():
        return None, certainty
    drawn = _held(solved.design.coefficients(beta, q, solved.gamma), active)
    scale = own.factor(sample.g)
    here = solved.design.rows(best, sample.g) * scale[:, None]
    runs = np.bincount(sample.cell, minlength=points)
    mean = np.bincount(sample.cell, sample.loss, minlength=points) / runs
    rows = solved.design.rows(sample.h, sample.g[sample.cell]) * scale[sample.cell][:, None]
    centre = np.stack([np.bincount(sample.cell, column, minlength=points) for column in rows.T], 1)
    level = mean + (here - centre / runs[:, None]) @ solved.beta
    return PointSurfaces(
        active=active,
        bend=np.where(active[:, None] & active, own.bend, 0.0),
        scale=scale,
        best=best,
        level=level,
        slope=raw.slopes.T * scale[:, None],
        slope_error=errors[:first].reshape(q, points).T * scale[:, None],
        window=window,
        noise=noise,
        freedom=freedom,
        used=used,
        drawn=np.swapaxes(drawn.rules()[..., OWN:], -1, -2),
        drawn_bend=np.where(active[:, None] & active, drawn.bend, 0.0),
        sample=sample,
        solved=solved,
        cube=_cubes(solved, solved.beta, active),
        drawn_cube=_cubes(solved, beta, active),
    ), certainty


def _cubes(solved: Solved, beta: Array, active: Flags) -> Array:
    """Of coefficients beta (..., k), by axis (..., q)."""
    found = np.zeros((*beta.shape[:-1], len(active)))
    cubed = solved.design.cubed if solved.design.origin is not None else None
    if cubed:
        found[..., list(cubed)] = beta[..., -len(cubed) :]
    return np.where(active, found, 0.0)


def _held(coefficients: Coefficients, active: Flags) -> Coefficients:
    """``coefficients`` whose minimum along axes that are not active is at the centre."""
    bend = np.where(active[:, None] & active, coefficients.bend, np.diag((~active).astype(float)))
    return replace(coefficients, slopes=np.where(active[:, None], coefficients.slopes, 0.0), bend=bend)


def _values(column: Array) -> int:
    ordered = np.sort(column)
    return 1 + int((np.diff(ordered) > SAME).sum())
