"""A finished table in a terminal."""

from rich import table as rich_table
from rich.markup import escape

from harness.report.tables.table import Table


def terminal_table(shown: Table) -> rich_table.Table:
    """``shown`` for a rich console: numbers to the right, as on the page; columns of small curves are empty."""
    made = rich_table.Table(
        title=escape(shown.title) or None,
        title_justify="left",
        title_style="",
        box=None,
        padding=(0, 1),
        header_style="bold",
    )
    for heading in shown.headings:
        made.add_column(escape(heading), justify="left" if heading in shown.left else "right")
    for row in shown.rows:
        made.add_row(*(escape(cell) if isinstance(cell, str) else "" for cell in row))
    return made
