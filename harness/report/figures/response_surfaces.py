"""The response surfaces of a tuning: loss against learning rate and batch at each size, and the fitted rules."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from harness.fit.table import Array
from harness.report.axes import log_counts, log_plain
from harness.report.data import MissingError, ReportData
from harness.report.figure_data import named
from harness.report.figures.tuned_axes import draw_rounds
from harness.report.keys import panel_width, set_title
from harness.report.style import BLUE, GREY, INK, RED, ordered_colours, panels, plot_estimate
from harness.report.text import plain_status
from harness.text import count
from harness.tune.design import Trial
from harness.tune.results import RuleResult, SizeResult, TuneFit
from harness.tune.sequential.results import RoundsFit
from harness.tune.surface import BATCH, RATE

RULE = "new rule"
OUTSIDE = "too high to be fitted"
KEY_ENTRY = 0.56  # inches of an entry of a key of colours
KEY = 0.38  # inches from the frame down to the key of colours: the ticks and the label are between
HEADROOM = 3.0  # losses shown above the lowest, in windows of the fit; higher ones stand at the top


def draw_response_surfaces(data: ReportData) -> Figure:
    """The response surfaces of the tuning beside the sweep."""
    if data.tuning is None:
        raise MissingError("no tuning beside the sweep; 'isoflop tune' trains one into NAME-tune")
    return draw_rounds(data.tuning) if isinstance(data.tuning, RoundsFit) else draw_tuning(data.tuning)


def draw_tuning(fit: TuneFit) -> Figure:
    """Top: loss against peak learning rate, a colour for each batch; bottom: against batch, one for each learning rate.

    A row is left out where its value was kept. Curves are cuts of the fitted surface, drawn where it was fitted. The
    last column has the rules: filled points carry them, hollow ones were left out. Keys stand outside the panels: in
    them they would cover the curves, or flatten them by the room they take.
    """
    columns, varied = len(fit.sizes) + 1, _varied(fit)
    figure, axes = panels(columns, width=3.0, height=3.0, rows=len(varied))
    for row, axis in enumerate(varied):
        mine = axes[row * columns : (row + 1) * columns]
        for i, size in enumerate(fit.sizes):
            _curves(mine[i], fit, size, [trial for trial in fit.trials if trial.size == i], axis)
        mine[0].set_ylabel("loss (nats per token)")
        _rule(mine[-1], fit, (fit.rate, fit.batch)[axis], axis)
    for i, size in enumerate(fit.sizes):
        set_title(axes[i], f"N = {count(size.params)}, D = {count(size.tokens)}: {plain_status(size.status)}")
    figure.legend(
        handles=_key(figure), loc="outside lower center", ncols=min(6, int(figure.get_figwidth() / 1.6))
    )
    return figure


def more(data: ReportData) -> str:
    """What the caption says of the rows there are."""
    if data.tuning is None:
        return ""
    if isinstance(data.tuning, RoundsFit):
        return (
            " Left: the loss of every run over its point's minimum, less what the other hyperparameters cost by the "
            "surface; right: best values and the rule."
        )
    rows = (
        "loss against peak learning rate, a colour for each batch",
        "loss against batch, a colour for each multiple of the learning rate",
    )
    shown = [rows[axis] for axis in _varied(data.tuning)]
    if len(shown) == 1:
        return f" Shown: {shown[0]}."
    return f" Top: {shown[0]}; bottom: {shown[1]}."


def _key(figure: Figure) -> list[Line2D]:
    """What the signs mean, for those that are in the picture."""
    lines = [line for axes in figure.axes for line in axes.lines]
    signs = {
        "fitted minimum": Line2D([], [], linestyle="", marker="*", color=RED, markersize=9),
        "recipe tuned from": Line2D([], [], linestyle="--", color=GREY, linewidth=0.9),
    }
    if rules := [line for line in lines if line.get_gid() == RULE]:
        style, marker = rules[0].get_linestyle(), rules[0].get_marker()
        signs[RULE] = Line2D([], [], color=BLUE, linestyle=style, marker=marker, markerfacecolor="none")
    if any(line.get_gid() == OUTSIDE for line in lines):
        signs[OUTSIDE] = Line2D(
            [], [], linestyle="", marker="o", color=INK, markersize=3.5, markerfacecolor="none"
        )
    if any(line.get_marker() == "x" for line in lines):
        signs["higher, or diverged"] = Line2D([], [], linestyle="", marker="x", color=INK, markersize=5)
    for label, sign in signs.items():
        sign.set_label(label)
    return list(signs.values())


def _varied(fit: TuneFit) -> list[int]:
    """Of rate and batch those that were tuned: what was kept has no curve. Both where nothing was varied."""
    found = []
    for axis in (RATE, BATCH):
        values = {(trial.size, (trial.rate, trial.batch_tokens)[axis]) for trial in fit.trials}
        if len(values) > len({size for size, _ in values}):
            found.append(axis)
    return found or [RATE, BATCH]


def _curves(axes: Axes, fit: TuneFit, size: SizeResult, trials: Sequence[Trial], axis: int) -> None:
    """Loss along ``axis``, one colour for each value of the other."""
    centre = (size.recipe_rate, float(size.recipe_batch))
    values = [(trial.rate, float(trial.batch_tokens)) for trial in trials]
    others = sorted({value[1 - axis] for value in values})
    lowest = size.loss_lowest if size.loss_lowest is not None else 0.0
    highest = max((trial.loss for trial in trials if trial.loss is not None), default=lowest)
    top = lowest + min(HEADROOM * fit.window, max(highest - lowest, fit.window / 2))
    drawn = [top]
    for colour, other in zip(ordered_colours(len(others)), others, strict=True):
        label = count(other) if axis == RATE else f"×{other / centre[RATE]:.3g}"
        chosen = [i for i, value in enumerate(values) if value[1 - axis] == other]
        for i in chosen:
            loss = trials[i].loss
            if loss is None or loss > top:
                axes.plot(
                    values[i][axis], top, "x", color=colour, markersize=5, clip_on=False
                )  # no loss to be in a table
            else:
                used = loss <= lowest + fit.window
                face, sign = (colour, None) if used else ("none", OUTSIDE)
                axes.plot(
                    values[i][axis],
                    loss,
                    "o",
                    color=colour,
                    markersize=3.5,
                    markerfacecolor=face,
                    gid=sign,
                    label=named(f"run at {label}"),
                )
        x, y = _cut(size, axis, other, [value[axis] for value in values], lowest + 1.5 * fit.window)
        axes.plot(x, y, color=colour, linewidth=1.1, label=label)
        drawn.extend(y[np.isfinite(y)])
    axes.axvline(centre[axis], color=GREY, linewidth=0.9, linestyle="--")
    best = (size.rate_best, size.batch_best)[axis]
    if best is not None and size.loss_opt is not None:
        face = RED if size.status == "ok" else "none"
        axes.plot(
            best,
            size.loss_opt,
            "*",
            color=RED,
            markersize=10,
            markerfacecolor=face,
            zorder=5,
            label=named("fitted minimum"),
        )
    bottom = lowest if size.loss_opt is None else min(lowest, max(size.loss_opt, lowest - fit.window))
    high = max(drawn)
    axes.set_ylim(bottom - 0.1 * (high - bottom), high + 0.06 * (high - bottom))
    if axis == RATE:
        log_plain(axes, "x")
    else:
        log_counts(axes, "x")
    name, other_name = (
        ("peak learning rate", "batch") if axis == RATE else ("batch (tokens)", "learning rate")
    )
    kept = f", batch {count(others[0])} tokens" if axis == RATE and len(others) == 1 else ""
    axes.set_xlabel(name + kept)
    figure = axes.get_figure(root=True)
    if len(others) > 1 and figure is not None:
        axes.legend(
            title=other_name,
            title_fontsize=7,
            fontsize=6.5,
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=axes.transAxes + ScaledTranslation(0, -KEY, figure.dpi_scale_trans),
            ncols=max(1, min(5, int(panel_width(axes) / KEY_ENTRY))),
            columnspacing=1.2,
        )


def _cut(
    size: SizeResult, axis: int, other: float, sampled: Sequence[float], limit: float
) -> tuple[Array, Array]:
    """The fitted surface along ``axis`` at ``other``; NaN above ``limit``, where it was not fitted."""
    if size.surface is None or not sampled:
        return np.empty(0), np.empty(0)
    centre = np.array([size.recipe_rate, size.recipe_batch])
    x = np.geomspace(min(sampled), max(sampled), 120)
    z = np.empty((len(x), 2))
    z[:, axis] = np.log(x / centre[axis])
    z[:, 1 - axis] = np.log(other / centre[1 - axis])
    y = size.surface.value(z)
    return x, np.where(y <= limit, y, np.nan)


def _rule(axes: Axes, fit: TuneFit, result: RuleResult, axis: int) -> None:
    """Best values against N, the rule through them, and the recipe tuned from."""
    n = np.array([size.params for size in fit.sizes], dtype=float)
    line = np.geomspace(n.min() / 1.3, n.max() * 1.3, 60)
    before = [(size.recipe_rate, float(size.recipe_batch))[axis] for size in fit.sizes]
    axes.plot(n, before, "--", color=GREY, linewidth=0.9, marker="_", label=named("recipe tuned from"))
    if result.status in ("ok", "two_sizes", "constant"):
        axes.plot(line, [result.rule(x, 1.0) for x in line], color=BLUE, gid=RULE, label=named(RULE))
    else:
        new = [(size.rule_rate, size.rule_batch)[axis] for size in fit.sizes]
        axes.plot(
            n,
            [np.nan if value is None else value for value in new],
            color=BLUE,
            gid=RULE,
            label=named(RULE),
            linestyle=":",
            marker="D",
            markerfacecolor="none",
            markersize=7,
        )
    for size in fit.sizes:
        value = (size.rate_at_rule, size.batch_best)[axis]
        interval = (size.rate_at_rule_interval, size.batch_interval)[axis]
        if value is None:
            continue
        plot_estimate(axes, size.params, value, interval, INK, filled=size.params in result.params)
    log_counts(axes, "x")
    axes.set_xlabel("parameters N")
    if axis == RATE:
        log_plain(axes, "y")
        axes.set_ylabel("best rate at rule's batch")
        set_title(axes, f"Learning rate: {_power(result)}")
    else:
        log_counts(axes, "y")
        axes.set_ylabel("batch (tokens)")
        set_title(axes, f"Batch: {_power(result)}")
    axes.set_xlim(n.min() / 1.5, n.max() * 1.5)


def _power(result: RuleResult) -> str:
    if result.exponent_interval is None:
        return plain_status(result.status)
    low, high = result.exponent_interval
    ends = f"({low:.2f} to {high:.2f})".replace("-", "−")
    return rf"N$^{{{result.rule.params:.2f}}}$ {ends}"
