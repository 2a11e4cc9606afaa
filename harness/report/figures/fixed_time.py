"""The best model of a fixed time on a device: loss and size against hours and dollars."""

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.fit.estimate import FrontierSource
from harness.predict.fixed_time import TimedOptimum, answer_time, within_ladder
from harness.predict.source import choose, from_fit
from harness.report.axes import log_counts, log_plain, mark_not_bounded, top_scale
from harness.report.data import MissingError, ReportData
from harness.report.devices import TimedDevice
from harness.report.figure_data import named
from harness.report.keys import key_below
from harness.report.style import BLUE, GREY, RED, panels

TIMES = 48
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
SEVERAL = 2  # of a unit, in the longest time: else a smaller one is easier to read


def draw_fixed_time(data: ReportData) -> Figure:
    """From the time of the smallest budget's compute-optimal model to that of the target's."""
    source, device = source_and_device(data)
    fit = data.fit
    first, measured, last = (
        seconds_of(source, device, flops) for flops in (fit.smallest_flops, fit.largest_flops, data.target)
    )
    rows = timed(source, device, np.geomspace(first, max(measured, last), TIMES))
    if len(rows) < 2:
        raise MissingError("the best models of such times are not within the ladder's sizes")
    figure, axes = panels(2, width=4.5, height=3.7)
    start, end = rows[0].seconds, rows[-1].seconds
    unit = draw_rows((axes[0], axes[1]), [row.seconds for row in rows], rows, device.label, device.price)
    for each in axes:
        each.set_xlim(start / unit, end / unit)
        if measured > start:
            covered = max(first, start) / unit, min(measured, end) / unit
            each.axvspan(*covered, color=GREY, alpha=0.07, linewidth=0)
    key_below(figure)
    return figure


def more(data: ReportData) -> str:
    """The end of the caption: where the times come from."""
    return f" {data.devices[0].said}."


def draw_rows(
    axes: tuple[Axes, Axes],
    seconds: Sequence[float],
    rows: Sequence[TimedOptimum],
    device: str,
    price: float | None,
) -> float:
    """Left the loss, right the size of the best models and of the compute-optimal ones, against their time.

    Args:
        seconds: of the device, or of all devices together, ascending.
        device: its label.
        price: dollars an hour, for a second axis; None draws none.

    Returns:
        Seconds in one unit of the axis.
    """
    name, unit = next((one for one in UNITS if seconds[-1] >= SEVERAL * one[1]), UNITS[-1])
    times = [value / unit for value in seconds]
    for each, quantity in zip(axes, ("loss", "params"), strict=True):
        best, plain = ([getattr(row, stem + quantity) for row in rows] for stem in ("", "plain_"))
        intervals = [getattr(row, f"{quantity}_interval") for row in rows]
        low, high = _bounds(intervals)
        for i in [i for i, one in enumerate(intervals) if one is not None and one[1] == np.inf][:1]:
            mark_not_bounded(each, times[i], getattr(rows[i], quantity), intervals[i])
        each.fill_between(
            times,
            low,
            high,
            color=BLUE,
            alpha=0.18,
            linewidth=0,
            label=named("best model of the time: interval"),
        )
        each.plot(times, best, color=BLUE, linewidth=1.7, label="best model of the time")
        each.plot(times, plain, "--", color=RED, linewidth=1.3, label="compute-optimal, takes as long")
        each.set_xlabel(f"{name} on {device}")
        log_plain(each, "x")
        if price is not None:
            top_scale(each, price * unit / 3600, "dollars")
    axes[0].set_ylabel("loss (nats per token)")
    axes[1].set_ylabel("parameters N")
    log_counts(axes[1], "y")
    return unit


def _bounds(intervals: Iterable[tuple[float, float] | None]) -> tuple[list[float], list[float]]:
    """Both ends of each for a band, NaN where there is no interval or it is not bounded."""
    open_ended = (np.nan, np.nan)
    kept = [one if one is not None and 0 < one[0] <= one[1] < np.inf else open_ended for one in intervals]
    return [low for low, _ in kept], [high for _, high in kept]


def source_and_device(data: ReportData) -> tuple[FrontierSource, TimedDevice]:
    """The source that answers, and the device: the sweep's own, where that is known.

    Raises:
        MissingError: there is no L(N, D), or no device.
    """
    law = data.fit.approach_3
    if law.theta() is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    if not data.devices:
        raise MissingError(
            "how long such runs take is unknown: there are no rules of a sweep, or of models that are counted here, "
            "and the default ladder lacks their sizes"
        )
    return choose(from_fit(data.fit), law.name)[1], data.devices[0]


def seconds_of(source: FrontierSource, device: TimedDevice, flops: float) -> float:
    """How long the compute-optimal model of a budget trains."""
    assert source.frontier is not None, "the source was chosen because it has one"
    best = source.frontier.at_flops(flops)
    return float(device.clock.seconds(best.params, best.tokens))


def timed(source: FrontierSource, device: TimedDevice, seconds: Iterable[float]) -> tuple[TimedOptimum, ...]:
    """The best models of these times, without the times in which no model of the ladder is trained."""
    found = []
    for time in seconds:
        try:
            found.append(answer_time(source, device.clock, float(time)))
        except UserError:
            continue
    return within_ladder(found, device.clock)
