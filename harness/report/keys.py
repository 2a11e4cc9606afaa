"""Keys and titles of figures, in as many lines as a figure of a style has the width for."""

import textwrap
from collections.abc import Sequence

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.figure_data import named
from harness.report.style import MAX_LEGEND, colour_bar, points_of
from harness.report.text import power


def budget_labels(axes: Axes, budgets: Sequence[float]) -> list[str]:
    """The labels of what is drawn of each budget: entries of the key for a few; many get a colour bar instead."""
    names = [f"C = {power(budget)}" for budget in budgets]
    if len(budgets) <= MAX_LEGEND:
        return names
    colour_bar(axes, budgets, "C", flops=True)
    return [named(name) for name in names]


# Inches of a letter in a key at a size of one point, on average, and of what stands beside a label there.
KEY_LETTER, KEY_MARK = 0.0078, 0.4
KEY_LINE = 0.022  # inches of a line of a key at a size of one point
TITLE_MARGIN = 0.5  # inches of a panel's width that its y axis has


def key_below(figure: Figure) -> None:
    """One legend below all panels, in as many columns as there is room for; a label of two panels is one entry."""
    shown: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            shown.setdefault(label, handle)
    if not shown:
        return
    size = points_of(matplotlib.rcParams["legend.fontsize"])
    widest = max(len(label) for label in shown) * KEY_LETTER * size + KEY_MARK
    room = max(1, int(figure.get_figwidth() / widest))
    rows = -(-len(shown) // room)
    figure.set_figheight(figure.get_figheight() + rows * KEY_LINE * size)  # the panels keep their own
    figure.legend(
        list(shown.values()),
        list(shown),
        loc="outside lower center",
        ncols=-(-len(shown) // rows),
    )


def panel_width(axes: Axes) -> float:
    """Inches of the figure's width that a panel has with its ticks and labels."""
    figure = axes.get_figure(root=True)
    place = axes.get_subplotspec()
    assert figure is not None
    assert place is not None
    return float(figure.get_figwidth()) / place.get_gridspec().ncols


def set_title(axes: Axes, text: str, columns: int = 1) -> None:
    """The title of a panel, in lines no longer than ``columns`` panels are wide."""
    width = columns * panel_width(axes)
    size = points_of(matplotlib.rcParams["axes.titlesize"])
    letters = max(12, int((width - TITLE_MARGIN) / (KEY_LETTER * size)))
    lines = textwrap.wrap(text.replace(" × ", "\u00a0×\u00a0"), letters, break_long_words=False)
    if columns == 1:
        axes.set_title("\n".join(lines))
        return
    # The layout would make the first panel as wide as a title of its own: blank lines keep the height alone.
    axes.set_title("\n".join(" " for _ in lines))
    axes.set_label(text)
    above = float(matplotlib.rcParams["axes.titlepad"])
    axes.annotate(
        "\n".join(lines),
        (0, 1),
        (0, above),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        fontsize=size,
    ).set_in_layout(False)
