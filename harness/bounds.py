"""The numbers and texts that a setting can have: declared beside its default, checked where a config is composed."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from harness.errors import UserError

LARGEST_SEED = 2**63 - 1  # torch and JSON readers of other languages take no larger ones

MOST_CELLS = 100_000  # of a plan: it is made, kept and shown whole

BOUNDS = "bounds"
"""The key of a field's metadata under which its :class:`Bounds` stand."""

CHOICES, SUGGESTIONS = "choices", "suggestions"
"""The same for the texts that a field can have, and for those that are only the best known."""


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
        if isinstance(value, float) and not math.isfinite(value) and not value == self.most == math.inf:
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
    if isinstance(default, list | dict):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


def one_of(default: str, choices: Iterable[str]) -> Any:
    """A field of a dataclass with this default, whose text is one of ``choices``."""
    return field(default=default, metadata={CHOICES: tuple(choices)})


def suggested(default: str | None, choices: Iterable[str]) -> Any:
    """A field of a dataclass with this default: any text, and ``choices`` are those to begin with."""
    return field(default=default, metadata={SUGGESTIONS: tuple(choices)})


def check_bounds(settings: Any, section: str = "") -> None:
    """Refuse numbers of a dataclass that are outside of their bounds, and texts that are none of their choices.

    Args:
        section: where its keys stand, for the message.

    Raises:
        UserError: one of them is.
    """
    for one in fields(settings):
        choices = one.metadata.get(CHOICES)
        if choices is not None and getattr(settings, one.name) not in choices:
            given = getattr(settings, one.name)
            raise UserError(
                f"{section}.{one.name}: '{given}' is none of {', '.join(choices)}".removeprefix(".")
            )
        if BOUNDS not in one.metadata:
            continue
        value = getattr(settings, one.name)
        several = (
            value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
        )
        for number in several:
            if number is not None and (refusal := one.metadata[BOUNDS].refusal(number)):
                raise UserError(f"{section}.{one.name}: {refusal}".removeprefix("."))


def check_cells(section: str, **several: int) -> None:
    """Refuse a grid of more than :data:`MOST_CELLS` runs, before any of them is planned.

    Args:
        several: how many there are of each thing that is combined with the others.

    Raises:
        UserError: their product is larger.
    """
    cells = math.prod(several.values())
    if cells > MOST_CELLS:
        made = " x ".join(f"{number:,} {name}" for name, number in several.items())
        raise UserError(f"{section}: {made} are {cells:,} cells, and {MOST_CELLS:,} at most can be planned")


def plain(value: float) -> str:
    """``1000000`` → ``1,000,000``; what is longer in its shortest form."""
    return f"{int(value):,}" if abs(value) < 1e7 and value == int(value) else short(value)


def short(value: float) -> str:
    """``value`` to six digits, whatever its size."""
    try:
        return f"{value:g}"
    except OverflowError:
        return f"a number of {len(str(value)) if value < 10**4000 else 'thousands of'} digits"
