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
from harness.report.figure_data import named
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


@dataclass(frozen=True)
class LineLook:
    """How a frontier is drawn: ``width`` in points, ``dash`` beyond the runs, ``order`` from the back to the front."""

    width: float = 1.7
    dash: tuple[float, ...] = (3.7, 1.6)
    order: float = 2.0


# Where approaches agree their lines lie on each other: the widest is at the back, and all are to be seen.
LOOKS = {
    "approach_3": LineLook(3.0, (1.6, 0.8), 2.0),
    "approach_1": LineLook(2.0, (3.0, 1.4), 2.1),
    "approach_2": LineLook(1.2, (6.0, 2.6), 2.2),
}


def draw_track(
    axes: Axes,
    line: Line,
    track: Track,
    colour: str,
    name: str,
    look: LineLook | None = None,
    key: bool = True,
) -> None:
    """A quantity along the frontier: solid within the runs' compute, dashed beyond, a band of intervals.

    Where an interval has no upper end there is no band, and the figure says so.

    Args:
        name: of the series. key: whether it is in the legend.
    """
    look = look or LineLook()
    measured = line.measured
    bounded = np.where(np.isinf(track.high), np.nan, track.high)
    axes.fill_between(
        line.flops,
        track.low,
        bounded,
        color=colour,
        alpha=0.15,
        linewidth=0,
        label=named(f"{name}: interval"),
    )
    for edge in (track.low, bounded):
        axes.plot(line.flops, edge, color=colour, linewidth=0.5, alpha=0.6)
    for i in np.flatnonzero(np.isinf(track.high))[:1]:
        mark_not_bounded(axes, line.flops[i], track.value[i], (track.low[i], track.high[i]))
    beyond = np.where(_inner(measured), np.nan, track.value)
    axes.plot(
        line.flops,
        beyond,
        linestyle=(0, look.dash),
        color=colour,
        linewidth=0.75 * look.width,
        zorder=look.order,
        label=named(f"{name}: extrapolated"),
    )
    axes.plot(
        line.flops[measured],
        track.value[measured],
        color=colour,
        linewidth=look.width,
        zorder=look.order,
        label=name if key else named(name),
    )


def _inner(measured: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where a budget and both beside it are measured: the dashed line begins where the solid one ends."""
    padded = np.pad(measured, 1, mode="edge")
    return measured & padded[:-2] & padded[2:]


def mark_target(axes: Axes, data: ReportData, line: Line, name: str, symbol: str) -> None:
    """A cross-hair at the target and the number there, written where the line leaves room."""
    track: Track = getattr(line, name)
    target = data.target
    nearest = int(abs(line.flops / target - 1).argmin())
    value = float(track.value[nearest])
    text = f"{symbol} = {ratio(value) if name == 'ratio' else counted(value)}"
    axes.plot(
        [target],
        [value],
        "D",
        color="white",
        markeredgecolor=INK,
        markersize=5,
        zorder=6,
        label=named(f"{symbol} at the target"),
    )
    rising = track.value[-1] >= track.value[0]
    axes.annotate(
        text,
        (target, value),
        xytext=(-8, 2 if rising else -2),
        textcoords="offset points",
        ha="right",
        va="bottom" if rising else "top",
    )
