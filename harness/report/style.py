"""One look for every figure: colour-blind safe, readable in print, the same bytes from the same numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib import pyplot as plt
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

# Okabe & Ito's colours: distinct under the common colour-vision deficiencies and in grey.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"

RC = {
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.3,
    "svg.hashsalt": "isoflop",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw without a screen, in the common style."""
    matplotlib.use("Agg")
    with plt.rc_context(RC):
        yield


def budget_colours(n: int) -> list[tuple[float, float, float, float]]:
    """``n`` colours from dark to light that keep their order in grey, for budgets from small to large."""
    colormap: Colormap = matplotlib.colormaps["viridis"]
    return [colormap(0.85 * i / max(1, n - 1)) for i in range(n)]


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write ``name.png`` and ``name.pdf``, without dates, and close the figure; returns the PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
    plt.close(figure)
    return folder / f"{name}.png"
