"""One look for every figure: colour-blind safe, readable in print, the same bytes from the same numbers."""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from harness.report.text import power
from harness.text import count

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
# Multiples of powers of ten that a log axis may have labels at, the densest first.
MULTIPLES = ((1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0), (1.0, 2.0, 3.0, 5.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
FEWEST_TICKS, MOST_TICKS = 3, 8
# Inches: a letter of a tick's label in the size below, a line of it, and the least space to the next.
LABEL_WIDTH, LABEL_HEIGHT, LABEL_SPACE = 0.058, 0.11, 0.09

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


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the common style, whatever the user's own settings say."""
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **RC}):
        yield


def panels(columns: int, width: float = 3.1, height: float = 2.9, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of ``columns`` × ``rows`` panels of the given size in inches, without a window."""
    figure = Figure(figsize=(width * columns, height * rows))
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def ordered_colours(n: int) -> list[str]:
    """``n`` colours from dark to light that keep their order in grey, for quantities from small to large."""
    return [to_hex(COLOURS(i / max(1, n - 1))) for i in range(n)]


def log_colours(values: Sequence[float]) -> list[str]:
    """A colour for each value by its place in the range of logs; the same that ``colour_bar`` shows."""
    norm = _log_norm(values)
    return [to_hex(COLOURS(float(norm(value)))) for value in values]


def colour_bar(axes: Axes, values: Sequence[float], title: str, flops: bool = False) -> None:
    """A bar beside ``axes`` that says which colour of ``log_colours`` is which value."""
    bar = axes.figure.colorbar(ScalarMappable(_log_norm(values), COLOURS), ax=axes, aspect=30, pad=0.02)
    bar.ax.set_title(title, fontsize=8.5, loc="center")
    _ticks(bar.ax, "y", _flops if flops else tick)
    bar.outline.set_visible(False)


def budget_key(axes: Axes, budgets: Sequence[float]) -> None:
    """What the colours of budgets mean: a legend for a few, a bar where a legend would fill the panel.

    The legend goes to the top right, where larger budgets with their lower losses leave room.
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


class LogTicks(LogLocator):
    """Ticks of a log axis: as many labels as have room, eight at most, and three at least on the shortest axis.

    The choice is made when the axis is drawn, for only then are its range and its length known.

    Args:
        axes: whose axis ``which``, ``x`` or ``y``, this is.
        write: how a tick is labelled: long labels beside each other need more room.
    """

    def __init__(self, axes: Axes, which: str, write: Callable[[float], str]) -> None:
        super().__init__(base=10)
        self.axes, self.which, self.write = axes, which, write

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """The densest multiples of powers of ten whose labels stand apart."""
        low, high = sorted((vmin, vmax))
        if not (0 < low < high and math.isfinite(high)):
            return np.empty(0)
        scale = self._length() / math.log10(high / low)
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for multiples, step in (*((one, 1) for one in MULTIPLES), *(((1.0,), step) for step in range(2, 99))):
            # Written as a decimal and read again, 3 × 10⁻³ is 0.003 and no neighbour of it.
            ticks = [float(f"{m}e{k}") for k in decades if k % step == 0 for m in multiples]
            inside = [one for one in ticks if low <= one <= high]
            if len(inside) <= MOST_TICKS and self._stand_apart(inside, scale):
                break
        if len(inside) >= FEWEST_TICKS or step > 1:
            return np.array(ticks)
        # Within a factor of two or so: evenly, as on a linear axis.
        for most in (6, 5, 4, 3, 2):
            ticks = [float(one) for one in MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)]
            if self._stand_apart([one for one in ticks if low <= one <= high], scale):
                break
        return np.array(ticks)

    def _stand_apart(self, ticks: Sequence[float], scale: float) -> bool:
        """Whether labels at ``ticks`` differ and leave a space between them, at ``scale`` inches a decade."""
        texts = [self.write(one) for one in ticks]
        sizes = [LABEL_HEIGHT if self.which == "y" else LABEL_WIDTH * len(text) for text in texts]
        return len(set(texts)) == len(texts) and all(
            scale * math.log10(second / first) >= (size + next_size) / 2 + LABEL_SPACE
            for (first, size), (second, next_size) in pairwise(zip(ticks, sizes, strict=True))
        )

    def _length(self) -> float:
        """Of the axis, in inches."""
        figure = self.axes.get_figure(root=True)
        assert figure is not None
        box = self.axes.bbox
        return float(box.width if self.which == "x" else box.height) / figure.dpi


def log_counts(axes: Axes, which: str) -> None:
    """Log axis ``x`` or ``y`` with ticks like ``30M``."""
    _log(axes, which, tick)


def top_scale(axes: Axes, factor: float, name: str) -> None:
    """A second scale above a logarithmic x axis: ``factor`` times the first, of ordinary numbers."""
    top = axes.secondary_xaxis(
        "top", functions=(partial(np.multiply, factor), partial(np.multiply, 1 / factor))
    )
    top.set_xlabel(name)
    _ticks(cast("Axes", top), "x", _plain)


def tick(value: float) -> str:
    """``30M`` where :func:`harness.text.count` has ``30.0M``: a tick is exact, so its zeros say nothing."""
    text = count(value)
    number = text.rstrip("kMBT")
    plain = number.rstrip("0").rstrip(".") if "." in number else number
    return plain + text[len(number) :]


def log_plain(axes: Axes, which: str) -> None:
    """Log axis of ordinary numbers such as ratios: ``0.5``, ``20``, ``1000``."""
    _log(axes, which, _plain)


def _plain(value: float) -> str:
    return f"{value:g}"


def log_flops(axes: Axes, which: str = "x") -> None:
    """Log axis of FLOPs: ``10¹²``, ``2 × 10¹²``."""
    _log(axes, which, _flops)


def _flops(value: float) -> str:
    """A tick is exact; on the shortest axes that takes a third digit."""
    return power(value, 3)


def _log(axes: Axes, which: str, write: Callable[[float], str]) -> None:
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    _ticks(axes, which, write)


def _ticks(axes: Axes, which: str, write: Callable[[float], str]) -> None:
    """The one place that decides which ticks of a log axis have labels, and how these are written."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogTicks(axes, which, write))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    axis.set_minor_formatter(NullFormatter())


def save(figure: Figure, folder: Path, name: str) -> Picture:
    """Write ``name.png`` and ``name.pdf``, without dates, so that the same numbers make the same bytes.

    The files have a white ground; the SVG that is returned has none, so that the page's shows through.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Laying out is most of the work of saving; once is enough for three formats.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for kind, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None, "Producer": None})):
        path = folder / f"{name}.{kind}"
        figure.savefig(path, format=kind, metadata=metadata, transparent=False, facecolor="white")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return Picture(name, float(figure.get_figwidth()), text.getvalue())
