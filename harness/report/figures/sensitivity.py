"""Sensitivity of the answer: to resampling of the runs, and to the conventions by which N and C are counted."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit.counting import count_label
from harness.fit.table import Array
from harness.report.axes import log_counts, log_plain
from harness.report.data import MissingError, ReportData
from harness.report.published import TABLE_2
from harness.report.style import APPROACH_COLOURS, APPROACH_NAMES, GREY, INK, panels
from harness.report.text import power

SHOWN = 500
# drawn as an image: as vectors, thousands of points of two pixels were a sixth of the page
CLOUD: dict[str, Any] = {"markersize": 2.5, "alpha": 0.35, "markeredgewidth": 0, "rasterized": True}


def draw_clouds(data: ReportData) -> Figure:
    """Left: (a, b) of every draw, the line a + b = 1, the paper's values. Right: (N*, D*) at the target."""
    drawn = [a for a in data.fit.approaches if a.draws is not None and len(a.draws) and a.a is not None]
    if not drawn:
        raise MissingError("no approach has bootstrap draws")
    figure, (left, right) = panels(2, width=4.4, height=3.7)
    shown: list[tuple[Array, Array]] = []
    for approach in drawn:
        assert approach.draws is not None
        draws = approach.draws[np.unique(np.linspace(0, len(approach.draws) - 1, SHOWN).astype(int))]
        colour = APPROACH_COLOURS[approach.name]
        a, b = approach.exponents(draws)
        left.plot(a, b, ".", color=colour, **CLOUD)
        assert approach.a is not None
        assert approach.b is not None
        left.plot([approach.a], [approach.b], "o", color=colour, markeredgecolor=INK, markersize=6, zorder=5)
        paper = TABLE_2[approach.name]
        left.plot([paper.a], [paper.b], "+", color=colour, markersize=9, markeredgewidth=1.8, zorder=4)
        shown.append((a, b))
        with np.errstate(all="ignore"):
            log_n, log_d, _ = approach.optimum(draws, data.target)
        theta = approach.theta()
        assert theta is not None
        best_n, best_d, _ = approach.optimum(theta, data.target)
        right.plot(np.exp(log_n), np.exp(log_d), ".", color=colour, **CLOUD)
        right.plot(
            [float(np.exp(best_n))],
            [float(np.exp(best_d))],
            "o",
            color=colour,
            markeredgecolor=INK,
            markersize=6,
            zorder=5,
            label=APPROACH_NAMES[approach.name],
        )
    a, b = (np.concatenate(column) for column in zip(*shown, strict=True))
    low, high = _window(a)
    left.plot((low, high), (1 - low, 1 - high), "-", color=GREY, linewidth=0.8, label="a + b = 1")
    left.plot(
        [], [], "+", color=GREY, markeredgewidth=1.8, markersize=9, label="Hoffmann et al. 2022, Table 2"
    )
    left.set(
        xlim=(low, high), ylim=_window(b), xlabel="a  (N* ∝ Cᵃ)", ylabel="b  (D* ∝ Cᵇ)", title="Exponents"
    )
    left.legend(loc="upper right")
    right.set(xlabel="N* (parameters)", title=f"The optimum at C = {power(data.target)} FLOPs")
    _frame(right)
    right.legend(loc="upper right")
    log_counts(right, "x")
    log_counts(right, "y")
    right.set_ylabel("D* (tokens)")
    return figure


def _window(values: Array) -> tuple[float, float]:
    """Nearly all the draws, and the paper's .44 to .56; a few extreme draws must not shrink the picture."""
    finite = values[np.isfinite(values)]
    low, high = np.quantile(finite, (0.01, 0.99))
    low, high = min(float(low), 0.44), max(float(high), 0.56)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _frame(axes: Axes) -> None:
    """Keeps the picture to where nearly all draws are."""
    x = np.concatenate([np.asarray(line.get_xdata(), dtype=float) for line in axes.lines])
    y = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    for values, setter in ((x, axes.set_xlim), (y, axes.set_ylim)):
        finite = np.log(values[np.isfinite(values) & (values > 0)])
        low, high = np.quantile(finite, (0.01, 0.99))
        margin = 0.15 * (high - low) + 0.05
        setter(float(np.exp(low - margin)), float(np.exp(high + margin)))


def draw_counting(data: ReportData) -> Figure:
    """One line a convention; the one the report uses is at the top where it is among them."""
    rows = [row for row in data.fit.counting if row.a is not None]
    conventions = list(dict.fromkeys((row.count, row.compute) for row in rows))
    if len(conventions) < 2:
        raise MissingError("the table counts parameters and compute in one way only")
    figure, (left, right) = panels(2, width=4.3, height=1.2 + 0.26 * len(conventions))
    places = {convention: -i for i, convention in enumerate(conventions)}
    for row in rows:
        colour = APPROACH_COLOURS.get(row.approach, GREY)
        marker = "s" if row.approach == "approach_3" else "o"
        hollow = "none" if row.status != "ok" else colour
        place = places[row.count, row.compute]
        style = {"color": colour, "marker": marker, "markersize": 5, "markerfacecolor": hollow}
        left.plot([row.a], [place], **style)  # type: ignore[arg-type]
        if row.tokens_per_param is not None:
            right.plot([row.tokens_per_param], [place], **style)  # type: ignore[arg-type]
    for name in dict.fromkeys(row.approach for row in rows):
        marker = "s" if name == "approach_3" else "o"
        left.plot(
            [], [], marker, color=APPROACH_COLOURS.get(name, GREY), label=APPROACH_NAMES.get(name, name)
        )
    left.set_yticks(list(places.values()), [convention_label(*convention) for convention in places])
    left.set(xlabel="a  (N* ∝ Cᵃ)", ylim=(-len(conventions) + 0.4, 0.6))
    left.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    right.set_yticks(list(places.values()), [""] * len(places))
    right.set(ylim=left.get_ylim())
    log_plain(right, "x")
    right.set_xlabel("tokens per parameter at the largest budget")
    right.axvline(20, color=GREY, linestyle=":", linewidth=1)
    return figure


def convention_label(count: str, compute: str) -> str:
    """``params_non_embedding``, ``flops_6nd`` → ``N non-embedding · C 6ND``."""
    size = _words(count_label(count).removeprefix("params")) or "total"
    cost = _words(compute.removeprefix("flops")) or "as planned"
    return f"N {size} · C {cost}"


def _words(column: str) -> str:
    words = column.strip("_").replace("_", " ").replace("non embedding", "non-embedding")
    return words.replace("6nd", "6ND").replace("appendix f", "Appendix F")
