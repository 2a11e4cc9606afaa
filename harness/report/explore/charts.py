"""The interactive figures as Vega-Lite specifications: what is drawn from which data set, over which axes.

While a page is open its script sets the parameters: ``budgets`` and ``approaches`` are the names switched on,
``chosen`` is a run that the table points at, ``axis`` the quantity of a figure that shows one of several. The rows
of ``at_target`` and ``target_profile`` are predicted in the page, by the calculator's own code. Every row carries
its colour, so that a page can change between light and dark.
"""

from dataclasses import dataclass
from typing import Any

from harness.report.explore.data import Explored

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
HEIGHT = 340
TITLES = {
    "n": "parameters N",
    "d": "training tokens D",
    "r": "tokens per parameter D/N",
    "c": "training compute C (FLOPs)",
}
# Labels of logarithmic axes stand at these multiples of powers of ten, as people here write numbers: 30M and 2B where
# Vega would write SI's 2G, 3e12 for FLOPs.
MANTISSA = "round(datum.value / pow(10, floor(log(datum.value) / LN10 + 1e-9)))"
COUNT = f"indexof([1, 2, 5], {MANTISSA}) < 0 ? '' : replace(format(datum.value, '~s'), 'G', 'B')"
FLOPS = f"indexof([1, 3], {MANTISSA}) < 0 ? '' : replace(format(datum.value, '~e'), '+', '')"
COLOUR: Spec = {"field": "colour", "type": "nominal", "scale": None}
GREY = "#808080"  # 3:1 at least on the light and on the dark page
OF_BUDGETS: Spec = {"filter": "indexof(budgets, datum.budget) >= 0"}
OF_APPROACHES: Spec = {"filter": "indexof(approaches, datum.approach) >= 0"}


@dataclass(frozen=True)
class Chart:
    """An interactive figure.

    Attributes:
        name: of the static figure that it stands for on a screen.
        caption: what is shown and how to read it.
        axes: the quantities that its parameter ``axis`` chooses among, by field: what they are called.
    """

    name: str
    title: str
    caption: str
    spec: Spec
    axes: dict[str, str]


def charts(shown: Explored) -> tuple[Chart, ...]:
    """The interactive figures that there is data for."""
    made = [_isoflop(shown)] if shown.budgets else []
    made += [_frontier(shown)] if shown.approaches else []
    made += [_curves(shown)] if shown.curves else []
    made += [_residuals(shown)] if any(value is not None for value in shown.runs["off"]) else []
    return tuple(made)


def _isoflop(shown: Explored) -> Chart:
    x, y = _log("n"), _linear("loss", "final loss (nats per token)")
    dash: Spec = {"condition": {"test": "datum.minimum", "value": [1, 0]}, "value": [2, 3]}
    layers = [
        _layer(
            "profiles",
            {"type": "line", "strokeWidth": 1.6},
            OF_BUDGETS,
            x=x,
            y=y,
            color=COLOUR,
            strokeDash=dash,
        ),
        _layer("target_profile", {"type": "line", "strokeDash": [5, 4], "color": GREY}, x=x, y=y),
        _runs(x, y),
        _layer(
            "minima",
            {"type": "rule", "strokeWidth": 2},
            OF_BUDGETS,
            x=_log("n_low", "n"),
            x2={"field": "n_high"},
            y=y,
            color=COLOUR,
        ),
        _layer("minima", _diamond(), OF_BUDGETS, x=x, y=y, color=COLOUR, tooltip={"field": "tip"}),
        _layer(
            "at_target",
            _diamond(filled=False),
            _of_law("lead"),
            x=x,
            y=y,
            color=COLOUR,
            tooltip={"field": "tip"},
        ),
    ]
    return Chart(
        "isoflop",
        "IsoFLOP profiles",
        "Final loss against parameters, one colour a budget; the line is the polynomial through a budget's runs, the "
        "diamond its minimum with the interval of N*; dotted where there is none. Dashed: the profile that the fitted "
        "law predicts at the target.",
        _spec(shown, layers),
        {},
    )


def _frontier(shown: Explored) -> Chart:
    axes = {name: f"{TITLES[name]}, optimal" for name in ("n", "d", "r")}
    x, y = _log("c"), _log("y", title=None)
    chosen = [{"calculate": f"datum[axis + '{end}']", "as": f"y{end}"} for end in ("", "_low", "_high")]
    lines = [OF_APPROACHES, *chosen]
    series = {"detail": {"field": "approach"}, "color": COLOUR}
    layers = [
        _layer(
            "lines",
            {"type": "area", "opacity": 0.16},
            *lines,
            {"filter": "isValid(datum.y_low) && isValid(datum.y_high)"},
            x=x,
            y=_log("y_low", "y", title=None),
            y2={"field": "y_high"},
            **series,
        ),
        _layer(
            "lines", {"type": "line", "strokeWidth": 1.2, "strokeDash": [5, 4]}, *lines, x=x, y=y, **series
        ),
        _layer(
            "lines",
            {"type": "line", "strokeWidth": 2.2},
            *lines,
            {"filter": "datum.measured"},
            x=x,
            y=y,
            **series,
        ),
        _layer(
            "minima",
            {"type": "rule", "strokeWidth": 1.5},
            OF_BUDGETS,
            *chosen,
            {"filter": "isValid(datum.y_low) && isValid(datum.y_high)"},
            x=x,
            y=_log("y_low", "y", title=None),
            y2={"field": "y_high"},
            color=COLOUR,
        ),
        _layer("minima", _diamond(), OF_BUDGETS, *chosen, x=x, y=y, color=COLOUR, tooltip={"field": "tip"}),
        _layer("at_target", {"type": "rule", "color": GREY, "strokeDash": [2, 3]}, x=x),
        _layer("at_target", _diamond(filled=False), *lines, x=x, y=y, color=COLOUR, tooltip={"field": "tip"}),
    ]
    return Chart(
        "approaches",
        "Compute-optimal frontier",
        "What is optimal against compute, by every approach: solid within the runs' compute, dashed beyond, with bands "
        "of intervals. Diamonds: minima of the IsoFLOP profiles; hollow: the prediction at the target.",
        _spec(shown, layers, axis="n"),
        axes,
    )


