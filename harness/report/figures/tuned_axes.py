"""A tuning in rounds: what every hyperparameter costs, and its best values with the rule through them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.fit.table import Array
from harness.report.axes import log_counts, log_plain
from harness.report.figure_data import named
from harness.report.keys import set_title
from harness.report.style import BLUE, GREY, INK, RED, ordered_colours, panels, plot_estimate
from harness.report.text import plain_status
from harness.text import count
from harness.tune.sequential.point_surfaces import rise_at
from harness.tune.sequential.results import AxisResult, RoundsFit

HEADROOM = 1.2  # losses shown above the minimum, in windows of the fit; higher ones stand at the top


def draw_rounds(fit: RoundsFit) -> Figure:
    """A row for every hyperparameter. Left: loss of every run over its point's fitted minimum against the value over
    the best, less what the other hyperparameters cost by the surface, and the surface; right: best values against N
    (batch: D), and the rule, a colour for each horizon."""
    figure, axes = panels(2, width=4.2, height=2.7, rows=len(fit.rules))
    for row, one in enumerate(fit.rules):
        _cost(axes[2 * row], fit, one, row)
        _best(axes[2 * row + 1], fit, one)
    signs = [
        Line2D([], [], linestyle="--", color=GREY, linewidth=0.9, label="recipe tuned from"),
        Line2D([], [], color=BLUE, label="new rule"),
        Line2D(
            [], [], linestyle="", marker="o", color=INK, markersize=4, label="minimum within what was tried"
        ),
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            color=INK,
            markerfacecolor="none",
            markersize=4,
            label="beyond it",
        ),
    ]
    figure.legend(handles=signs, loc="outside lower center", ncols=min(4, int(figure.get_figwidth() / 2)))
    return figure


def _cost(axes: Axes, fit: RoundsFit, one: AxisResult, row: int) -> None:
    """Losses against the value over the point's best, or over the recipe's where there is none."""
    colours = ordered_colours(len(fit.points))
    top = HEADROOM * fit.window
    for p, (point, colour) in enumerate(zip(fit.points, colours, strict=True)):
        if any(value.status in ("beyond", "cliff") for value in point.values.values()):
            continue  # it has no minimum for losses to be over
        trials = [trial for trial in fit.trials if trial.point == p]
        value = point.values[one.axis]
        x = np.array([trial.values[one.axis] for trial in trials]) / (value.best or value.centre)
        y = _alone(fit, p, row)
        shown = np.isfinite(y) & (y <= top)
        axes.plot(
            x[shown],
            y[shown],
            "o",
            color=colour,
            markersize=3,
            label=f"{count(point.params)}, {count(point.tokens)}",
        )
        if not shown.all():
            axes.plot(x[~shown], np.full((~shown).sum(), top), "x", color=colour, markersize=4, clip_on=False)
    if fit.curvature is not None and (bend := fit.curvature[row][row]) > 0:
        reach = np.sqrt(2 * top / bend)
        line = np.geomspace(np.exp(-reach), np.exp(reach), 80)
        cube = 0.0 if fit.cubes is None else fit.cubes[row]
        rise = rise_at(np.log(line)[:, None], np.array([[bend]]), np.array([cube]))
        axes.plot(line[rise <= top], rise[rise <= top], color=RED, linewidth=1, label=named("surface"))
    log_plain(axes, "x")
    axes.set_ylim(-0.15 * top, 1.05 * top)
    over = "the best" if fit.curvature is not None and fit.curvature[row][row] > 0 else "the recipe's"
    axes.set_xlabel(f"{fit.label(one.axis)} over {over}")
    axes.set_ylabel("loss over the minimum (nats)")
    if row == 0 and axes.get_legend_handles_labels()[0]:  # every point can be beyond what was tried
        axes.legend(title="N, D", title_fontsize=7, fontsize=6.5)


def _alone(fit: RoundsFit, p: int, row: int) -> Array:
    """Losses of a point's runs over its minimum, less what the surface says of the other axes and of products."""
    point = fit.points[p]
    trials = [trial for trial in fit.trials if trial.point == p]
    loss = np.array([np.nan if trial.loss is None else trial.loss for trial in trials], dtype=float)
    if fit.curvature is None or point.loss_opt is None:
        return np.asarray(loss - np.nanmin(loss)) if np.isfinite(loss).any() else loss
    bend = np.array(fit.curvature)
    best = np.array([value.best or value.centre for value in (point.values[axis] for axis in fit.axes)])
    off = np.log(np.array([[trial.values[axis] for axis in fit.axes] for trial in trials]) / best)
    whole = 0.5 * np.einsum("ni,ij,nj->n", off, bend, off)
    return np.asarray(loss - point.loss_opt - whole + 0.5 * bend[row, row] * off[:, row] ** 2)


def _best(axes: Axes, fit: RoundsFit, one: AxisResult) -> None:
    n = np.array([point.params for point in fit.points], dtype=float)
    d = np.array([point.tokens for point in fit.points])
    by_tokens = one.axis == "batch"
    x = d if by_tokens else n
    horizons = _horizons(n, d)
    for horizon, colour in zip(sorted(set(horizons)), ordered_colours(len(set(horizons))), strict=True):
        mine = [p for p, other in enumerate(horizons) if other == horizon]
        values = [fit.points[p].values[one.axis] for p in mine]
        axes.plot(
            x[mine],
            [value.centre for value in values],
            "--",
            color=GREY,
            linewidth=0.9,
            marker="_",
            label=named("recipe tuned from"),
        )
        axes.plot(
            x[mine],
            [value.rule for value in values],
            color=BLUE,
            marker="_",
            linewidth=1,
            label=named("new rule"),
        )
        for p, value in zip(mine, values, strict=True):
            if value.best is None:
                continue
            plot_estimate(axes, x[p], value.best, value.interval, colour, filled=value.status == "ok")
    log_counts(axes, "x")
    (log_counts if one.axis == "batch" else log_plain)(axes, "y")
    axes.set_xlabel("training tokens D" if by_tokens else "parameters N")
    axes.set_ylabel(fit.label(one.axis))
    set_title(axes, _power(one))
    axes.set_xlim(x.min() / 1.5, x.max() * 1.5)


def _horizons(n: Array, d: Array) -> list[int]:
    """By point, which of its size's horizons it is, from the shortest."""
    return [int(((n == n[p]) & (d < d[p])).sum()) for p in range(len(n))]


def _power(one: AxisResult) -> str:
    parts = []
    for symbol, power, found in (("N", one.rule.params, one.params), ("D", one.rule.tokens, one.tokens)):
        if power:
            ends = (
                ""
                if found is None or found.interval is None
                else f" ({found.interval[0]:.2f} to {found.interval[1]:.2f})"
            )
            parts.append(rf"{symbol}$^{{{power:.2f}}}$" + ends.replace("-", "−"))
    return ", ".join(parts) if parts else f"{one.rule.value:.3g}, {plain_status(one.status)}"
