"""Effective compute against C, a band an arm."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.compare.figure import COLOURS
from harness.compare.results import ArmSaving, FrontierComparison
from harness.report.axes import log_flops
from harness.report.data import MissingError
from harness.report.figure_data import named
from harness.report.style import GREY, panels

MARGIN = 1.3  # of the axis beyond the ratios themselves, which an interval that is not bounded runs out of

TICKS = (0.01, 0.1, 0.2, 0.5, 0.7, 1, 1.4, 2, 3, 5, 10, 100)


def draw(found: FrontierComparison) -> Figure:
    """One panel: the ratio by budget with its interval; hollow where it is an extrapolation.

    Raises:
        MissingError: no arm has a ratio.
    """
    shown = [arm for arm in found.savings if any(_finite(row.log_ratio.value) for row in arm.rows)]
    if not shown:
        raise MissingError("no arm has a ratio of compute")
    figure, (axes,) = panels(1, width=4.6, height=3.2)
    axes.axhline(1.0, color=GREY, linewidth=0.8)
    names = [arm.name for arm in found.arms]
    for arm in shown:
        _arm(axes, arm, COLOURS[names.index(arm.arm) % len(COLOURS)])
    values = [row.log_ratio.value for arm in shown for row in arm.rows if _finite(row.log_ratio.value)]
    ends = [
        end for arm in shown for row in arm.rows for end in row.log_ratio.interval or () if math.isfinite(end)
    ]
    reach = [
        math.exp(value) for value in (*values, *ends, 0.0) if value is not None and abs(value) < math.log(100)
    ]
    axes.set_yscale("log")
    low, high = min(reach) / MARGIN, max(reach) * MARGIN
    axes.set_ylim(low, high)
    ticks = [tick for tick in TICKS if low < tick < high]
    axes.set_yticks(ticks, [f"{one:g}" for one in ticks])
    axes.minorticks_off()
    axes.set(xlabel="training compute C of the arm (FLOPs)", ylabel=f"C that {names[0]} needs, over C")
    log_flops(axes)
    if not all(row.within for arm in shown for row in arm.rows if _finite(row.log_ratio.value)):
        axes.plot([], [], "o", color=GREY, markerfacecolor="white", markersize=5, label="extrapolated")
    axes.legend(loc="best")
    return figure


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _arm(axes: Axes, arm: ArmSaving, colour: str) -> None:
    rows = [row for row in arm.rows if _finite(row.log_ratio.value)]
    x = np.array([row.flops for row in rows])
    y = np.exp([row.log_ratio.value or 0.0 for row in rows])
    low, high = np.array(
        [np.exp(np.clip(row.log_ratio.interval or (-np.inf, np.inf), -200, 200)) for row in rows]
    ).T
    if len(rows) > 1:
        axes.fill_between(
            x, low, high, color=colour, alpha=0.15, linewidth=0, label=named(f"{arm.arm}: interval")
        )
    axes.errorbar(x, y, yerr=(y - low, high - y), fmt="none", ecolor=colour, elinewidth=1, capsize=2)
    axes.plot(x, y, "-", color=colour, linewidth=1, label=arm.arm)
    for row, ratio in zip(rows, y, strict=True):
        face = colour if row.within else "white"
        axes.plot(
            [row.flops],
            [ratio],
            "o",
            color=colour,
            markerfacecolor=face,
            markersize=5,
            label=named(f"{arm.arm}: {'within the runs' if row.within else 'extrapolated'}"),
        )