def _curves(shown: Explored) -> Chart:
    x, y = (
        _log("c", title="compute so far (FLOPs)"),
        _linear("loss", "training loss (nats per token)", clamp=True),
    )
    lines = _layer(
        "curves",
        {"type": "line", "strokeWidth": 1.1, "opacity": 0.8, "cursor": "pointer"},
        OF_BUDGETS,
        x=x,
        y=y,
        color=COLOUR,
        detail={"field": "run"},
        tooltip={"field": "run"},
        strokeWidth={"condition": {"test": "datum.run === chosen", "value": 4}, "value": 1.1},
    )
    target = _layer("at_target", {"type": "rule", "color": GREY, "strokeDash": [2, 3]}, x=x)
    return Chart(
        "training_curves",
        "Training curves",
        "Smoothed training loss against compute so far, one line a run, coloured by budget; every curve's cooldown "
        f"ends with its run. The losses of the first steps lie above the figure.{shown.curves_note}",
        _spec(shown, [lines, target]),
        {},
    )


def _residuals(shown: Explored) -> Chart:
    axes = {name: TITLES[name] for name in ("n", "d", "c", "r")}
    x, y = _log("x", title=None), _linear("off", "measured / fitted − 1 (%)")
    of_axis = {"calculate": "datum[axis]", "as": "x"}
    runs = _runs(x, y)
    runs["transform"] = [*runs["transform"], of_axis]
    layers = [
        {"data": {"values": [{}]}, "mark": {"type": "rule", "color": GREY}, "encoding": {"y": {"datum": 0}}},
        _layer(
            "at_target", {"type": "rule", "color": GREY, "strokeDash": [2, 3]}, _of_law("lead"), of_axis, x=x
        ),
        runs,
    ]
    return Chart(
        "residuals",
        "Residuals of the fitted law",
        "How far the measured loss of each run lies above or below that of the fitted law (approach 3). Scatter is "
        "noise; a trend along an axis is something that the law misses. Dotted: the target's prediction.",
        _spec(shown, layers, axis="n"),
        axes,
    )


def _spec(shown: Explored, layers: list[Spec], axis: str = "") -> Spec:
    values = {
        "budgets": list(shown.budgets),
        "approaches": list(shown.approaches),
        "chosen": "",
        "axis": axis,
    }
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": HEIGHT,
        "background": None,
        "params": [{"name": name, "value": value} for name, value in values.items()],
        "layer": layers,
        "config": {
            "view": {"stroke": None},
            "font": "system-ui, sans-serif",
            "axis": {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": "normal", "tickCount": 6},
        },
    }


def _layer(data: str, mark: Spec, *transform: Spec, **encoding: Spec) -> Spec:
    return {"data": {"name": data}, "transform": list(transform), "mark": mark, "encoding": encoding}


def _runs(x: Spec, y: Spec) -> Spec:
    """A point a run; the one that is chosen is large."""
    size = {"condition": {"test": "datum.run === chosen", "value": 320}, "value": 45}
    mark = {"type": "point", "filled": True, "opacity": 0.85, "cursor": "pointer"}
    return _layer("runs", mark, OF_BUDGETS, x=x, y=y, color=COLOUR, size=size, tooltip={"field": "run"})


def _diamond(filled: bool = True) -> Spec:
    return {
        "type": "point",
        "shape": "diamond",
        "filled": filled,
        "size": 150,
        "opacity": 1,
        "strokeWidth": 2,
    }


def _of_law(column: str) -> Spec:
    """The rows of the approach that the page leads with."""
    return {"filter": f"datum.{column}"}


def _log(field: str, like: str = "", title: str | None = "") -> Spec:
    """A logarithmic axis; ``title`` "" is the quantity's own, None leaves it to the page's choice."""
    name = like or field
    axis = {
        "labelExpr": FLOPS if name == "c" else COUNT,
        "title": TITLES.get(name, "") if title == "" else title,
    }
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"type": "log", "nice": False, "padding": 8},
        "axis": axis,
    }


def _linear(field: str, title: str, clamp: bool = False) -> Spec:
    scale = {"zero": False, "nice": False, "clamp": clamp, "padding": 8}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": {"title": title}}
