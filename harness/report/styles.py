"""The styles of figures: for the page, for a paper and for slides; they differ in size, letters and line widths."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.collections import Collection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.style_names import DEFAULT, PAPER, SLIDES

INK = "#222222"

RC: dict[Any, object] = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "savefig.transparent": True,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#999999",
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "isoflop",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}


LEAST_WIDTH, LEAST_HEIGHT = 1.7, 2.3
"""Inches of a panel with its ticks and labels, where the width of a figure is given: with less it has no room."""


@dataclass(frozen=True)
class Style:
    """How figures look.

    Attributes:
        name: as users choose it.
        rc: matplotlib's settings that differ from :data:`RC`.
        column, page: inches, the width of a figure of one panel and of one of several; None draws panels as wide as
            each figure asks.
        height: of a panel over what the figure asks, where ``page`` is given.
        lines, marks: factors of the widths of lines and of the sizes of markers.
    """

    name: str
    rc: Mapping[Any, object] = field(default_factory=dict)
    column: float | None = None
    page: float | None = None
    height: float = 1.0
    lines: float = 1.0
    marks: float = 1.0

    def size(self, columns: int, width: float, height: float) -> tuple[float, float]:
        """The width of a figure of ``columns`` panels, and the height of one, in inches."""
        asked = self.column if columns == 1 else self.page
        if asked is None:
            return width * columns, height
        return max(asked, LEAST_WIDTH * columns), min(height, max(LEAST_HEIGHT, height * self.height))


# Columns of a two-column journal. Letters are of the size in which they are printed.
_COMPACT: dict[Any, object] = {
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "savefig.dpi": 300,
}
STYLES: dict[str, Style] = {
    DEFAULT: Style(DEFAULT),
    PAPER: Style(
        PAPER,
        _COMPACT | {"font.family": "DejaVu Serif", "mathtext.fontset": "dejavuserif"},
        column=3.35,
        page=6.9,
        height=0.72,
        lines=0.8,
        marks=0.75,
    ),
    # Enlarged to a slide of 13.3 inches, letters of 7.5 points have 14.
    SLIDES: Style(SLIDES, _COMPACT | {"savefig.dpi": 400}, column=5.2, page=6.9, height=0.78, lines=1.35),
}


def thicken(figure: Figure, style: Style) -> None:
    """Give the lines and markers of a finished figure the widths of ``style``; axes and grid stay as they are."""
    if style.lines == style.marks == 1:
        return
    for axes in figure.axes:
        for artist in (*axes.lines, *axes.collections):
            _thicken(artist, style)
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes)]:
        for handle in () if legend is None else legend.legend_handles:
            if handle is not None:
                _thicken(handle, style)


def _thicken(artist: Artist, style: Style) -> None:
    if isinstance(artist, Line2D):
        artist.set_linewidth(artist.get_linewidth() * style.lines)
        artist.set_markersize(artist.get_markersize() * style.marks)
        artist.set_markeredgewidth(artist.get_markeredgewidth() * style.lines)
    elif isinstance(artist, Collection):
        if isinstance(artist, PathCollection):
            artist.set_sizes(np.asarray(artist.get_sizes()) * style.marks**2)
        artist.set_linewidth([float(w) * style.lines for w in np.atleast_1d(artist.get_linewidth())])
