"""Every figure of the report, in the page's order."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.report.figures import isoflop
from harness.report.material import Material


@dataclass(frozen=True)
class Entry:
    """A figure: its file name, what it is called, how to read it, and the function that draws it.

    ``draw`` raises MissingError where the material has no ground for it.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[Material], Figure]


FIGURES: tuple[Entry, ...] = (
    Entry(
        "isoflop",
        "IsoFLOP profiles and the frontier through their minima",
        "Left: every run of a budget against its size, the fitted polynomial, and its minimum (star) with "
        "its bootstrap interval. Middle and right: the minima against compute, the power law through them "
        "(dashed where it extrapolates), its bootstrap band, and the target (diamond). After Hoffmann et "
        "al. 2022, Fig. 3.",
        isoflop.draw,
    ),
)
