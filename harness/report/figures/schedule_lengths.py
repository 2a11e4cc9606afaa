"""Schedules longer than the run (Hoffmann et al. 2022, Fig. A1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from harness.report.axes import log_plain
from harness.report.data import MissingError, ReportData
from harness.report.figure_data import named
from harness.report.keys import key_below
from harness.report.style import GREY, INK, MARKERS, log_colours, panels
from harness.report.text import counted

MATCHED = 1.0
ASIDE = 0.955  # times their length, where other seeds stand: on it they would read as points of the line


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
    others = []
    for i, (cell, colour) in enumerate(zip(cells, colours, strict=True)):
        mine = [run for run in runs if (run.params, run.tokens) == cell]
        horizons = sorted({run.horizon for run in mine})
        by_length = [{run.seed: run.loss for run in mine if run.horizon == h} for h in horizons]
        common = set.intersection(*(set(losses) for losses in by_length)) or {run.seed for run in mine}
        means = [float(np.mean([v for s, v in losses.items() if s in common])) for losses in by_length]
        matched = means[horizons.index(MATCHED)]
        marker = MARKERS[i % len(MARKERS)]
        name = f"N = {counted(cell[0])}"
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4}
        if len(common) > 1:
            every = [(r.horizon, r.loss - matched) for r in mine if r.seed in common]
            axes.plot(horizons, np.array(means) - matched, color=colour, label=name)
            axes.plot(*zip(*every, strict=True), linestyle="", **style, label=named(f"{name}: each seed"))
        else:
            axes.plot(horizons, np.array(means) - matched, **style, label=name)
        apart = [(r.horizon * ASIDE, r.loss - matched) for r in mine if r.seed not in common]
        if apart:
            x, y = zip(*apart, strict=True)
            axes.plot(
                x, y, linestyle="", **style, markerfacecolor="none", label=named(f"{name}: another seed")
            )
            others += apart
    if others:
        axes.plot(
            [],
            [],
            "o",
            color=GREY,
            markersize=4,
            markerfacecolor="none",
            label="other seeds (beside their length)",
        )
    axes.axhline(0, color=INK, linewidth=0.7)
    log_plain(axes, "x")
    axes.set(
        xlabel="length of the schedule / length of the run",
        ylabel="loss above the matched schedule's\n(nats per token)",
    )
    key_below(figure)
    return figure
