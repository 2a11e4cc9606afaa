"""One style for every figure: colour-blind safe, readable in print, the same bytes from the same numbers."""

import io
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine
from PIL import Image  # matplotlib needs it to write a PNG

from harness.report.axes import flops_tick, label_ticks, tick

# Okabe & Ito's colours: distinct under the common colour-vision deficiencies and in grey.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY, INK = "#666666", "#222222"
APPROACH_COLOURS = {"approach_1": GREEN, "approach_2": BLUE, "approach_3": RED}
APPROACH_NAMES = {
    "approach_1": "approach 1 (envelope)",
    "approach_2": "approach 2 (IsoFLOP)",
    "approach_3": "approach 3 (parametric)",
}
MARKERS = "osD^vPX*hd"
MAX_LEGEND = 7
# Viridis without its brightest part, which vanishes on white.
COLOURS = ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.72, 256)))

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


@dataclass(frozen=True)
class Picture:
    """A drawn figure: its file name without ending, its width in inches, and its SVG for the page."""

    name: str
    width: float
    svg: str


ONE_AT_A_TIME = threading.RLock()  # matplotlib's settings are those of the whole process


class ShownFigure(Figure):
    """A figure without a window that a notebook shows as the last value of a cell, without pyplot's state."""

    _laid_out = False

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


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the common style, independent of the user's own settings, one thread at a time."""
    with ONE_AT_A_TIME, matplotlib.rc_context({**matplotlib.rcParamsDefault, **RC}):
        yield


def panels(
    columns: int, width: float = 3.1, height: float = 2.9, rows: int = 1
) -> tuple[ShownFigure, list[Axes]]:
    """A figure of ``columns`` × ``rows`` panels of the given size in inches, without a window."""
    figure = ShownFigure(figsize=(width * columns, height * rows))
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
    )


def ordered_colours(n: int) -> list[str]:
    """``n`` colours from dark to light that keep their order in grey, for quantities from small to large."""
    return [to_hex(COLOURS(i / max(1, n - 1))) for i in range(n)]


def log_colours(values: Sequence[float]) -> list[str]:
    """A colour for each value by its place in the range of logs; the same that ``colour_bar`` shows."""
    norm = _log_norm(values)
    return [to_hex(COLOURS(float(norm(value)))) for value in values]


def colour_bar(axes: Axes, values: Sequence[float], title: str, flops: bool = False) -> None:
    """A colour bar beside ``axes`` for the colours of ``log_colours``."""
    bar = axes.figure.colorbar(ScalarMappable(_log_norm(values), COLOURS), ax=axes, aspect=30, pad=0.02)
    bar.ax.set_title(title, fontsize=8.5, loc="center")
    label_ticks(bar.ax, "y", flops_tick if flops else tick)
    bar.outline.set_visible(False)


def budget_key(axes: Axes, budgets: Sequence[float]) -> None:
    """The key to the colours of budgets: a legend for a few, a colour bar for many.

    The legend is at the top right, which is empty because larger budgets have lower losses.
    """
    handles, labels = axes.get_legend_handles_labels()
    if len(budgets) > MAX_LEGEND:
        colour_bar(axes, budgets, "C", flops=True)
        return
    axes.legend(
        handles[::-1],
        labels[::-1],
        title="C (FLOPs)",
        title_fontsize=7.5,
        loc="upper right",
        borderaxespad=0.2,
    )


def _log_norm(values: Sequence[float]) -> LogNorm:
    return LogNorm(min(values) / 1.001, max(values) * 1.001)


def save(figure: Figure, folder: Path, name: str) -> Picture:
    """Write ``name.png`` and ``name.pdf``, without dates, so that the same numbers make the same bytes.

    The files have a white background; the SVG that is returned has none, so that the page's shows through.
    """
    folder.mkdir(parents=True, exist_ok=True)
    assert isinstance(figure, ShownFigure), "figures are made by panels()"
    figure.lay_out()
    shown: dict[str, Any] = {"transparent": False, "facecolor": "white"}
    (folder / f"{name}.png").write_bytes(_of_palette(figure, **shown))
    metadata = {"CreationDate": None, "Producer": None}
    figure.savefig(folder / f"{name}.pdf", format="pdf", metadata=metadata, **shown)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(name, float(figure.get_figwidth()), _rounded(text.getvalue()))


def _rounded(svg: str) -> str:
    """The drawing with coordinates to a hundredth of a point, where matplotlib writes a millionth.

    Numbers below one, scales and opacities, stay as they are.
    """
    return re.sub(r"\b([1-9]\d*\.\d\d)\d+\b", r"\1", svg)


def _of_palette(figure: Figure, **shown: Any) -> bytes:
    """The PNG in 256 colours: a quarter of the bytes of one in all colours, which a drawing of lines does not need."""
    drawn, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None}, **shown)
    with Image.open(drawn) as image:
        palette = image.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        palette.save(reduced, "PNG", optimize=True, dpi=image.info["dpi"])
    return reduced.getvalue()
