"""The three approaches in one figure: N* and D* (Hoffmann et al. 2022, Fig. 1), and tokens per parameter."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from harness.fit.table import Array
from harness.report.axes import log_counts, log_flops, log_plain
from harness.report.data import MissingError, ReportData
from harness.report.line import draw_track, frontier_line
from harness.report.published import KNOWN_MODELS, kaplan_frontier
from harness.report.style import APPROACH_COLOURS, APPROACH_NAMES, BLUE, GREY, INK, panels

# Released models lie at 1e23 FLOPs and beyond; from runs below this they are too far to be in one picture.
KNOWN_FROM = 1e17
KNOWN_TO = 1e26
KAPLAN = "Kaplan et al. 2020"
# Where a name goes so that none covers another: several models lie close together.
PLACES = {
    "params": {"Llama 2 70B": "above", "Gopher": "right", "MT-NLG": "right"},
    "tokens": {
        "Gopher": "above",
        "MT-NLG": "right",
        "Llama 2 70B": "right",
        "Chinchilla": "below",
        "Llama 3 405B": "below",
    },
}
OFFSETS = {
    "left": (-4, 0, "right", "center"),
    "right": (4, 0, "left", "center"),
    "above": (0, 4, "center", "bottom"),
    "below": (0, -4, "center", "top"),
}


def draw_approaches(data: ReportData) -> Figure:
    """N* and D* against C, by every approach that has a number, and Kaplan et al.'s line where it is in the picture.

    Where the runs are large enough for it to mean anything, the picture reaches to released models.
    """
    far = _far(data)
    low, high = data.range
    high = max(high, KNOWN_TO) if far else high
    lines = {
        approach.name: line
        for approach in data.fit.approaches
        if (line := frontier_line(approach, low, high)) is not None
    }
    if not lines:
        raise MissingError("no approach has a frontier")
    figure, (left, right) = panels(2, width=4.6, height=3.9)
    c = np.geomspace(low, high, 200)
    for axes, name in ((left, "params"), (right, "tokens")):
        for approach, line in lines.items():
            draw_track(axes, line, getattr(line, name), APPROACH_COLOURS[approach], APPROACH_NAMES[approach])
        shade_runs(axes, data, name)
        seen = [getattr(data.points, name), *(getattr(line, name).value for line in lines.values())]
        if far:
            seen.append(_known(axes, name))
        # The runs, our lines and the released models fill the picture; Kaplan's line and wide bands may leave it.
        bottom, top = np.concatenate(seen).min() / 1.3, np.concatenate(seen).max() * 1.3
        theirs = np.array([getattr(kaplan_frontier().at_flops(float(x)), name) for x in c])
        if ((theirs > bottom) & (theirs < top)).any():
            axes.plot(c, theirs, ":", color=GREY, label=KAPLAN)
        axes.set(xlabel="training compute C (FLOPs)", xlim=(low, high), ylim=(bottom, top))
        log_flops(axes)
        log_counts(axes, "y")
        axes.set_ylabel("parameters N*" if name == "params" else "tokens D*")
    shown = {
        label: handle
        for axes in (left, right)
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(shown.values()), list(shown), loc="outside lower center", ncols=len(shown))
    return figure


def more(data: ReportData) -> str:
    """The end of the caption, which depends on what is in the figure."""
    crosses = " Crosses: released models." if _far(data) else ""
    return f"{crosses} The line of Kaplan et al. 2020 counts N without embeddings; it may leave the figure."


def _far(data: ReportData) -> bool:
    """Whether the picture reaches to released models."""
    return data.fit.largest_flops >= KNOWN_FROM


def shade_runs(axes: Axes, data: ReportData, name: str) -> None:
    """The region in which there are runs: beyond it a line is an extrapolation."""
    points = data.points
    values = points.params if name == "params" else points.tokens
    axes.plot(
        points.flops, values, ".", color=GREY, markersize=3, alpha=0.6, label="runs", zorder=1, linewidth=0
    )
    axes.axvspan(points.flops.min(), points.flops.max(), color=GREY, alpha=0.07, linewidth=0)


def _known(axes: Axes, name: str) -> Array:
    """Released models as crosses with their names; what they have of ``name``."""
    for model in KNOWN_MODELS:
        value = model.params if name == "params" else model.tokens
        axes.plot([model.flops], [value], "x", color=INK, markersize=4.5, markeredgewidth=1.1)
        place = PLACES[name].get(model.name, "left")
        dx, dy, across, along = OFFSETS[place]
        axes.annotate(
            model.name,
            (model.flops, value),
            xytext=(dx, dy),
            textcoords="offset points",
            fontsize=6.5,
            ha=across,
            va=along,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
    return np.array([model.params if name == "params" else model.tokens for model in KNOWN_MODELS])


RULE = 20.0


def draw_tokens_per_param(data: ReportData) -> Figure:
    """D*/N* by every approach; the minima of the profiles as points; 20 as a line."""
    lines = {a.name: frontier_line(a, *data.range, also=(data.target,)) for a in data.fit.approaches}
    if all(line is None for line in lines.values()):
        raise MissingError("no approach has a frontier")
    figure, (axes,) = panels(1, width=6.4, height=3.9)
    for name, line in lines.items():
        if line is not None:
            draw_track(axes, line, line.ratio, APPROACH_COLOURS[name], APPROACH_NAMES[name])
    minima = [
        (budget.budget, budget.tokens_opt / budget.params_opt)
        for budget in data.fit.approach_2.budgets
        if budget.params_opt and budget.tokens_opt
    ]
    if minima:
        axes.plot(*zip(*minima, strict=True), "o", color=BLUE, markersize=5, label="minima of the profiles")
    axes.axhline(RULE, color=GREY, linestyle=":", label="20, the rule of thumb")
    axes.axvline(data.target, color=GREY, linewidth=0.8)
    axes.annotate(
        "target ",
        (data.target, 1),
        xycoords=("data", "axes fraction"),
        ha="right",
        va="top",
        fontsize=7.5,
        color=GREY,
    )
    axes.set(xlabel="training compute C (FLOPs)")
    log_plain(axes, "y")
    axes.set_ylabel("tokens per parameter D*/N*")
    log_flops(axes)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
