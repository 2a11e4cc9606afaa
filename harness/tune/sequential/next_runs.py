"""Which runs a round of a tuning trains: a star about the recipe first, then what the surfaces so far ask for.

Runs are chosen one after the other by what they take off the loss that the rules are expected to leave over the
minimum, the mean over points of

    s_p/2 trace(H Cov(rule at p)),

which is known before a run's loss is, for the covariance depends on where runs are alone (a sequential optimal design
for the minimum of a response surface: Fedorov 1972). So a round is a function of the runs before it.
"""

from collections.abc import Callable
from itertools import combinations, product

import numpy as np

from harness.fit.table import Array
from harness.tune.axes import AXES
from harness.tune.sequential.exploring import RISE
from harness.tune.sequential.observed import SAME, Flags, Observed
from harness.tune.sequential.point_surfaces import PointSurfaces
from harness.tune.sequential.rules import weights_of
from harness.tune.sequential.surfaces import SPARE
from harness.tune.sequential.terms import Places, rule_model

NARROWEST, WIDEST = 0.5, 2.0  # of an axis's first step: the steps of later rounds
REPEATED = 0.1  # in ln: a run so near another along every axis is the same again
CLEAR = 2.5  # standard errors of a slope
LONGER = 1.5  # steps, where a star with corners is too little
CORNERS = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))
EDGE = 0.25  # of a step: a minimum further beyond all that was tried is not within it

Allowed = Callable[[int, Array], bool]
Asked = tuple[int, Array]


