"""Training curves and their envelope (Hoffmann et al. 2022, Fig. 2)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from harness.fit.table import Array
from harness.report.axes import frame, log_counts, log_flops
from harness.report.curves import SmoothedCurve, smoothed_curves
from harness.report.data import MissingError, ReportData
from harness.report.figure_data import named
from harness.report.keys import key_below, set_title
from harness.report.line import draw_track, frontier_line, mark_target
from harness.report.style import APPROACH_NAMES, GREEN, INK, colour_bar, log_colours, panels
from harness.report.text import counted, plain_status

POINTS = 100
ENVELOPE_POINTS = 250


def draw_training_curves(data: ReportData) -> Figure:
    """Training loss against compute so far, coloured by N; the envelope's N and D against C."""
    approach = data.fit.approach_1
    shown = smoothed_curves(data, POINTS).shown
    if not shown:
        raise MissingError("there are no training curves")
    envelope = approach.envelope
    known = envelope is not None and len(envelope) > 0
    line = frontier_line(approach, *data.range, also=(data.target,))
    # Without an envelope there is nothing to draw against C.
    figure, (left, *others) = panels(3 if known or line is not None else 1, width=3.6, height=3.3)
    for one, colour in zip(shown, log_colours([one.params for one in shown]), strict=True):
        left.plot(
            one.flops,
            one.loss,
            color=colour,
            linewidth=0.7,
            alpha=0.85,
            label=named(f"run {one.run} (N = {counted(one.params)})"),
        )
    if envelope is not None and known:
        ends = [
            flops
            for run, flops in zip(data.points.run_id, data.points.flops, strict=True)
            if run in data.curves
        ]
        for i, piece in enumerate(envelope_pieces(envelope, ends)):
            left.plot(
                piece[:, 0],
                piece[:, 3],
                color=INK,
                linewidth=1.4,
                label=named("envelope") if i else "envelope",
            )
    _frame(left, shown)
    colour_bar(left, [one.params for one in shown], "N")
    left.set(xlabel="compute so far (FLOPs)", ylabel="training loss (nats per token)")
    set_title(
        left, "Training curves" if known else f"Training curves; envelope: {plain_status(approach.status)}"
    )
    for axes, letter, name, column in zip(others, "ND", ("params", "tokens"), (1, 2), strict=False):
        if envelope is not None and known:
            keep = np.unique(np.linspace(0, len(envelope) - 1, ENVELOPE_POINTS).astype(int))
            axes.plot(
                envelope[keep, 0],
                envelope[keep, column],
                ".",
                color=INK,
                markersize=2.5,
                alpha=0.6,
                label="run of the envelope",
            )
        if line is not None:
            exponent = approach.a if letter == "N" else approach.b
            draw_track(axes, line, getattr(line, name), GREEN, APPROACH_NAMES["approach_1"])
            mark_target(axes, data, line, name, f"{letter}*")
            set_title(axes, rf"{letter}* ∝ C$^{{{exponent:.3f}}}$ (approach 1)")
        else:
            set_title(axes, f"{letter}*: {plain_status(approach.status)}")
        axes.set(xlabel="training compute C (FLOPs)")
        log_flops(axes)
        log_counts(axes, "y")
        if line is not None:
            track = getattr(line, name)
            seen = envelope[:, column] if envelope is not None else ()
            frame(axes, "y", (seen, track.value), (track.low, track.high))
        axes.set_ylabel("parameters N*" if letter == "N" else "tokens D*")
    _set_apart(figure)
    key_below(figure)
    return figure


def _set_apart(figure: Figure) -> None:
    """Room between panels, so that the label of one is not read as that of the colour bar beside it."""
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(wspace=0.07)


def more(data: ReportData) -> str:
    """The end of the caption where not all curves are in the figure."""
    return smoothed_curves(data, POINTS).note


def envelope_pieces(envelope: Array, ends: Sequence[float]) -> list[Array]:
    """The envelope in pieces that are lines, each (points, 4).

    A piece ends where the next seed's envelope begins, and where a run ends and the lowest that go on are higher: no
    run has the losses between.

    Args:
        envelope: of :class:`harness.fit.results.Approach1`. ends: the last compute of each run.
    """
    flops, loss = envelope[:, 0], envelope[:, 3]
    new_seed = np.diff(flops) <= 0
    last = np.sort(np.asarray(ends, dtype=float))
    near = 1.006  # a curve is taken to reach half a percent beyond its last step
    ended = np.searchsorted(last, flops[1:] * near) > np.searchsorted(last, flops[:-1] / near)
    return np.split(envelope, np.flatnonzero(new_seed | (ended & (np.diff(loss) > 0))) + 1)


def _frame(axes: Axes, curves: Sequence[SmoothedCurve]) -> None:
    """The losses that matter: from the lowest to where most of the fall from the first steps is over."""
    low = min(float(one.loss.min()) for one in curves)
    high = max(float(np.quantile(one.loss, 0.5)) for one in curves)
    top = high + 0.1 * (high - low)
    entered = [float(one.flops[np.argmax(one.loss < top)]) for one in curves if (one.loss < top).any()]
    axes.set_xlim(0.7 * min(entered), 1.4 * max(float(one.flops[-1]) for one in curves))
    axes.set_ylim(low - 0.04 * (high - low), top)
    log_flops(axes)
