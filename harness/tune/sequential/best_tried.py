"""The best value that was tried along a hyperparameter without a sure minimum, by runs that differ in it alone.

Where a curvature is not sure the surface says nothing of the best value, but runs may: at every point a run with the
recipe's value and one with another, all else equal, are a pair, and the points' pairs together have an interval.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from harness.fit.table import Array
from harness.tune.results import Interval
from harness.tune.sequential.observed import SAME, Observed

SAME_VALUE = 0.1  # in ln: multiples of the centre this near are one value at all points
LEAST_POINTS = 3  # from which on the points' own scatter is an error; below, noise of the fit alone


@dataclass(frozen=True)
class BestTried:
    """A value that is surely better than the recipe's.

    Attributes:
        h: ln of it over what the recipe says.
        gain: loss at the recipe's value less loss at this one, the mean of the points, nats per token.
        interval: of the gain; none of the values looked at has one that is wrong, with the probability asked for.
        points: at how many it was tried.
    """

    h: float
    gain: float
    interval: Interval
    points: int


def best_tried(
    observed: Observed, j: int, window: float, level: float, noise: float | None, freedom: int
) -> BestTried | None:
    """Of the values of axis ``j`` tried at most points the one that gains most, or None where none surely gains.

    The interval is the wider of two by Student's t: of the points' gains about their mean, and of the noise of runs.
    Values of which a run diverged are left aside.

    Args:
        window: pairs of which the better is so many nats above its point's lowest loss say nothing of the best values.
        level: of the interval, shared by all values looked at (Bonferroni).
        noise: standard deviation of a run, nats per token, with ``freedom``; None where there is no fit.
    """
    with_runs = len(np.unique(observed.point[np.isfinite(observed.loss)]))
    found: list[tuple[float, Array]] = []
    for low, high in _values(observed.h[:, j]):
        inside = (observed.h[:, j] >= low) & (observed.h[:, j] <= high)
        if np.isnan(observed.loss[inside]).any():
            continue
        pairs = [
            _gain(observed, j, inside & (observed.point == p), p, window) for p in range(observed.points)
        ]
        known = [one for one in pairs if one is not None]
        if 2 * len(known) > with_runs:
            h = float(np.mean(observed.h[inside, j]))
            found.append((h, np.array(known)))
    sure = []
    for h, known_gains in found:
        gains, variances = known_gains.T
        reach = _reach(gains, variances, (1 - level) / 2 / len(found), noise, freedom)
        gain = float(gains.mean())
        if reach is not None and gain > reach:
            sure.append(BestTried(h, gain, (gain - reach, gain + reach), len(gains)))
    return max(sure, key=lambda one: one.gain, default=None)


def _values(column: Array) -> list[tuple[float, float]]:
    """The least and the largest h of every value that was tried but the recipe's."""
    ordered = np.unique(column)
    groups = np.split(ordered, np.flatnonzero(np.diff(ordered) > SAME_VALUE) + 1)
    return [(float(one[0]), float(one[-1])) for one in groups if np.abs(one).min() >= SAME]


def _gain(observed: Observed, j: int, inside: Array, p: int, window: float) -> tuple[float, float] | None:
    """Gain of a point by runs of the mask ``inside`` (n,), the mean of its pairs, and its variance over a run's."""
    here = (observed.point == p) & np.isfinite(observed.loss)
    if not here.any():
        return None
    limit = observed.loss[here].min() + window
    others = np.delete(observed.h, j, axis=1)
    own = here & (np.abs(observed.h[:, j]) < SAME)
    left = np.flatnonzero(inside & here)
    gains, variances = [], []
    while len(left):
        alike = (np.abs(others - others[left[0]]) < SAME).all(axis=1)
        there, before = np.flatnonzero(inside & here & alike), np.flatnonzero(own & alike)
        left = np.setdiff1d(left, there)
        if len(before) and min(observed.loss[there].min(), observed.loss[before].min()) <= limit:
            gains.append(observed.loss[before].mean() - observed.loss[there].mean())
            variances.append(1 / len(before) + 1 / len(there))
    return (float(np.mean(gains)), sum(variances) / len(gains) ** 2) if gains else None


def _reach(gains: Array, variances: Array, tail: float, noise: float | None, freedom: int) -> float | None:
    """Half of the width of the mean gain's interval, with ``tail`` outside on either side; None without an error."""
    count, found = len(gains), []
    if noise is not None:
        error = noise * float(np.sqrt(variances.sum())) / count
        found.append(error * float(stdtrit(freedom, 1 - tail)))
    if count >= LEAST_POINTS:
        error = float(gains.std(ddof=1)) / count**0.5
        found.append(error * float(stdtrit(count - 1, 1 - tail)))
    return max(found, default=None)