def star(steps: Array, points: int) -> list[Asked]:
    """The first round: every point's centre, a step down and up along every axis, and corners of pairs of axes.

    A star alone leaves the products of axes undetermined. They are shared by the points, so every point has the corners
    of some pairs only: their signs change from point to point.

    Where that is less than a surface has coefficients, more corners and longer steps are added.

    Args:
        steps: ln of the axes' factors, (q,).

    Returns: (point, h) of every run, h (q,) over the point's centre.
    """
    q, unit = len(steps), np.diag(steps)
    pairs = list(combinations(range(q), 2))
    runs: list[Asked] = []
    for p in range(points):
        runs.append((p, np.zeros(q)))
        runs += [(p, sign * unit[j]) for j in range(q) for sign in (-1.0, 1.0)]
        for number, (i, j) in enumerate(pairs):
            if len(pairs) > 2 and points > 1 and (number + p) % 2:
                continue
            one, other = CORNERS[((p // 2 if len(pairs) > 2 else p) + number) % len(CORNERS)]
            runs.append((p, one * unit[i] + other * unit[j]))
    longer = [sign * LONGER * unit[j] for j in range(q) for sign in (-1.0, 1.0)]
    corners = [one * unit[i] + other * unit[j] for i, j in pairs for one, other in CORNERS]
    for h, p in product((*corners, *longer), range(points)):
        if len(runs) >= least_runs(q, points):
            break
        if not any(r == p and np.allclose(h, g) for r, g in runs):
            runs.append((p, h))
    return runs


def least_runs(q: int, points: int) -> int:
    """How many a surface of ``q`` axes with every product of two needs at so many points, and to see the noise by."""
    return points * (1 + q) + q * (q + 1) // 2 + SPARE


def runs_each(q: int, points: int) -> int:
    """How many runs a later round has at every point: of all points together more than there are axes."""
    return max((q + 1) // 2, -(-(q + 1) // points))


def next_runs(
    observed: Observed,
    surfaces: PointSurfaces | None,
    places: Places,
    steps: Array,
    each: int,
    allowed: Allowed,
) -> list[Asked]:
    """The next round: ``each`` runs at every point, fewer where nothing new is allowed.

    Args:
        surfaces: fitted to what there is; None where it determines none: then half a star about the best run so far.
        steps: ln of the axes' first factors, (q,).
        allowed: whether a run of a point at h (q,) can be trained.
    """
    chosen: list[Asked] = []

    def free(p: int, h: Array) -> bool:
        others = [observed.h[observed.point == p], *(g[None] for r, g in chosen if r == p)]
        near = np.abs(np.concatenate(others) - h) < REPEATED
        return allowed(p, h) and not near.all(axis=1).any() and not _unstable(observed, p, h)

    if surfaces is None:
        middle = observed.lowest()
        moves = [sign * step / 2 for step in np.diag(steps) for sign in (-1.0, 1.0)]
        for p in range(observed.points):
            there = [h for h in middle[p] + np.stack(moves) if free(p, h)]
            chosen += [(p, h) for h in there[: 2 * each]]
        return chosen
    centres, moving = _centres(observed, surfaces, steps)
    low, high = observed.tried()
    lengths = _lengths(surfaces, steps)
    criterion = _Criterion(observed, surfaces, places)
    for turn in range(each):
        for p in range(observed.points):
            if turn == 0 and moving[p] and free(p, centres[p]):
                chosen.append((p, centres[p]))
                criterion.add(p, centres[p])
                continue
            scale = surfaces.scale[p] ** -0.5
            offsets = [
                offset * np.minimum(lengths * scale, WIDEST * steps) for offset in _lattice(len(steps))
            ]
            # no surface is to be believed farther out than a step beyond what was tried
            candidates = [
                h
                for offset in offsets
                if free(p, h := np.clip(centres[p] + offset, low[p] - steps, high[p] + steps))
            ]
            if not candidates:
                continue
            left = [float(f"{criterion.after(p, h):.6g}") for h in candidates]
            best = candidates[int(np.argmin(left))]
            chosen.append((p, best))
            criterion.add(p, best)
    return chosen


def expected_excess(observed: Observed, surfaces: PointSurfaces, places: Places) -> float:
    """Nats that the rules are expected to leave over the minimum for want of runs, the mean of the points."""
    return _Criterion(observed, surfaces, places).value()


def beyond(observed: Observed, surfaces: PointSurfaces, steps: Array) -> Flags:
    """Where the minimum is beyond all that a point's runs tried, (points, q) bool: the next round moves on there.

    Along an axis without a minimum that is where the losses clearly fall towards one end at the centre and the lowest
    is at that end: a slope alone says nothing of what is farther out, where runs may have found losses to rise again.
    """
    low, high = observed.tried()
    lowest = observed.lowest()
    found = (surfaces.best < low - EDGE * steps) | (surfaces.best > high + EDGE * steps)
    at_end = np.where(surfaces.slope > 0, lowest <= low + EDGE * steps, lowest >= high - EDGE * steps)
    falling = np.abs(surfaces.slope) > CLEAR * surfaces.slope_error
    return np.asarray(np.where(surfaces.active, found, falling & at_end))


def _centres(observed: Observed, surfaces: PointSurfaces, steps: Array) -> tuple[Array, Flags]:
    """About what the next runs of every point are put, (points, q); whether that is beyond what it tried, (points,)."""
    low, high = observed.tried()
    outside = beyond(observed, surfaces, steps)
    uphill = np.sign(surfaces.slope)
    far = np.where(uphill > 0, low - steps, high + steps)
    free = np.where(surfaces.active, surfaces.best, np.where(outside, far, 0.0))
    return np.clip(free, low - steps, high + steps), np.asarray(outside.any(axis=1))


def _lengths(surfaces: PointSurfaces, steps: Array) -> Array:
    """How far along each axis runs are put, (q,): where loss rises by a share of the window, within limits."""
    bend = np.diag(surfaces.bend)
    with np.errstate(all="ignore"):
        wanted = np.sqrt(2 * RISE * surfaces.window / bend)
    return np.where(bend > 0, np.clip(wanted, NARROWEST * steps, WIDEST * steps), WIDEST * steps)


def _lattice(q: int) -> list[Array]:
    """Directions: none, along one axis, and along two at once; (q,) each."""
    found = [np.zeros(q)]
    for j, sign in product(range(q), (-1.0, 1.0)):
        found.append(sign * np.eye(q)[j])
    for i, j in combinations(range(q), 2):
        for one, other in product((-1.0, 1.0), repeat=2):
            found.append((one * np.eye(q)[i] + other * np.eye(q)[j]) / np.sqrt(2))
    return found


def _unstable(observed: Observed, p: int, h: Array) -> bool:
    """Whether a run at h would be no steadier than one of the point's that diverged."""
    sign = np.array([AXES[name].unstable for name in observed.names])
    gone = observed.h[(observed.point == p) & np.isnan(observed.loss)]
    return bool(((sign * (h - gone) >= -SAME) | (sign == 0)).all(axis=1).any())


class _Criterion:
    """The expected excess as a function of where runs are."""

    def __init__(self, observed: Observed, surfaces: PointSurfaces, places: Places) -> None:
        self._surfaces = surfaces
        axes = np.flatnonzero(surfaces.active)
        points = observed.points
        names = [observed.names[j] for j in axes]
        model = rule_model(names, np.ones((len(axes), points), dtype=bool), places)
        # the Jacobian's rows are point by point, the model's axis by axis
        self._rows = np.swapaxes(model.rows, 0, 1).reshape(points * len(axes), -1)
        jacobian = surfaces.jacobian()
        self._jacobian = np.concatenate((np.zeros((len(jacobian), points)), jacobian), axis=1)
        weight = surfaces.bend[np.ix_(axes, axes)]
        self._weights = [0.5 * s / points * weight for s in surfaces.scale]
        self._points = points
        columns = [self._row(int(c), h) for c, h in zip(surfaces.sample.cell, surfaces.sample.h, strict=True)]
        matrix = np.stack(columns)
        if surfaces.prior is not None:
            known = surfaces.noise * surfaces.prior
            matrix = np.concatenate((matrix, np.concatenate((np.zeros((len(known), points)), known), axis=1)))
        size = np.linalg.norm(matrix, axis=0)
        inverse = np.linalg.pinv(matrix / size) / size[:, None]
        self._covariance = surfaces.noise**2 * inverse @ inverse.T

    def _row(self, p: int, h: Array) -> Array:
        surfaces = self._surfaces
        level = np.eye(self._points)[p]
        bent = surfaces.solved.design.rows(h[None], surfaces.sample.g[p][None])[0] * surfaces.scale[p]
        return np.concatenate((level, bent))

    def _with(self, p: int, h: Array) -> Array:
        row = self._row(p, h)
        gain = self._covariance @ row
        return np.asarray(
            self._covariance - np.outer(gain, gain) / (self._surfaces.noise**2 + float(row @ gain))
        )

    def add(self, p: int, h: Array) -> None:
        """Take a run as trained."""
        self._covariance = self._with(p, h)

    def after(self, p: int, h: Array) -> float:
        """The excess with one run more."""
        return self.value(self._with(p, h))

    def value(self, covariance: Array | None = None) -> float:
        """The excess, nats."""
        given = self._covariance if covariance is None else covariance
        minima = self._jacobian @ given @ self._jacobian.T
        _, spread = weights_of(minima, self._rows)
        rule = self._rows @ spread @ self._rows.T
        a = len(rule) // self._points
        return float(
            sum(
                np.trace(weight @ rule[p * a : (p + 1) * a, p * a : (p + 1) * a])
                for p, weight in enumerate(self._weights)
            )
        )
