"""Figures as a page has them and as files: PNG, PDF, SVG, the numbers as CSV; the same numbers make the same bytes."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from PIL import Image  # matplotlib needs it to write a PNG
from PIL.PngImagePlugin import PngInfo

from harness.report.figure_data import to_csv
from harness.report.fingerprint import KEY, fingerprint
from harness.report.style import ShownFigure

ENDINGS = (".png", ".pdf", ".svg", ".csv")
IMAGE_DPI = 110
WHITE: dict[str, Any] = {"transparent": False, "facecolor": "white"}


@dataclass(frozen=True)
class Picture:
    """A drawn figure: its file name without ending, its width in inches, and its SVG for the page."""

    name: str
    width: float
    svg: str


def save(figure: Figure, folder: Path, name: str) -> Picture:
    """Write ``name`` as PNG, PDF and SVG, and its numbers as CSV, without dates: the same numbers make the same bytes.

    The files have a white background, and the SVG has letters as text, for editing. The SVG that is returned has
    letters as shapes and no background, so that the page's shows through.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for ending, content in _files(finished(figure), ENDINGS):
        (folder / f"{name}{ending}").write_bytes(content)
    return Picture(name, float(figure.get_figwidth()), _svg(figure))


def show(figure: Figure, name: str) -> Picture:
    """What a page has of a figure, without a file."""
    return Picture(name, float(figure.get_figwidth()), _svg(finished(figure)))


def save_as(figure: Figure, file: Path) -> None:
    """Write ``file`` alone, in the format of its ending, one of :data:`ENDINGS`.

    Raises:
        OSError: it cannot be written.
    """
    ((_, content),) = _files(finished(figure), (file.suffix,))
    file.write_bytes(content)


def finished(figure: Figure) -> Figure:
    """The figure with its style's widths and with its panels in their places, for all formats."""
    assert isinstance(figure, ShownFigure), "figures are made by panels()"
    figure.dress()
    figure.lay_out()
    return figure


def _files(figure: Figure, endings: Sequence[str]) -> list[tuple[str, bytes]]:
    """The content of a file of each ending."""
    mark = fingerprint(figure)  # before it is drawn: matplotlib then chooses limits that are not the figure's
    make = {
        ".png": lambda: _of_palette(figure, mark),
        ".pdf": lambda: _pdf(figure),
        ".svg": lambda: _svg(figure, "none", **WHITE).encode(),
        ".csv": lambda: to_csv(figure).encode(),
    }
    return [(ending, make[ending]()) for ending in endings]


def _pdf(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="pdf", metadata={"CreationDate": None, "Producer": None}, **WHITE)
    return content.getvalue()


def _svg(figure: Figure, letters: str = "path", **shown: Any) -> str:
    text = io.StringIO()
    metadata = {"Date": None, "Creator": None}
    with matplotlib.rc_context({"svg.fonttype": letters}):
        # the resolution is that of panels drawn as images, see ShownFigure.dress
        figure.savefig(text, format="svg", dpi=IMAGE_DPI, metadata=metadata, **shown)
    return _rounded(text.getvalue())


def _rounded(svg: str) -> str:
    """The drawing with coordinates to a hundredth of a point, where matplotlib writes a millionth.

    Numbers below one, scales and opacities, stay as they are.
    """
    return re.sub(r"\b([1-9]\d*\.\d\d)\d+\b", r"\1", svg)


def _of_palette(figure: Figure, mark: str) -> bytes:
    """The PNG with the fingerprint ``mark``.

    It has 256 colours: a quarter of the bytes of one in all colours, which a drawing of lines does not need.
    """
    drawn, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None}, **WHITE)
    with Image.open(drawn) as image:
        palette = image.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        about = PngInfo()
        about.add_text(KEY, mark)
        palette.save(reduced, "PNG", optimize=True, dpi=image.info["dpi"], pnginfo=about)
    return reduced.getvalue()
