"""One style for every figure: colour-blind safe, readable in print, the same bytes from the same numbers."""

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, ListedColormap, LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import LayoutEngine
from matplotlib.lines import Line2D

from harness.report.axes import flops_tick, label_ticks, tick
from harness.report.figure_data import named
from harness.report.style_names import DEFAULT
from harness.report.styles import INK as INK
from harness.report.styles import RC, STYLES, Style, thicken

# Okabe & Ito's colours: distinct under the common colour-vision deficiencies and in grey.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY = "#666666"
APPROACH_COLOURS = {"approach_1": GREEN, "approach_2": BLUE, "approach_3": RED}
APPROACH_NAMES = {
    "approach_1": "approach 1 (envelope)",
    "approach_2": "approach 2 (IsoFLOP)",
    "approach_3": "approach 3 (parametric)",
}
MARKERS = "osD^vPX*hd"
MAX_LEGEND = 7
RULE = 20.0  # tokens per parameter, the rule of thumb
# Viridis without its brightest part, which vanishes on white.
COLOURS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.72, 256)))


# Of matplotlib's settings, those that what is drawn depends on; the others are of files and windows.
DRAWN = ("axes.", "font.", "grid.", "legend.", "lines.", "mathtext.", "text.", "xtick.", "ytick.")
MOST_SHAPES = 1000
"""Points of a panel that are drawn as shapes."""

ONE_AT_A_TIME = threading.RLock()  # matplotlib's settings are those of the whole process


class ShownFigure(Figure):
    """A figure without a window that a notebook shows as the last value of a cell, without pyplot's state."""

    _laid_out = False
    style: Style = STYLES[DEFAULT]

    def dress(self) -> None:
        """Give lines and markers the widths of the style; to be called once, when all is drawn.

        What has very many points becomes an image within SVG and PDF: nobody can tell them apart, and as shapes they
        would be most of a page.
        """
        thicken(self, self.style)
        for axes in self.axes:
            marked = [part for part in (*axes.lines, *axes.collections) if _marks(part)]
            if sum(map(_marks, marked)) > MOST_SHAPES:
                for part in marked:
                    part.set_rasterized(True)

    def draw(self, renderer: RendererBase) -> None:
        """As matplotlib does, in the figure's own style: ticks and their labels are made when they are first drawn."""
        own = {key: value for key, value in _settings(self.style).items() if key.startswith(DRAWN)}
        with ONE_AT_A_TIME, matplotlib.rc_context(own):
            super().draw(renderer)

    def lay_out(self) -> None:
        """Place the panels for good: most of the work of saving, and the same for every format."""
        engine = self.get_layout_engine()
        if engine is not None:
            engine.execute(self)
        self._laid_out = True

    def get_layout_engine(self) -> LayoutEngine | None:
        """None once all is placed: with an engine, even one that does nothing, each format is drawn twice."""
        return None if self._laid_out else super().get_layout_engine()

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=110)
        return content.getvalue()


def _settings(style: Style) -> dict[Any, Any]:
    """All of matplotlib's settings in a style, none the user's own."""
    return {**matplotlib.rcParamsDefault, **RC, **style.rc}


_chosen: ContextVar[Style] = ContextVar("figure style", default=STYLES[DEFAULT])


def _marks(artist: Artist) -> int:
    """How many shapes a series of points is drawn with; a line is one shape."""
    if isinstance(artist, Line2D):
        return (
            0
            if artist.get_marker() in ("None", "none", "", None)
            else np.asarray(artist.get_xydata()).shape[0]
        )
    return np.asarray(artist.get_offsets()).shape[0] if isinstance(artist, PathCollection) else 0


@contextmanager
def figure_style(name: str = DEFAULT) -> Iterator[None]:
    """Draw in one of :data:`STYLES`, independent of the user's own settings, one thread at a time."""
    style = STYLES[name]
    with ONE_AT_A_TIME, matplotlib.rc_context(_settings(style)):
        before = _chosen.set(style)
        try:
            yield
        finally:
            _chosen.reset(before)


def panels(
    columns: int, width: float = 3.1, height: float = 2.9, rows: int = 1
) -> tuple[ShownFigure, list[Axes]]:
    """A figure of ``columns`` × ``rows`` panels, without a window.

    Args:
        width, height: of a panel, in inches, in the default style; others have a width of their own.
    """
    style = _chosen.get()
    whole, each = style.size(columns, width, height)
    figure = ShownFigure(figsize=(whole, each * rows))
    figure.style = style
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def plot_estimate(
    axes: Axes, x: float, value: float, interval: tuple[float, float] | None, colour: str, filled: bool
) -> None:
    """A point with the interval of its value; hollow where no rule goes through it."""
    bars = None if interval is None else [[max(0.0, value - interval[0])], [max(0.0, interval[1] - value)]]
    axes.errorbar(
        [x],
        [value],
        yerr=bars,
        fmt="o",
        color=colour,
        markerfacecolor=colour if filled else "none",
        markersize=4,
        capsize=2,
        label=named("best value" + ("" if filled else " (left out)")),
    )


def ordered_colours(n: int) -> list[str]:
    """``n`` colours from dark to light that keep their order in grey, for quantities from small to large."""
    return [to_hex(COLOURS(i / max(1, n - 1))) for i in range(n)]


def log_colours(values: Sequence[float], colours: Colormap = COLOURS) -> list[str]:
    """A colour for each value by its place in the range of logs; the same that ``colour_bar`` shows."""
    norm = _log_norm(values)
    return [to_hex(colour) for colour in colours(norm(np.asarray(values, dtype=float)))]


def points_of(size: float | str) -> float:
    """A size of letters of matplotlib's settings, which may be a word."""
    return float(FontProperties(size=size).get_size_in_points())


def colour_bar(axes: Axes, values: Sequence[float], title: str, flops: bool = False) -> None:
    """A colour bar beside ``axes`` for the colours of ``log_colours``."""
    bar = axes.figure.colorbar(ScalarMappable(_log_norm(values), COLOURS), ax=axes, aspect=30, pad=0.02)
    bar.ax.set_title(title, fontsize=points_of(matplotlib.rcParams["axes.labelsize"]), loc="center")
    label_ticks(bar.ax, "y", flops_tick if flops else tick)
    bar.outline.set_visible(False)


def _log_norm(values: Sequence[float]) -> LogNorm:
    return LogNorm(min(values) / 1.001, max(values) * 1.001)
