"""The three approaches in one figure: N* and D* (Hoffmann et al. 2022, Fig. 1), and tokens per parameter."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from harness.fit.table import Array
from harness.report.axes import frame, log_counts, log_flops, log_plain
from harness.report.data import MissingError, ReportData
from harness.report.keys import key_below
from harness.report.line import LOOKS, Line, draw_track, frontier_line
from harness.report.published import KNOWN_MODELS, kaplan_frontier
from harness.report.style import APPROACH_COLOURS, APPROACH_NAMES, BLUE, GREY, INK, RULE, panels

# Released models lie at 1e23 FLOPs and beyond; from runs below this they are too far to be in one picture.
KNOWN_FROM = 1e17
KNOWN_TO = 4e26
KAPLAN = "Kaplan et al. 2020"
LEAST_SEEN = (
    0.5  # share of the axis of C over which a line must be in the picture: a piece in a corner misleads
)
# Where a name goes so that none covers another, a cross or a line: several models lie close together.
PLACES = {
    "params": {
        "Llama 2 70B": "below right",
        "Llama 3 405B": "below",
        "GPT-3": "below left",
        "MT-NLG": "above",
    },
    "tokens": {
        "Gopher": "above",
        "MT-NLG": "below right",
        "Llama 2 70B": "above left",
        "Llama 3 405B": "above left",
        "Chinchilla": "left",
    },
}
OFFSETS = {
    "left": (-4, 0, "right", "center"),
    "above": (0, 4, "center", "bottom"),
    "above left": (1, 4, "right", "bottom"),
    "below": (0, -4, "center", "top"),
    "below left": (-3, -1, "right", "top"),
    "below right": (-2, -4, "left", "top"),
}


def draw_approaches(data: ReportData) -> Figure:
    """N* and D* against C, by every approach that has a number, and Kaplan et al.'s line where it is in the picture.

    Where the runs are large enough for it to mean anything, the picture reaches to released models.
    """
    lines = _lines(data)
    if not lines:
        raise MissingError("no approach has a frontier")
    figure, axes = panels(2, width=4.6, height=3.9)
    low, high = _reach(data)
    for one, name in zip(axes, ("params", "tokens"), strict=True):
        for approach, line in lines.items():
            track = getattr(line, name)
            draw_track(
                one, line, track, APPROACH_COLOURS[approach], APPROACH_NAMES[approach], LOOKS[approach]
            )
        shade_runs(one, data, name)
        if _far(data):
            _known(one, name)
        if _kaplan_seen(data, lines, name):
            c, theirs = _kaplan(data, name)
            one.plot(c, theirs, ":", color=GREY, label=KAPLAN)
        one.set(xlabel="training compute C (FLOPs)", xlim=(low, high), ylim=_frame(data, lines, name))
        log_flops(one)
        log_counts(one, "y")
        one.set_ylabel("parameters N*" if name == "params" else "tokens D*")
    key_below(figure)
    return figure


def _lines(data: ReportData) -> dict[str, Line]:
    """The frontier of every approach that has one."""
    low, high = _reach(data)
    found = {approach.name: frontier_line(approach, low, high) for approach in data.fit.approaches}
    return {name: line for name, line in found.items() if line is not None}


def _reach(data: ReportData) -> tuple[float, float]:
    low, high = data.range
    return low, max(high, KNOWN_TO) if _far(data) else high


def _frame(data: ReportData, lines: Mapping[str, Line], name: str) -> tuple[float, float]:
    """The runs, our lines and the released models fill the picture; Kaplan's line and wide bands may leave it."""
    seen = [getattr(data.points, name), *(getattr(line, name).value for line in lines.values())]
    if _far(data):
        seen.append(np.array([getattr(model, name) for model in KNOWN_MODELS]))
    values = np.concatenate(seen)
    # room for the name of the model at the top
    return float(values.min()) / 1.3, float(values.max()) * (2.5 if _far(data) else 1.3)


def _kaplan(data: ReportData, name: str) -> tuple[Array, Array]:
    c = np.geomspace(*_reach(data), 200)
    return c, np.array([getattr(kaplan_frontier().at_flops(float(x)), name) for x in c])


def _kaplan_seen(data: ReportData, lines: Mapping[str, Line], name: str) -> bool:
    """Whether Kaplan et al.'s line crosses the picture."""
    bottom, top = _frame(data, lines, name)
    theirs = _kaplan(data, name)[1]
    return float(np.mean((theirs > bottom) & (theirs < top))) >= LEAST_SEEN


def more(data: ReportData) -> str:
    """The end of the caption, which depends on what is in the figure."""
    lines = _lines(data)
    told = " Crosses: released models, C = 6ND." if _far(data) else ""
    if any(_kaplan_seen(data, lines, name) for name in ("params", "tokens")):
        told += " The line of Kaplan et al. 2020 counts N without embeddings; it may leave the figure."
    return told


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


def _known(axes: Axes, name: str) -> None:
    """Released models as crosses with their names."""
    values = [getattr(model, name) for model in KNOWN_MODELS]
    axes.plot(
        [model.flops for model in KNOWN_MODELS],
        values,
        "x",
        color=INK,
        markersize=4.5,
        markeredgewidth=1.1,
        zorder=4,
        label="released models",
    )
    for model, value in zip(KNOWN_MODELS, values, strict=True):
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
            zorder=4,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )


def draw_tokens_per_param(data: ReportData) -> Figure:
    """D*/N* by every approach; the minima of the profiles as points; 20 as a line."""
    lines = {a.name: frontier_line(a, *data.range, also=(data.target,)) for a in data.fit.approaches}
    if all(line is None for line in lines.values()):
        raise MissingError("no approach has a frontier")
    figure, (axes,) = panels(1, width=6.4, height=3.9)
    for name, line in lines.items():
        if line is not None:
            draw_track(axes, line, line.ratio, APPROACH_COLOURS[name], APPROACH_NAMES[name], LOOKS[name])
    minima = [
        (budget.budget, budget.tokens_opt / budget.params_opt)
        for budget in data.fit.approach_2.budgets
        if budget.params_opt and budget.tokens_opt
    ]
    if minima:
        axes.plot(
            *zip(*minima, strict=True),
            "o",
            color=BLUE,
            markersize=5,
            label="minima of the profiles",
            zorder=3,
        )
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
    tracks = [line.ratio for line in lines.values() if line is not None]
    frame(
        axes,
        "y",
        [*(track.value for track in tracks), [ratio for _, ratio in minima], [RULE]],
        [end for track in tracks for end in (track.low, track.high)],
    )
    axes.set_ylabel("tokens per parameter D*/N*")
    log_flops(axes)
    key_below(figure)
    return figure
