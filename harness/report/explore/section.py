"""The page's section of interactive figures: what can be switched, the figures with their downloads, and the data."""

from html import escape
from math import ceil, floor, log10
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import Colormap, ListedColormap

from harness.report.calculator import as_script
from harness.report.data import ReportData
from harness.report.explore.charts import GREY, Chart, charts
from harness.report.explore.data import Column, Explored, explored
from harness.report.explore.vega import compiled
from harness.report.style import APPROACH_COLOURS, GREEN, RED, SKY, log_colours
from harness.report.text import approach_label

# Of viridis, the part with a contrast of 3:1 at least to the light page, and that to the dark one.
ON_LIGHT, ON_DARK = (
    ListedColormap(matplotlib.colormaps["viridis"](np.linspace(low, high, 256)))
    for low, high in ((0, 0.58), (0.4, 1))
)
APPROACHES_ON_DARK = {"approach_1": GREEN, "approach_2": SKY, "approach_3": RED}
SETS = ("runs", "profiles", "minima", "lines", "curves")
STEP = 0.01  # of the target's slider, decades


def section(data: ReportData, alternatives: dict[str, str]) -> str:
    """The section as HTML with its data; empty where there is nothing to explore.

    Args:
        alternatives: what each figure shows in a sentence, by the figure's name.
    """
    shown = explored(data)
    made = charts(shown)
    if not made:
        return ""
    figures = "\n".join(_figure(one, alternatives.get(one.name, one.title)) for one in made)
    return (
        '<section id="explore"><h2>Explore</h2>\n'
        '<noscript><p class="note">These figures need scripts; the static ones below show the same.</p></noscript>\n'
        f'<form id="explore-form">{_switches(data, shown)}</form>\n<div class="charts">{figures}</div>\n'
        '<div id="explore-tip" hidden></div>\n'
        f'<script type="application/json" id="explore-data">{as_script(_script_data(shown, made))}</script>\n'
        "</section>"
    )


def _switches(data: ReportData, shown: Explored) -> str:
    """The target and the names that can be switched off, each set its own group for a screen reader."""
    low, high = floor(log10(shown.range[0]) / STEP) * STEP, ceil(log10(shown.range[1]) / STEP) * STEP
    target = (
        f'<label class="target">Target compute <input type="range" name="target" min="{low:.2f}" '
        f'max="{high:.2f}" step="{STEP}" value="{log10(data.target):.4f}"> '
        '<output id="target-said"></output></label>'
        if shown.approaches
        else ""
    )
    groups = (("budget", "Budgets (FLOPs)", shown.budgets), ("approach", "Approaches", shown.approaches))
    return target + "".join(
        f"<fieldset><legend>{escape(legend)}</legend>"
        + "".join(
            f'<label><input type="checkbox" name="{name}" value="{escape(one)}" checked>'
            f'<span class="swatch" data-of="{name}"></span>{escape(one)}'
            + (f' <span class="doubt">({escape(shown.doubts[one])})</span>' if one in shown.doubts else "")
            + "</label>"
            for one in names
        )
        + "</fieldset>"
        for name, legend, names in groups
        if names
    )


def _figure(chart: Chart, alternative: str) -> str:
    name, title = escape(chart.name), escape(chart.title)
    options = "".join(f'<option value="{key}">{escape(words)}</option>' for key, words in chart.axes.items())
    choice = f'<label>Show <select id="axis-{name}">{options}</select></label>' if options else ""
    saves = "".join(
        f'<button type="button" data-save="{kind}" aria-label="Download {title} as {kind.upper()}">'
        f"{kind.upper()}</button>"
        for kind in ("svg", "csv", "json")
    )
    return (
        f'<figure class="chart" id="explore-{name}"><h3>{title}</h3><div class="tools">{choice}{saves}</div>'
        f'<div id="chart-{name}" class="drawing" role="img" aria-label="{escape(alternative)}"></div>'
        f"<figcaption>{escape(chart.caption)}</figcaption></figure>"
    )


def _script_data(shown: Explored, made: tuple[Chart, ...]) -> dict[str, Any]:
    return {
        "sets": {name: {key: _packed(one) for key, one in getattr(shown, name).items()} for name in SETS},
        "charts": [{"name": one.name, "spec": compiled(one.spec)} for one in made],
        "palettes": {
            "light": _palette(shown, ON_LIGHT, APPROACH_COLOURS),
            "dark": _palette(shown, ON_DARK, APPROACHES_ON_DARK),
        },
        "range": list(shown.range),
    }


def _packed(column: Column) -> Column | dict[str, Column]:
    """A column of which many values are the same as these values (``of``) and where each stands (``at``)."""
    different = list(dict.fromkeys(column))
    if 3 * len(different) > len(column):
        return column
    places = {value: i for i, value in enumerate(different)}
    return {"of": different, "at": [places[value] for value in column]}


def _palette(shown: Explored, colours: Colormap, approaches: dict[str, str]) -> dict[str, dict[str, str]]:
    """The colours of budgets, by their place among the logs of all, and of approaches."""
    drawn = log_colours(list(shown.flops.values()), colours) if shown.flops else []
    budgets = dict.fromkeys(shown.budgets, GREY) | dict(zip(shown.flops, drawn, strict=True))
    return {
        "budgets": budgets,
        "approaches": {approach_label(name): colour for name, colour in approaches.items()},
    }
