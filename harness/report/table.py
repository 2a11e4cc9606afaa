"""A table before it is HTML, Markdown or terminal text: headings, rows of finished texts, and a note."""

import textwrap
from dataclasses import dataclass

from rich import table as rich_table
from rich.cells import cell_len
from rich.text import Text


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
        title: empty where the section's heading is enough.
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


# where a number and its interval, "1.33 (1.32 to 1.34)", may be broken into lines; the fewest that make it fit
BREAKS: tuple[tuple[str, ...], ...] = ((), (" (",), (" (", " to "))
PADDING = 2  # of a column, both sides together


def terminal_table(shown: Table, width: int) -> rich_table.Table:
    """``shown`` for a rich console of ``width``: numbers to the right, as on the page; small curves are left out.

    A table that is too wide has its numbers above their intervals, never a line broken inside one of them.
    """
    for breaks in BREAKS:
        columns = [
            [_lines(row[i], () if heading in shown.left else breaks) for row in shown.rows]
            for i, heading in enumerate(shown.headings)
        ]
        widths = [
            _width([*column, *heading.split()])
            for heading, column in zip(shown.headings, columns, strict=True)
        ]
        if sum(widths) + PADDING * len(widths) <= width:
            break
    made = rich_table.Table(
        title=Text(shown.title) if shown.title else None,
        title_justify="left",
        title_style="",
        box=None,
        padding=(0, PADDING // 2),
        header_style="bold",
    )
    for heading, room in zip(shown.headings, widths, strict=True):
        made.add_column(
            Text(textwrap.fill(heading, room)),
            justify="left" if heading in shown.left else "right",
            no_wrap=True,
        )
    for row in zip(*columns, strict=True):
        made.add_row(*map(Text, row))
    return made


def _lines(cell: object, breaks: tuple[str, ...]) -> str:
    """The text of a cell, a new line before each of ``breaks``."""
    text = cell if isinstance(cell, str) else ""
    for separator in breaks:
        text = text.replace(separator, f"\n{separator.strip()}" + (" " if separator[-1] == " " else ""))
    return text


def _width(texts: list[str]) -> int:
    return max((cell_len(line) for text in texts for line in text.splitlines()), default=0)
