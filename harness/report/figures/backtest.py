"""The backtest: forecasts from the lower budgets against the measured minima of the higher ones."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit.bootstrap import Interval
from harness.fit.results import BacktestRow
from harness.report.axes import log_flops
from harness.report.data import MissingError, ReportData
from harness.report.style import INK, MARKERS, log_colours, panels
from harness.report.text import approach_label, power

PANELS = (
    ("params", "N* forecast / measured"),
    ("tokens", "D* forecast / measured"),
    ("loss", "L* forecast − measured"),
)
# Points of one budget stand beside each other, this far apart in the logarithm of C.
APART = 0.045


def draw_backtest(data: ReportData) -> Figure:
    """One row of panels an approach, one panel a quantity; what was measured is the line."""
    tested = data.fit.backtest
    if tested is None:
        raise MissingError("the fit has no backtest; 'isoflop fit' makes it (analysis.backtest=true)")
    names = [name for name, compared in tested.compared.items() if compared]
    if not names:
        raise MissingError(tested.note or "no forecast has an interval")
    figure, axes = panels(3, width=3.3, height=2.5, rows=len(names))
    cutoffs = sorted({row.cutoff for row in tested.rows})
    colours = dict(zip(cutoffs, log_colours(cutoffs), strict=True))
    for i, name in enumerate(names):
        for (quantity, label), one in zip(PANELS, axes[3 * i : 3 * i + 3], strict=True):
            _panel(one, [row for row in tested.rows if row.approach == name], quantity, colours)
            one.set(ylabel=label, xlabel="training compute C (FLOPs)")
        axes[3 * i].set_title(f"{approach_label(name)}: {tested.held[name]} of {tested.compared[name]} held")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    return figure


def _panel(axes: Axes, rows: list[BacktestRow], quantity: str, colours: dict[float, str]) -> None:
    """Every budget's measured minimum on the line, and beside it what each cutoff forecast."""
    budgets = sorted({row.budget for row in rows})
    if not budgets:
        return
    step = APART * max(1.0, float(np.log(budgets[-1] / budgets[0])))
    axes.axhline(0 if quantity == "loss" else 1, color=INK, linewidth=0.7)
    for i, budget in enumerate(budgets):
        here = sorted((row for row in rows if row.budget == budget), key=lambda row: row.cutoff)
        start = -step * len(here) / 2
        measured = getattr(here[0], f"measured_{quantity}")
        bounds = getattr(here[0], f"measured_{quantity}_interval")
        _bar(
            axes,
            budget * np.exp(start),
            measured,
            bounds,
            measured,
            quantity,
            "_",
            INK,
            "measured" if i == 0 else "",
        )
        for j, row in enumerate(here):
            value, bounds = getattr(row, quantity), getattr(row, f"{quantity}_interval")
            if value is None:
                continue
            marker = MARKERS[sorted(colours).index(row.cutoff) % len(MARKERS)]
            place = budget * np.exp(start + step * (j + 1))
            _bar(axes, place, value, bounds, measured, quantity, marker, colours[row.cutoff], "")
    # Every cutoff in the key, whatever this panel has of it.
    for cutoff, colour in colours.items():
        marker = MARKERS[sorted(colours).index(cutoff) % len(MARKERS)]
        axes.plot([], [], marker, color=colour, markersize=4.5, label=f"fitted up to {power(cutoff)}")
    axes.set_xlim(budgets[0] * np.exp(-4 * step), budgets[-1] * np.exp(4 * step))
    log_flops(axes)


def _bar(
    axes: Axes,
    x: float,
    value: float,
    bounds: Interval | None,
    measured: float,
    quantity: str,
    marker: str,
    colour: str,
    label: str,
) -> None:
    """A value and its interval beside the measured one, as a difference of losses or as a ratio."""

    def shown(number: float) -> float:
        return number - measured if quantity == "loss" else number / measured

    bars = None if bounds is None else [[shown(value) - shown(bounds[0])], [shown(bounds[1]) - shown(value)]]
    axes.errorbar(
        [x],
        [shown(value)],
        yerr=bars,
        fmt=marker,
        color=colour,
        markersize=7 if marker == "_" else 4.5,
        elinewidth=1.2,
        capsize=2.5,
        label=label or None,
        zorder=3,
    )
