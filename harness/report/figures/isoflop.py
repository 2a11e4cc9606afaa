"""IsoFLOP profiles and the power laws through their minima (Hoffmann et al. 2022, Fig. 3)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit.results import BudgetOptimum, Profile
from harness.fit.table import Array, Points
from harness.report.axes import error_arms, frame, log_counts, log_flops, mark_not_bounded
from harness.report.data import MissingError, ReportData, members
from harness.report.figure_data import named
from harness.report.keys import budget_labels, key_below, set_title
from harness.report.line import draw_track, frontier_line, mark_target
from harness.report.style import APPROACH_NAMES, BLUE, INK, MARKERS, log_colours, panels
from harness.report.text import power


def draw_isoflop(data: ReportData) -> Figure:
    """One profile a budget with its minimum; N* and D* against C, extrapolated to the target.

    The losses carry no error bars: the standard error in the table is that of the held-out text, which all
    runs share, so it says nothing about their differences. The bars on the minima are bootstrap intervals.
    """
    budgets = data.fit.approach_2.budgets
    if not budgets:
        raise MissingError(f"approach 2 has no IsoFLOP profiles ({data.fit.approach_2.status})")
    figure, (left, middle, right) = panels(3, width=3.5, height=3.3)
    colours = log_colours([budget.budget for budget in budgets])
    labels = budget_labels(left, [budget.budget for budget in budgets])
    for i, (budget, colour, label) in enumerate(zip(budgets, colours, labels, strict=True)):
        _profile(left, data.points, budget, colour, MARKERS[i % len(MARKERS)], label)
    left.set(xlabel="parameters N", ylabel="final loss (nats per token)", title="IsoFLOP profiles")
    log_counts(left, "x")
    frame(
        left,
        "x",
        [data.points.params[members(data.points, b)] for b in budgets],
        [b.params_interval or () for b in budgets],
    )

    line = frontier_line(data.fit.approach_2, *data.range, also=(data.target,))
    for axes, letter, name in ((middle, "N", "params"), (right, "D", "tokens")):
        for budget, colour in zip(budgets, colours, strict=True):
            _minimum(axes, budget, name, colour)
        if line is not None:
            draw_track(axes, line, getattr(line, name), BLUE, APPROACH_NAMES["approach_2"], key=False)
            exponent = data.fit.approach_2.a if letter == "N" else data.fit.approach_2.b
            mark_target(axes, data, line, name, f"{letter}*")
            set_title(axes, rf"{letter}* ∝ C$^{{{exponent:.3f}}}$ (approach 2)")
        else:
            set_title(axes, f"{letter}*: too few minima for a line")
        axes.set(
            xlabel="training compute C (FLOPs)", ylabel="parameters N*" if letter == "N" else "tokens D*"
        )
        log_flops(axes)
        log_counts(axes, "y")
        minima = [getattr(b, f"{name}_opt") or np.nan for b in budgets]
        ends = [getattr(b, f"{name}_interval") or () for b in budgets]
        if line is not None:
            track = getattr(line, name)
            frame(axes, "y", (minima, track.value), (*ends, track.low, track.high))
        elif np.isfinite(minima).any():
            frame(axes, "y", (minima,), ends)
    key_below(figure)
    return figure


def _profile(axes: Axes, points: Points, budget: BudgetOptimum, colour: str, marker: str, label: str) -> None:
    chosen = members(points, budget)
    good = budget.params_opt is not None
    label += "" if good else " (no minimum)"
    name = label.removeprefix("_")
    axes.plot(
        points.params[chosen],
        points.loss[chosen],
        marker,
        color=colour,
        markersize=4,
        markerfacecolor=colour if good else "none",
        label=label,
    )
    if budget.params_profile is not None and chosen:
        low, high = points.params[chosen].min(), points.params[chosen].max()
        x = np.geomspace(low / 1.08, high * 1.08, 80)
        axes.plot(
            x,
            _evaluate(budget.params_profile, x),
            color=colour,
            linestyle="-" if good else ":",
            label=named(f"{name}: profile"),
        )
    if budget.params_opt is not None and budget.loss_opt is not None:
        arms = error_arms(budget.params_opt, budget.params_interval)
        mark_not_bounded(axes, budget.params_opt, budget.loss_opt, budget.params_interval)
        axes.errorbar(
            [budget.params_opt],
            [budget.loss_opt],
            xerr=None if arms is None else [[arm] for arm in arms],
            fmt="*",
            color=colour,
            markersize=11,
            markeredgecolor=INK,
            markeredgewidth=0.6,
            ecolor=INK,
            elinewidth=1,
            capsize=2.5,
            zorder=5,
            label=named(f"{name}: minimum"),
        )


def _minimum(axes: Axes, budget: BudgetOptimum, name: str, colour: str) -> None:
    value = budget.params_opt if name == "params" else budget.tokens_opt
    bounds = budget.params_interval if name == "params" else budget.tokens_interval
    if value is None:
        return
    arms = error_arms(value, bounds)
    mark_not_bounded(axes, budget.budget, value, bounds)
    axes.errorbar(
        [budget.budget],
        [value],
        yerr=None if arms is None else [[arm] for arm in arms],
        fmt="o",
        color=colour,
        markersize=5,
        elinewidth=1.2,
        capsize=2.5,
        zorder=4,
        label=named(f"C = {power(budget.budget)}: minimum"),
    )


def _evaluate(profile: Profile, x: Array) -> Array:
    return np.asarray(np.polynomial.polynomial.polyval(np.log(x) - profile.centre, profile.coefficients))
