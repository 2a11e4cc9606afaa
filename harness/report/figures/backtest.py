"""The backtest: forecasts from the lower budgets against the measured minima of the higher ones."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit.bootstrap import Interval
from harness.fit.results import BacktestRow
from harness.report.axes import error_arms, log_flops, log_plain
from harness.report.budgets import few
from harness.report.data import MissingError, ReportData
from harness.report.figure_data import named
from harness.report.keys import key_below, set_title
from harness.report.style import INK, MARKERS, log_colours, panels
from harness.report.text import approach_label, power

PANELS = (
    ("params", "N* forecast / measured"),
    ("tokens", "D* forecast / measured"),
    ("loss", "L* forecast − measured"),
)
# Points of one budget stand beside each other, this far apart in the logarithm of C.
APART = 0.045
# A bar is cut where it reaches further than this many times the furthest value, or beyond this factor (its logarithm).
BEYOND, LARGEST_FACTOR = 10.0, float(np.log(10))
TINY = 1e-300
MOST_BUDGETS = 8


def draw_backtest(data: ReportData) -> Figure:
    """One row of panels an approach, one panel a quantity; what was measured is the line."""
    tested = data.fit.backtest
    if tested is None:
        raise MissingError("the fit has no backtest; 'isoflop fit' makes it (analysis.backtest=true)")
    names = [
        name
        for name in tested.compared
        if any(row.approach == name and row.params is not None for row in tested.rows)
    ]
    if not names:
        raise MissingError(tested.note or "no lower budgets give a forecast")
    figure, axes = panels(3, width=3.3, height=2.5, rows=len(names))
    rows = _few(tested.rows)
    cutoffs = sorted({row.cutoff for row in rows})
    colours = dict(zip(cutoffs, log_colours(cutoffs), strict=True))
    for i, name in enumerate(names):
        for (quantity, label), one in zip(PANELS, axes[3 * i : 3 * i + 3], strict=True):
            _panel(one, [row for row in rows if row.approach == name], quantity, colours)
            one.set(ylabel=label, xlabel="training compute C (FLOPs)")
        set_title(axes[3 * i], f"{approach_label(name)}: {tested.held[name]} of {tested.compared[name]} held")
    key_below(figure)
    return figure


def more(data: ReportData) -> str:
    """The end of the caption where there are more budgets than the figure shows."""
    tested = data.fit.backtest
    total = len({row.budget for row in tested.rows}) if tested else 0
    return f" Shown are {MOST_BUDGETS} of {total} budgets, evenly taken." if total > MOST_BUDGETS else ""


def _few(rows: Sequence[BacktestRow]) -> list[BacktestRow]:
    """The rows of as many budgets and cutoffs as can be told apart, evenly taken, the last of each among them."""
    kept = list(rows)
    for key in ("budget", "cutoff"):
        picked = few([getattr(row, key) for row in kept], MOST_BUDGETS)
        kept = [row for row in kept if getattr(row, key) in picked]
    return kept


def _panel(axes: Axes, rows: list[BacktestRow], quantity: str, colours: dict[float, str]) -> None:
    """Every budget's measured minimum on the line, and beside it what each cutoff forecast."""
    marks = {cutoff: MARKERS[i % len(MARKERS)] for i, cutoff in enumerate(colours)}
    budgets = sorted({row.budget for row in rows})
    step = APART * max(1.0, float(np.log(budgets[-1] / budgets[0])))
    axes.axhline(0 if quantity == "loss" else 1, color=INK, linewidth=0.7)
    seen = []
    for budget in budgets:
        here = sorted((row for row in rows if row.budget == budget), key=lambda row: row.cutoff)
        measured = getattr(here[0], f"measured_{quantity}")
        shown = [(f"measured_{quantity}", here[0], "_", INK)]
        shown += [(quantity, row, marks[row.cutoff], colours[row.cutoff]) for row in here]
        for i, (name, row, marker, colour) in enumerate(shown):
            place = budget * float(np.exp(step * (i - len(here) / 2)))
            value, bounds = getattr(row, name), getattr(row, f"{name}_interval")
            if value is not None and measured is not None:
                seen.append(_beside(measured, quantity, value, bounds))
                what = (
                    "measured"
                    if row is here[0] and name.startswith("measured")
                    else f"fitted up to {power(row.cutoff)}"
                )
                _bar(axes, place, seen[-1], marker, colour, f"C = {power(budget)}: {what}")
    axes.plot([], [], "_", color=INK, markersize=7, label="measured")
    for cutoff, colour in colours.items():
        axes.plot([], [], marks[cutoff], color=colour, markersize=4.5, label=f"fitted up to {power(cutoff)}")
    axes.set_xlim(budgets[0] * float(np.exp(-4 * step)), budgets[-1] * float(np.exp(4 * step)))
    log_flops(axes)
    if seen:
        _frame(axes, seen, quantity)


def _beside(measured: float, quantity: str, value: float, bounds: Interval | None) -> list[float]:
    """A value and the ends of its interval, if it has both, over the measured value; of losses minus it."""
    ends = (
        bounds if bounds is not None and all(end is not None and np.isfinite(end) for end in bounds) else ()
    )
    return [x - measured if quantity == "loss" else x / measured for x in (value, *ends)]


def _bar(axes: Axes, x: float, values: list[float], marker: str, colour: str, name: str) -> None:
    value, *ends = values
    arms = error_arms(value, (ends[0], ends[1])) if ends else None
    axes.errorbar(
        [x],
        [value],
        yerr=None if arms is None else [[arm] for arm in arms],
        fmt=marker,
        color=colour,
        markersize=7 if marker == "_" else 4.5,
        elinewidth=1.2,
        capsize=2.5,
        zorder=3,
        label=named(name),
    )


def _frame(axes: Axes, seen: list[list[float]], quantity: str) -> None:
    """Every value is in the picture, and so are its bars unless one reaches far beyond all values."""
    logs = quantity != "loss"
    drawn = [np.log(np.maximum(values, TINY)) if logs else np.array(values) for values in seen]
    far = max(abs(float(values[0])) for values in drawn)
    reach = [float(np.abs(values).max()) for values in drawn if len(values) > 1]
    most = BEYOND * max(far, min(reach, default=far))
    if logs:
        most = min(most, max(LARGEST_FACTOR, 1.5 * far))
    low = max(min(float(values.min()) for values in drawn), -most)
    high = min(max(float(values.max()) for values in drawn), most)
    margin = 0.06 * (high - low) or 1e-3  # forecasts may be exact
    ends = np.array((low - margin, high + margin))
    axes.set_ylim(*(np.exp(ends) if logs else ends))
    if logs:
        log_plain(axes, "y")
