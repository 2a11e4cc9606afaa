"""Tables and cells in which ``isoflop predict`` prints numbers with their intervals."""

from rich.table import Table

from harness.fit.intervals import Interval
from harness.text import count


def plain_table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for i, heading in enumerate(headings):
        table.add_column(
            heading, justify="left" if i == 0 or heading == "status" else "right", overflow="fold"
        )
    return table


def add_row(table: Table, *cells: str) -> None:
    """Intervals go below their value: a table too wide for its terminal would lose digits."""
    table.add_row(*(cell.replace(" (", "\n(") for cell in cells))


def count_cell(value: float | None, spread: Interval | None) -> str:
    if value is None:
        return "–"
    if spread is not None and spread[0] == spread[1] and spread[0] in (0.0, float("inf")):
        return f"{count(value)} (not bounded)"
    return count(value) + (f" ({_end(spread[0])}–{_end(spread[1])})" if spread else "")


def _end(value: float) -> str:
    return count(value) if value < float("inf") else "∞"


def number(value: float | None, spread: Interval | None, form: str, unit: str = "") -> str:
    if value is None:
        return "–"
    ends = "" if spread is None else f" ({spread[0]:{form}}–{spread[1]:{form}})".replace("inf", "∞")
    return f"{value:{form}}{unit}{ends}"


def ratio(value: float | None, spread: Interval | None) -> str:
    return number(value, spread, ",.0f" if value is not None and value >= 100 else ".3g")


def hours_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def step(seconds: float) -> str:
    return f"{seconds:,.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def dollars_text(value: float) -> str:
    return f"${value:,.0f}" if value >= 100 else f"${value:.2g}"


def percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def percents(spread: Interval | None) -> Interval | None:
    return None if spread is None else (100 * spread[0], 100 * spread[1])


def plain_status(status: str) -> str:
    return "ok" if status in ("ok", "no_interval") else status
