"""Training curves and their envelope, and schedules longer than the run (Hoffmann et al. 2022, Figs. 2 and A1)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit import Curve
from harness.fit.table import Array
from harness.report.axes import log_counts, log_flops
from harness.report.data import MissingError, ReportData
from harness.report.line import draw_track, frontier_line, mark_target
from harness.report.style import GREEN, INK, MARKERS, colour_bar, log_colours, panels
from harness.report.text import counted, plain_status

POINTS = 150
ENVELOPE_POINTS = 250


def draw_training_curves(data: ReportData) -> Figure:
    """Training loss against compute so far, coloured by N; the envelope's N and D against C."""
    approach = data.fit.approach_1
    sizes = dict(zip(data.points.run_id, data.points.params, strict=True))
    shown = {run: curve for run, curve in data.curves.items() if run in sizes and len(curve.flops) > 1}
    if not shown:
        raise MissingError("there are no training curves")
    figure, (left, middle, right) = panels(3, width=3.6, height=3.3)
    order = sorted(shown, key=lambda run: sizes[run])
    for run, colour in zip(order, log_colours([sizes[run] for run in order]), strict=True):
        curve = shown[run]
        keep = _thinned(curve.flops)
        left.plot(curve.flops[keep], curve.train_loss[keep], color=colour, linewidth=0.7, alpha=0.8)
    envelope = approach.envelope
    if envelope is not None and len(envelope):
        starts = np.flatnonzero(np.diff(envelope[:, 0]) <= 0) + 1
        for i, one in enumerate(np.split(envelope, starts)):  # a seed of the grid each
            left.plot(one[:, 0], one[:, 3], color=INK, linewidth=1.6, label=None if i else "envelope")
        left.legend(loc="upper right")
    _frame(left, shown.values())
    colour_bar(left, [sizes[run] for run in order], "N")
    left.set(
        xlabel="compute so far (FLOPs)", ylabel="training loss (nats per token)", title="Training curves"
    )

    line = frontier_line(approach, *data.range, also=(data.target,))
    for axes, letter, name, column in ((middle, "N", "params", 1), (right, "D", "tokens", 2)):
        if envelope is not None and len(envelope):
            keep = np.unique(np.linspace(0, len(envelope) - 1, ENVELOPE_POINTS).astype(int))
            axes.plot(envelope[keep, 0], envelope[keep, column], ".", color=INK, markersize=2.5, alpha=0.6)
        if line is not None:
            exponent = approach.a if letter == "N" else approach.b
            draw_track(axes, line, getattr(line, name), GREEN)
            mark_target(axes, data, line, name, f"{letter}*")
            axes.set_title(rf"{letter}* $\propto$ C$^{{{exponent:.3f}}}$ (approach 1)")
        else:
            axes.set_title(f"{letter}*: {plain_status(approach.status)}")
        axes.set(xlabel="training compute C (FLOPs)")
        log_flops(axes)
        log_counts(axes, "y")
        axes.set_ylabel("parameters N*" if letter == "N" else "tokens D*")
    return figure


def _thinned(flops: Array) -> Array:
    """Indices of at most ``POINTS`` points, evenly in log compute; the last one is kept."""
    positive = np.flatnonzero(flops > 0)
    wanted = np.geomspace(flops[positive[0]], flops[positive[-1]], POINTS)
    found = np.searchsorted(flops[positive], wanted * (1 - 1e-12))
    return np.asarray(positive[np.unique(np.minimum(found, len(positive) - 1))])


def _frame(axes: Axes, curves: Iterable[Curve]) -> None:
    """The losses that matter: from the lowest to where most of the fall from the first steps is over."""
    curves = list(curves)
    losses = [curve.train_loss for curve in curves]
    low = min(float(np.nanmin(loss)) for loss in losses)
    high = float(np.nanmax([np.nanquantile(loss, 0.75) for loss in losses]))
    top = high + 0.25 * (high - low)
    entered = [float(c.flops[np.argmax(c.train_loss < top)]) for c in curves if (c.train_loss < top).any()]
    axes.set_xlim(0.7 * min(entered), 1.4 * max(float(c.flops[-1]) for c in curves))
    axes.set_ylim(low - 0.04 * (high - low), top)
    log_flops(axes)


MATCHED = 1.0


@dataclass(frozen=True)
class CycleRun:
    """One run of N = ``params`` on D = ``tokens`` whose schedule is ``horizon`` times as long as it; its final loss."""

    params: float
    horizon: float
    loss: float
    seed: int = 0
    tokens: float = 0.0


def draw_schedule_lengths(data: ReportData) -> Figure:
    """Fig. A1 from a sweep's ablations, beside the best cells they are ablations of and those cells' other seeds."""
    return draw_cycles(cycle_runs(data))


def cycle_runs(data: ReportData) -> list[CycleRun]:
    """The runs of the figure; empty where no schedule was varied."""
    ablations = [c for c in data.ablations if c.changed == "horizons" and c.of in data.records]
    found = []
    for of in dict.fromkeys(ablation.of for ablation in ablations):
        best = data.records[of]
        twins = [
            record
            for record in data.records.values()
            if {**record.spec, "seed": 0} == {**best.spec, "seed": 0}
        ]
        losses = [(MATCHED, record.loss, record.spec["seed"]) for record in twins]
        losses += [(c.factor, c.loss, best.spec["seed"]) for c in ablations if c.of == of]
        found += [
            CycleRun(best.params_total, horizon, loss, seed, best.tokens)
            for horizon, loss, seed in losses
            if loss is not None
        ]
    return found


def draw_cycles(runs: Sequence[CycleRun]) -> Figure:
    """Loss above that of the matched schedule against the schedule's length, one line a cell, seeds as points.

    A line compares like with like: the seeds that were run at every length. Other seeds are points alone; at a
    length of 1 they show the seed noise of a loss.
    """
    cells = sorted({(run.params, run.tokens) for run in runs if run.horizon == MATCHED})
    if not cells or len({run.horizon for run in runs}) < 2:
        raise MissingError("no runs whose schedule is longer than themselves, beside matched ones")
    figure, (axes,) = panels(1, width=5.0, height=3.4)
    colours = log_colours([params for params, _ in cells])
    for i, (cell, colour) in enumerate(zip(cells, colours, strict=True)):
        mine = [run for run in runs if (run.params, run.tokens) == cell]
        horizons = sorted({run.horizon for run in mine})
        by_length = [{run.seed: run.loss for run in mine if run.horizon == h} for h in horizons]
        common = set.intersection(*(set(losses) for losses in by_length)) or {run.seed for run in mine}
        means = [float(np.mean([v for s, v in losses.items() if s in common])) for losses in by_length]
        matched = means[horizons.index(MATCHED)]
        axes.plot(horizons, np.array(means) - matched, color=colour, label=f"N = {counted(cell[0])}")
        marker = MARKERS[i % len(MARKERS)]
        axes.plot(
            [r.horizon for r in mine], [r.loss - matched for r in mine], marker, color=colour, markersize=4
        )
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.set(
        xlabel="length of the schedule / length of the run",
        ylabel="loss above the matched schedule's\n(nats per token)",
    )
    axes.legend()
    return figure
