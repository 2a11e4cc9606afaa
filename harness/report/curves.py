"""The training curves that a figure has room for, smoothed as approach 1 smooths them, best of each budget first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.fit import Curve, FitOptions
from harness.fit.approach_1 import smooth
from harness.fit.table import Array
from harness.report.data import ReportData, members

MOST_CURVES = 150
"""More than these cannot be told apart in a figure."""


@dataclass(frozen=True, eq=False)
class SmoothedCurve:
    """A run's training loss as the envelope sees it, both arrays (points,), and C as the fit counts it.

    Attributes:
        row: of the run in the report's points; of a run with several rows the last.
    """

    run: str
    row: int
    params: float
    flops: Array
    loss: Array


@dataclass(frozen=True)
class SmoothedCurves:
    """Those that are shown, by rising N, and how many there is no room for."""

    shown: tuple[SmoothedCurve, ...]
    left_out: int = 0

    @property
    def note(self) -> str:
        """A sentence on what is left out; empty where nothing is."""
        if not self.left_out:
            return ""
        total = self.left_out + len(self.shown)
        return f" Shown are {len(self.shown)} of {total} curves, those of the lowest losses of each budget first."


def smoothed_curves(data: ReportData, most_points: int) -> SmoothedCurves:
    """The curves of at most :data:`MOST_CURVES` of the fitted runs, each of at most ``most_points`` points.

    They are smoothed over as many steps as approach 1 does by default.
    """
    points = data.points
    by_tokens = np.argsort(points.tokens, kind="stable").tolist()
    rows = [row for run, row in {points.run_id[i]: i for i in by_tokens}.items() if run in data.curves]
    usable = [row for row in _ranked(data, rows) if _known(data.curves[points.run_id[row]]).sum() > 1]
    shown = [_smoothed(data, row, most_points) for row in usable[:MOST_CURVES]]
    return SmoothedCurves(
        tuple(sorted(shown, key=lambda one: (one.params, one.run))), len(usable) - len(shown)
    )


def _ranked(data: ReportData, rows: list[int]) -> list[int]:
    """``rows`` with the lowest loss of every budget first, then the second of every one, and so on."""
    place = dict.fromkeys(rows, -1)
    for i, budget in enumerate(data.fit.approach_2.budgets):
        place |= dict.fromkeys(set(members(data.points, budget)) & place.keys(), i)
    rank, seen = {}, dict.fromkeys({-1, *place.values()}, 0)
    for row in sorted(rows, key=lambda row: (data.points.loss[row], row)):
        rank[row] = seen[place[row]]
        seen[place[row]] += 1
    return sorted(rows, key=lambda row: (rank[row], data.points.loss[row], row))


def _known(curve: Curve) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(curve.train_loss) & (np.asarray(curve.tokens) > 0))


def _smoothed(data: ReportData, row: int, most_points: int) -> SmoothedCurve:
    points, run = data.points, data.points.run_id[row]
    curve = data.curves[run]
    known = _known(curve)
    kept = Curve(curve.step[known], curve.tokens[known], curve.flops[known], curve.train_loss[known])
    flops = kept.tokens * (points.flops[row] / points.tokens[row])
    keep = thinned(flops, most_points)
    loss = smooth(kept, FitOptions().smoothing_steps)
    return SmoothedCurve(run, row, float(points.params[row]), flops[keep], loss[keep])


def thinned(flops: Array, most: int) -> Array:
    """Indices of at most ``most`` of rising computes, evenly in their logarithm; the last one is kept."""
    wanted = np.geomspace(flops[0], flops[-1], most)
    found = np.searchsorted(flops, wanted * (1 - 1e-12))
    return np.asarray(np.unique(np.minimum(found, len(flops) - 1)))
