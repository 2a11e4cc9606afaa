"""Hyperparameter bowls: final loss against one hyperparameter, one curve a model size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from harness.report.missing import MissingError
from harness.report.style import INK, MARKERS, log_colours, panels
from harness.report.text import counted

MIN_VALUES = 3


@dataclass(frozen=True)
class BowlRun:
    """One run of ``params`` parameters trained with the hyperparameter at ``value``; its final loss."""

    params: float
    value: float
    loss: float


def draw(runs: Sequence[BowlRun], name: str) -> Figure:
    """Loss above the best of its size against ``name``, with a parabola in the log where three values allow it.

    The star is the lowest run of a size. A bowl whose lowest run is at an edge has not found its bottom.
    """
    by_size = {size: [run for run in runs if run.params == size] for size in sorted({r.params for r in runs})}
    by_size = {size: mine for size, mine in by_size.items() if len({r.value for r in mine}) >= MIN_VALUES}
    if not by_size:
        raise MissingError(f"no size was trained at {MIN_VALUES} values of {name}")
    figure, (axes,) = panels(1, width=5.0, height=3.4)
    for i, ((size, mine), colour) in enumerate(zip(by_size.items(), log_colours(list(by_size)), strict=True)):
        x, y = np.array([r.value for r in mine]), np.array([r.loss for r in mine])
        y = y - y.min()
        axes.plot(x, y, MARKERS[i % len(MARKERS)], color=colour, markersize=4.5, label=f"N = {counted(size)}")
        lowest = int(y.argmin())
        axes.plot([x[lowest]], [y[lowest]], "*", color=colour, markersize=11, markeredgecolor=INK)
        # Far from the bottom the loss is no parabola; the nearest runs are the ones that tell where it is.
        near = np.argsort(np.abs(np.log(x / x[lowest])), kind="stable")[:5]
        bend = np.polyfit(np.log(x[near]), y[near], 2)
        if bend[0] > 0:
            fine = np.geomspace(x[near].min(), x[near].max(), 100)
            axes.plot(fine, np.polyval(bend, np.log(fine)), color=colour, linewidth=1)
    axes.set(xscale="log", xlabel=name, ylabel="loss above the best (nats per token)")
    axes.legend()
    return figure
