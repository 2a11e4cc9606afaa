"""The ablations of the recipe: loss against the multiple of each hyperparameter, at the best cells and beside them."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.plan.ablation import HYPERPARAMETERS
from harness.report.axes import log_plain
from harness.report.data import ReportData
from harness.report.figure_data import named
from harness.report.keys import key_below
from harness.report.recipe_cost import require_cost
from harness.report.run_noise import run_noise
from harness.report.style import GREY, INK, MAX_LEGEND, colour_bar, log_colours, panels
from harness.report.text import power
from harness.runs.ablations import AblationRun

COLUMNS = 3
SMALLER, LARGER = ":", "--"


def draw_recipe_cost(data: ReportData) -> Figure:
    """A panel for each hyperparameter, a colour for each budget; what diverged is not shown.

    Raises:
        MissingError: there are no ablations.
    """
    budgets = [cost.budget for cost in require_cost(data)]
    tried = {one.changed for one in data.ablations if one.budget in budgets}
    keys = [key for key, one in HYPERPARAMETERS.items() if one.of_recipe and key in tried]
    columns = min(COLUMNS, len(keys))
    figure, axes = panels(columns, width=3.4, rows=-(-len(keys) // columns))
    colours = dict(zip(budgets, log_colours(budgets), strict=True))
    noise = run_noise(data)
    for panel, key in zip(axes, keys, strict=False):
        for budget in budgets:
            _lines(panel, data, budget, key, colours[budget])
        panel.axhline(0, color=INK, linewidth=0.7)
        if noise is not None:
            panel.axhspan(-noise.sd, noise.sd, color=GREY, alpha=0.15, linewidth=0)
        log_plain(panel, "x")
        panel.set(xlabel="times the recipe's value", title=data.called(key))
    for unused in axes[len(keys) :]:
        unused.set_visible(False)
    for first in axes[: len(keys) : columns]:
        first.set_ylabel("loss above the recipe's own\n(nats per token)")
    if len(budgets) > MAX_LEGEND:
        colour_bar(axes[len(keys) - 1], [data.as_counted(budget) for budget in budgets], "C", flops=True)
    else:
        key_below(figure)
    return figure


def _lines(axes: Axes, data: ReportData, budget: float, key: str, colour: str) -> None:
    mine = [one for one in data.ablations if (one.budget, one.changed) == (budget, key)]
    size = _sizes(data, mine)
    best = next((one.of for one in mine if not one.neighbour), "")
    for of in dict.fromkeys(one.of for one in mine):
        points = [(1.0, 0.0)]
        points += [
            (one.factor, -one.gain_over_chosen)
            for one in mine
            if one.of == of and one.loss is not None and one.factor > 0
        ]
        points.sort()
        if of == best:
            axes.plot(
                *zip(*points, strict=True),
                "o-",
                color=colour,
                markersize=4,
                label=f"C = {power(data.as_counted(budget))}",
            )
        else:
            smaller = size.get(of, 0) < size.get(best, 0)
            axes.plot(
                *zip(*points, strict=True),
                SMALLER if smaller else LARGER,
                color=colour,
                linewidth=1,
                label=named(
                    f"{power(data.as_counted(budget))}: next {'smaller' if smaller else 'larger'} size"
                ),
            )


def _sizes(data: ReportData, ablations: Sequence[AblationRun]) -> dict[str, int]:
    return {one.of: data.records[one.of].params_total for one in ablations if one.of in data.records}
