"""What tells whether a figure that was saved is the one that today's code would draw: a hash of its data and style.

No time and no byte of a file goes into it, for these differ between machines and versions of matplotlib.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from harness.report.figure_data import rows_of

KEY = "isoflop figure"
"""Under which a PNG carries it."""
DIGITS = 4  # of a number: the last digits of a sum differ between machines


def fingerprint(figure: Figure) -> str:
    """Twelve hexadecimal digits of what ``figure`` shows: its series, words, axes, colours and size."""
    digest = hashlib.sha256()
    for text in _parts(figure):
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:12]


def stored(path: Path) -> str | None:
    """The fingerprint that a PNG carries; None where it has none."""
    with Image.open(path) as image:
        found = image.info.get(KEY)
    return found if isinstance(found, str) else None


def _parts(figure: Figure) -> Iterator[str]:
    yield " ".join(_short(float(side)) for side in figure.get_size_inches())
    for legend in figure.legends:
        yield from (text.get_text() for text in legend.get_texts())
    for axes in figure.axes:
        yield from _of_axes(axes)
    for row in rows_of(figure):
        yield " ".join(_short(value) if isinstance(value, float) else str(value) for value in row)


def _of_axes(axes: Axes) -> Iterator[str]:
    yield from (axes.get_title(loc=place) for place in ("left", "center", "right"))
    yield from (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale(), axes.get_yscale())
    yield from (_short(float(end)) for end in (*axes.get_xlim(), *axes.get_ylim()))
    yield from (text.get_text() for text in axes.texts)
    if (legend := axes.get_legend()) is not None:
        yield from (text.get_text() for text in legend.get_texts())
    for line in axes.lines:
        yield f"{to_hex(line.get_color())} {line.get_linestyle()} {line.get_marker()} {_short(line.get_linewidth())}"
    for collection in axes.collections:
        colours = {to_hex(colour) for colour in (*collection.get_facecolor(), *collection.get_edgecolor())}
        yield " ".join(sorted(colours))


def _short(value: float) -> str:
    return f"{value:.{DIGITS}g}"
