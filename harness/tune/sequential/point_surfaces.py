"""Fitted response surfaces of the points of a tuning: their minima, and what lies above them."""

from dataclasses import dataclass

import numpy as np

from harness.fit.surface_design import Sample, Solved
from harness.fit.table import Array
from harness.tune.sequential.observed import Flags


@dataclass(frozen=True, eq=False)
class PointSurfaces:
    """The fitted surfaces.

    Attributes:
        active: axes along which the loss surely curves upwards, (q,) bool. Along the others every point has a slope and
            all share a curvature, without products with other axes, and the minimum is not theirs to say.
        bend: H, nats per squared ln, (q, q); 0 for axes that are not active.
        scale: s, (points,).
        best: h of the minima, (points, q), wherever they are; 0 for axes that are not active.
        level: fitted loss there, nats per token, (points,).
        slope: along every axis at the centre, (points, q), and its standard error.
        window: runs within so many nats of their point's lowest loss took part.
        noise: standard deviation of a run, nats per token; ``freedom`` behind it.
        used: which runs took part, (n,) bool.
        drawn: draws of ``best``, (draws, points, q), NaN where one has no minimum; of ``bend`` in ``drawn_bend``.
        sample, solved: what was fitted.
        cube: of the distance to the minimum along every axis, nats per cubed ln, (q,), 0 where losses are not skewed;
            draws in ``drawn_cube``, (draws, q).
        prior: rows of a prior over the coefficients, over its standard deviations, (m, coefficients); None without.
    """

    active: Flags
    bend: Array
    scale: Array
    best: Array
    level: Array
    slope: Array
    slope_error: Array
    window: float
    noise: float
    freedom: int
    used: Flags
    drawn: Array
    drawn_bend: Array
    sample: Sample
    solved: Solved
    cube: Array
    drawn_cube: Array
    prior: Array | None = None

    def rise(self, p: int, h: Array) -> Array:
        """Fitted loss at h (..., q) of point ``p`` over its minimum, along the active axes, nats per token (...)."""
        return self.scale[p] * rise_at(np.where(self.active, h - self.best[p], 0.0), self.bend, self.cube)

    def drawn_rise(self, p: int, h: Array) -> Array:
        """The same of every draw, over its own minimum, (draws,)."""
        off = np.where(self.active, h - self.drawn[:, p], 0.0)
        return self.scale[p] * rise_at(off, self.drawn_bend, self.drawn_cube)

    def along(self, j: int, off: float) -> tuple[float, Array]:
        """What a value of axis ``j`` costs that is ``off`` from the best in ln, the others kept, the mean of points,
        nats per token; and of every draw, (draws,)."""
        h = np.zeros(len(self.active))
        h[j] = off
        mean = float(self.scale.mean())
        return mean * float(rise_at(h, self.bend, self.cube)), mean * rise_at(
            h, self.drawn_bend, self.drawn_cube
        )

    def jacobian(self) -> Array:
        """Of the active axes' best values with respect to the coefficients, (points * active, coefficients)."""
        design, axes = self.solved.design, np.flatnonzero(self.active).tolist()
        points, q, terms = len(self.best), len(self.active), len(design.terms)
        inverse = np.linalg.inv(self.bend[np.ix_(axes, axes)])
        rows = np.zeros((points, len(axes), len(self.solved.beta)))  # cubes have no part in the minimum
        for a, j in enumerate(axes):
            rows[np.arange(points), :, j * terms + np.arange(points)] = -inverse[:, a]
        place = {j: a for a, j in enumerate(axes)}
        for number, (i, j) in enumerate(design.pairs):
            if i in place and j in place:
                change = np.zeros((points, len(axes)))
                change[:, place[i]] += self.best[:, j]
                if i != j:
                    change[:, place[j]] += self.best[:, i]
                rows[:, :, q * terms + number] = -change @ inverse
        return rows.reshape(points * len(axes), -1)


def rise_at(off: Array, bend: Array, cube: Array) -> Array:
    """Of a quadratic and cubes at distances ``off`` (..., q) from their minimum, (...).

    On its flat side a cube would bring the loss down again farther out, which no loss does: from where a parabola and
    its cube turn the cube stays as it is.
    """
    with np.errstate(all="ignore"):
        turn = np.where(cube != 0, np.diagonal(bend, axis1=-2, axis2=-1) / (3 * np.abs(cube)), np.inf)
    flat = np.where(cube * off < 0, np.clip(off, -turn, turn), off)
    return np.asarray(
        0.5 * np.einsum("...i,...ij,...j->...", off, bend, off) + np.sum(cube * flat**3, axis=-1)
    )
