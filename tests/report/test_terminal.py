"""Tables in a terminal: never a line broken inside a number or an interval."""

import io

import pytest
from rich.console import Console

from harness.report.table import Table, terminal_table

NUMBERS = ("1.3511 (1.3269 to 1.3697)", "+0.0805 (+0.0765 to +0.0844)", "80.1k (60.2k to 99.9k)")
TABLE = Table("name", "A title", ("contender", "predicted loss", "gap", "N"), (("1 N*", *NUMBERS),) * 2)


@pytest.mark.parametrize(("width", "lines"), [(132, 1), (80, 2), (50, 3)])
def test_a_number_stays_whole_at_any_width(width: int, lines: int) -> None:
    out = io.StringIO()
    Console(file=out, width=width).print(terminal_table(TABLE, width))
    printed = out.getvalue()
    pieces = {1: NUMBERS, 2: ("1.3511", "(1.3269 to 1.3697)"), 3: ("1.3511", "(1.3269", "to 1.3697)")}
    for piece in pieces[lines]:
        assert printed.count(piece) == 2
    assert "…" not in printed
