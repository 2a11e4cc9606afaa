"""The surfaces by which a round's runs are chosen: early runs do not determine curvature, and noise must not lead on.

Curvatures are drawn towards what ``tune.steps`` say, a loss that rises by a share of the window within the first step:
a normal prior with a standard deviation of its own size, and of a share of the geometric mean for products of two axes.
The rules that a tuning ends with are fitted without it.
"""

import numpy as np

from harness.fit.surface_design import Design, Solved, less_means
from harness.fit.table import Array
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.point_surfaces import PointSurfaces
from harness.tune.sequential.surfaces import OWN, sample_of

RISE = 0.25  # of the window: what the first step costs before anything is known, and where later runs are put
NOISE = 0.01  # of a run, nats per token, before anything is known
CROSSED = 0.3  # of the geometric mean of two axes' curvatures: how large their product's may be
FARTHEST = 5.0  # steps: where minima may be, which matters where a point has few runs
FLATTEST = 0.1  # of the curvature expected
ROUNDS = 4


def exploring_surfaces(observed: Observed, window: float, steps: Array) -> PointSurfaces | None:
    """The surfaces, with a minimum along every axis; None where a point has no finished run.

    Args:
        steps: ln of the axes' first factors, (q,).
    """
    used = observed.near(window)
    if len(np.unique(observed.point[used])) < observed.points:
        return None
    sample, (q, points) = sample_of(observed, used), (len(steps), observed.points)
    expected = 2 * RISE * window / steps**2
    pairs = tuple((i, j) for i in range(q) for j in range(i, q))
    design = Design(tuple(range(OWN, OWN + points)), pairs, curved=())
    rows = less_means(design.rows(sample.h, sample.g[sample.cell]), sample.cell)
    y = less_means(sample.loss[:, None], sample.cell)[:, 0]
    wanted = np.array([0.0] * (q * points) + [expected[i] if i == j else 0.0 for i, j in pairs])
    bends = [(1.0 if i == j else CROSSED) * np.sqrt(expected[i] * expected[j]) for i, j in pairs]
    sure = np.concatenate((np.repeat(FARTHEST * expected * steps, points), bends))
    prior = np.diag(1 / sure)
    noise: float = NOISE
    beta: Array = np.zeros(rows.shape[1])
    for _ in range(ROUNDS):
        whole = np.concatenate((rows, noise * prior))
        inverse = np.linalg.pinv(whole)
        beta = np.asarray(inverse @ np.concatenate((y, noise * wanted / sure)), dtype=float)
        taken = float(np.sum(rows * inverse[:, : len(rows)].T))
        left = y - rows @ beta
        noise = max(1e-6, float(np.sqrt(left @ left / max(2.0, len(y) - points - taken))))
    bend = _definite(design.coefficients(beta, q, np.zeros(2)).bend, expected)
    beta = np.concatenate((beta[: q * points], [bend[i, j] for i, j in pairs]))
    slope = design.coefficients(beta, q, np.zeros(2)).slopes.T
    error = noise * np.sqrt(np.sum(np.linalg.pinv(whole) ** 2, axis=1))[: q * points].reshape(q, points).T
    best: Array = np.asarray(-np.linalg.solve(bend, slope.T).T, dtype=float)
    return PointSurfaces(
        active=np.ones(q, dtype=bool),
        bend=bend,
        scale=np.ones(points),
        best=best,
        level=np.zeros(points),
        slope=slope,
        slope_error=error,
        window=window,
        noise=noise,
        freedom=max(1, len(y) - points - len(beta)),
        used=used,
        drawn=np.empty((0, points, q)),
        drawn_bend=np.empty((0, q, q)),
        sample=sample,
        solved=Solved(design, np.zeros(2), beta, y - rows @ beta, rows),
        cube=np.zeros(q),
        drawn_cube=np.empty((0, q)),
        prior=prior,
    )


def _definite(bend: Array, expected: Array) -> Array:
    """``bend`` with no direction flatter than a share of what is expected, (q, q)."""
    unit = np.sqrt(np.outer(expected, expected))
    values, vectors = np.linalg.eigh(bend / unit)
    return np.asarray(vectors @ np.diag(np.maximum(values, FLATTEST)) @ vectors.T * unit)
