"""Cosine cycle length against final loss (Hoffmann et al. 2022, Fig. A1): what a wrong horizon costs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from harness.report.missing import MissingError
from harness.report.style import INK, MARKERS, log_colours, panels
from harness.report.text import counted

MATCHED = 1.0


@dataclass(frozen=True)
class CycleRun:
    """One run of ``params`` parameters whose schedule is ``horizon`` times as long as the run; its final loss."""

    params: float
    horizon: float
    loss: float
    seed: int = 0


def draw(runs: Sequence[CycleRun]) -> Figure:
    """Loss above that of the matched schedule against the schedule's length, one line a size, seeds as points."""
    sizes = sorted({run.params for run in runs if run.horizon == MATCHED})
    if not sizes or len({run.horizon for run in runs}) < 2:
        raise MissingError("no runs whose schedule is longer than themselves, beside matched ones")
    figure, (axes,) = panels(1, width=5.0, height=3.4)
    for i, (size, colour) in enumerate(zip(sizes, log_colours(sizes), strict=True)):
        mine = [run for run in runs if run.params == size]
        matched = float(np.mean([run.loss for run in mine if run.horizon == MATCHED]))
        horizons = sorted({run.horizon for run in mine})
        means = [float(np.mean([r.loss for r in mine if r.horizon == h])) - matched for h in horizons]
        axes.plot(horizons, means, color=colour, label=f"N = {counted(size)}")
        marker = MARKERS[i % len(MARKERS)]
        axes.plot(
            [r.horizon for r in mine], [r.loss - matched for r in mine], marker, color=colour, markersize=4
        )
    axes.axhline(0, color=INK, linewidth=0.7)
    axes.set(
        xlabel="length of the schedule / length of the run",
        ylabel="loss above the matched (nats per token)",
    )
    axes.legend()
    return figure
