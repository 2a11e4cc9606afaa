"""What commands print while they work, and tables, in a terminal and where there is none."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from harness.text import duration

PLAIN_SECONDS = 20.0  # between two lines where there is no terminal


def say(text: str, console: Console) -> None:
    """Print ``text`` as it is: names may have brackets, and a narrower terminal wraps it."""
    console.print(text, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def working(console: Console, text: str, seconds: float = PLAIN_SECONDS) -> Iterator[None]:
    """``text`` with a spinner as long as the block lasts; without a terminal a line now and then, with the time."""
    if console.is_terminal:
        with console.status(text):
            yield
        return
    over, began = threading.Event(), time.monotonic()

    def report() -> None:
        while not over.wait(seconds):
            line = f"{text} {duration(time.monotonic() - began)}"
            say(line, console)

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def show_table(table: Table, console: Console) -> None:
    """Print ``table`` as wide as it is: a narrower terminal wraps its lines, and no digit is lost."""
    before = console.width
    wide = console.options.update(max_width=10_000)
    console.width = max(before, console.measure(table, options=wide).maximum)
    try:
        console.print(table)
    finally:
        console.width = before
