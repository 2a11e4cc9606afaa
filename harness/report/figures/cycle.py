"""Cosine cycle length against final loss (Hoffmann et al. 2022, Fig. A1): what a wrong horizon costs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.style import INK, MARKERS, log_colours, panels
from harness.report.text import counted

MATCHED = 1.0


@dataclass(frozen=True)
class CycleRun:
    """One run of N = ``params`` on D = ``tokens`` whose schedule is ``horizon`` times as long as it; its final loss."""

    params: float
    horizon: float
    loss: float
    seed: int = 0
    tokens: float = 0.0


def draw(material: Material) -> Figure:
    """Fig. A1 from a sweep's controls, beside the best cells they are controls of and those cells' other seeds."""
    return draw_cycles(cycle_runs(material))


def cycle_runs(material: Material) -> list[CycleRun]:
    """The runs of the figure; empty where no schedule was varied."""
    controls = [c for c in material.controls if c.horizon != MATCHED and c.of in material.records]
    found = []
    for of in dict.fromkeys(control.of for control in controls):
        best = material.records[of]
        twins = [
            record
            for record in material.records.values()
            if {**record.spec, "seed": 0} == {**best.spec, "seed": 0}
        ]
        losses = [(MATCHED, record.loss, record.spec["seed"]) for record in twins]
        losses += [(c.horizon, c.loss, best.spec["seed"]) for c in controls if c.of == of]
        found += [
            CycleRun(best.params_total, horizon, loss, seed, best.tokens)
            for horizon, loss, seed in losses
            if loss is not None
        ]
    return found


def draw_cycles(runs: Sequence[CycleRun]) -> Figure:
    """Loss above that of the matched schedule against the schedule's length, one line a cell, seeds as points.

    A line compares like with like: the seeds that were run at every length. Other seeds are points alone; at a
    length of 1 they show how far luck alone moves a loss.
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
