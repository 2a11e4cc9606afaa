"""A table before it is HTML or Markdown: headings, rows of finished texts, and a note."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sparkline:
    """A small curve in a cell: points (x, y) in the unit square, y upwards; ``text`` says what it shows."""

    points: tuple[tuple[float, float], ...]
    text: str


Cell = str | Sparkline


@dataclass(frozen=True)
class Table:
    """A table to be shown.

    Attributes:
        name: short, for anchors.
        title: empty where the section's heading says it.
        headings: one a column; a column of numbers is right-aligned, ``left`` names the others.
        note: a sentence on how to read it, shown beneath.
        strong: indices of rows to emphasise.
    """

    name: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left: tuple[str, ...] = ()
    note: str = ""
    strong: tuple[int, ...] = ()
