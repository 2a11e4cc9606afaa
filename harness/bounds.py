"""Which numbers a setting can have: declared beside its default, checked where a configuration is composed."""

import math
from dataclasses import dataclass, field
from typing import Any

BOUNDS = "bounds"
"""The key of a field's metadata under which its :class:`Bounds` stand."""


@dataclass(frozen=True)
class Bounds:
    """The numbers from ``least`` to ``most``.

    Attributes:
        most: infinite where infinity itself has a meaning, such as no limit.
        above: ``least`` itself is not among them.
    """

    least: float
    most: float
    above: bool = False

    def refusal(self, value: float) -> str | None:
        """What is wrong with ``value``; None where nothing is."""
        if math.isnan(value) or (math.isinf(value) and not (value > 0 and math.isinf(self.most))):
            return f"must be a finite number, got {value:g}"
        if value > self.most:
            return f"must be at most {plain(self.most)}, got {plain(value)}"
        if value > self.least or (value == self.least and not self.above):
            return None
        if self.least == 0:
            return f"must {'be positive' if self.above else 'not be negative'}, got {plain(value)}"
        return f"must be {'above' if self.above else 'at least'} {plain(self.least)}, got {plain(value)}"


def bounded(default: Any, least: float, most: float, above: bool = False) -> Any:
    """A field of a dataclass with this default, whose numbers, those in a list or mapping too, have :class:`Bounds`."""
    metadata = {BOUNDS: Bounds(least, most, above)}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def plain(value: float) -> str:
    """``1000000`` → ``1,000,000``; what is longer in its shortest form."""
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}" if abs(value) < 1e7 else short(value)
    return f"{value:g}"


def short(value: float) -> str:
    """``value`` to six digits, whatever its size."""
    try:
        return f"{value:g}"
    except OverflowError:
        return f"a number of {len(str(value)) if value < 10**4000 else 'thousands of'} digits"
