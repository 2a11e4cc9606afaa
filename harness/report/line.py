"""A frontier as a line to draw: N*, D*, D*/N* and L* over a range of compute, with the band of their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from harness.fit.bootstrap import Interval
from harness.fit.results import Approach
from harness.fit.table import Array
from harness.report.axes import mark_not_bounded
from harness.report.data import ReportData
from harness.report.style import INK
from harness.report.text import counted, ratio


@dataclass(frozen=True, eq=False)
class Track:
    """One quantity along the frontier; ``low`` and ``high`` are NaN where the draws give no interval.

    ``high`` is infinite where it is not bounded.
    """

    value: Array
    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Line:
    """The frontier of one approach; every array has shape (budgets,).

    Attributes:
        flops: C.
        params, tokens, ratio, loss: N*, D*, D*/N* and L* at C.
        measured: where C lies within the compute of the runs; the rest is extrapolation.
    """

    flops: Array
    params: Track
    tokens: Track
    ratio: Track
    loss: Track
    measured: NDArray[np.bool_]


def frontier_line(
    approach: Approach, low: float, high: float, also: tuple[float, ...] = (), n: int = 80
) -> Line | None:
    """The frontier of ``approach`` from C = ``low`` to ``high``, at ``n`` budgets and those in ``also``.

    None where the approach has no numbers.
    """
    if approach.theta() is None:
        return None
    smallest, largest = approach.smallest_flops or low, approach.largest_flops or high
    edges = [c for c in (smallest, largest, *also) if low <= c <= high]
    flops = np.unique(np.concatenate((np.geomspace(low, high, n), edges)))
    found = [approach.predict(float(c)) for c in flops]
    return Line(
        flops=flops,
        params=_track([(e.params, e.params_interval) for e in found]),
        tokens=_track([(e.tokens, e.tokens_interval) for e in found]),
        ratio=_track([(e.tokens_per_param, e.tokens_per_param_interval) for e in found]),
        loss=_track([(e.loss, e.loss_interval) for e in found]),
        measured=(flops >= smallest * (1 - 1e-9)) & (flops <= largest * (1 + 1e-9)),
    )


def _track(estimates: Sequence[tuple[float | None, Interval | None]]) -> Track:
    rows = [
        (np.nan if value is None else value, *(bounds or (np.nan, np.nan))) for value, bounds in estimates
    ]
    return Track(*np.array(rows).T)


def draw_track(
    axes: Axes, line: Line, track: Track, colour: str, label: str | None = None, band: bool = True
) -> None:
    """A quantity along the frontier: solid within the runs' compute, dashed beyond, a band of intervals.

    Where an interval has no upper end there is no band, and the figure says so.
    """
    measured = line.measured
    if band:
        bounded = np.where(np.isinf(track.high), np.nan, track.high)
        axes.fill_between(line.flops, track.low, bounded, color=colour, alpha=0.18, linewidth=0)
        for i in np.flatnonzero(np.isinf(track.high))[:1]:
            mark_not_bounded(axes, line.flops[i], track.value[i], (track.low[i], track.high[i]))
    axes.plot(line.flops, track.value, "--", color=colour, linewidth=1.1)
    axes.plot(line.flops[measured], track.value[measured], color=colour, linewidth=1.7, label=label)


def mark_target(axes: Axes, data: ReportData, line: Line, name: str, symbol: str) -> None:
    """A cross-hair at the target and the number there, written where the line leaves room."""
    track: Track = getattr(line, name)
    target = data.target
    nearest = int(abs(line.flops / target - 1).argmin())
    value = float(track.value[nearest])
    text = f"{symbol} = {ratio(value) if name == 'ratio' else counted(value)}"
    axes.plot([target], [value], "D", color="white", markeredgecolor=INK, markersize=5, zorder=6)
    rising = track.value[-1] >= track.value[0]
    axes.annotate(
        text,
        (target, value),
        xytext=(-8, 2 if rising else -2),
        textcoords="offset points",
        ha="right",
        va="bottom" if rising else "top",
    )
