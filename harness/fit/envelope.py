"""The lower envelope of training curves: which run has the lowest loss at each compute."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from harness.fit.curves import Curve
from harness.fit.table import Array, Points


@dataclass(frozen=True, eq=False)
class Losses:
    """Smoothed losses of every run at common computes.

    Attributes:
        flops: (m,), log-spaced.
        loss: (runs, m); inf where a run's curve does not reach.
        order: (runs, m), at each compute the rows by rising loss: a draw's winner is the first it holds.
        tokens: (runs, m), tokens that a run had seen.
        progress: (runs, m), the same as a fraction of its horizon.
        run: (runs,), each row's index in the table.
    """

    flops: Array
    loss: Array
    order: NDArray[np.intp]
    tokens: Array
    progress: Array
    run: NDArray[np.intp]


def smooth(curve: Curve, steps: float) -> Array:
    """The training loss after a Gaussian filter of ``steps`` optimizer steps (Hoffmann et al. 2022, 3.1: 10).

    Curves logged more coarsely than that are left as they are.
    """
    spacing = float(np.median(np.diff(curve.step))) if len(curve.step) > 1 else np.inf
    width = steps / max(spacing, 1e-9)
    loss = np.asarray(curve.train_loss, dtype=float)
    return gaussian_filter1d(loss, width, mode="nearest") if width > 0.3 else loss


def tabulate(points: Points, curves: Mapping[str, Curve], steps: float, count: int) -> Losses | None:
    """Every run's smoothed loss, interpolated in ln C, at ``count`` log-spaced computes.

    The computes span the runs' final ones. A run's compute along the way is its tokens times the table's
    FLOPs a token, so the curve follows whichever compute convention the table is in. None without curves.
    """
    rows = [i for i, run in enumerate(points.run_id) if run in curves and _usable(curves[run])]
    if not rows:
        return None
    flops = np.geomspace(points.flops[rows].min(), points.flops[rows].max(), count)
    loss, tokens = np.full((len(rows), count), np.inf), np.zeros((len(rows), count))
    for row, i in enumerate(rows):
        curve = curves[points.run_id[i]]
        known = np.isfinite(curve.train_loss) & (curve.tokens > 0)
        seen = np.maximum.accumulate(np.asarray(curve.tokens, dtype=float)[known])
        per_token = points.flops[i] / points.tokens[i]
        values = smooth(Curve(curve.step[known], seen, curve.flops[known], curve.train_loss[known]), steps)
        tokens[row] = flops / per_token
        # The last logged step may fall a little short of the horizon: half a percent is nothing missing.
        inside = (tokens[row] >= seen[0]) & (tokens[row] <= seen[-1] * 1.005)
        loss[row, inside] = np.interp(np.log(tokens[row, inside]), np.log(seen), values)
    return Losses(
        flops=flops,
        loss=loss,
        order=np.argsort(loss, axis=0, kind="stable"),
        tokens=tokens,
        progress=tokens / points.tokens[rows][:, None],
        run=np.array(rows),
    )


def winners(losses: Losses, held: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
    """The row of lowest loss at each compute among those ``held`` (boolean, (runs,)); -1 for none."""
    ordered = losses.order
    if held is None:
        best = ordered[0]
    else:
        first = np.argmax(held[ordered], axis=0)
        best = np.take_along_axis(ordered, first[None], axis=0)[0]
    reached = np.isfinite(np.take_along_axis(losses.loss, best[None], axis=0)[0])
    return np.where(reached, best, -1)


def _usable(curve: Curve) -> bool:
    known = np.isfinite(curve.train_loss) & (np.asarray(curve.tokens) > 0)
    return int(known.sum()) >= 2
