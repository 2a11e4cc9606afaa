"""Intervals that decide nothing: exponents that may be anything, a floor that may be none."""

from collections.abc import Mapping
from typing import Any

from harness.fit.bootstrap import Interval, bounds_text
from harness.fit.status import Flag

WIDEST = 0.3
"""Of an interval of a or b: N* a decade of compute further is then known to a factor of two."""

ROUNDING = 1e-9
"""Of an exponent that the form fixes, whose interval is a point."""

SHARE_OF_FLOOR = 0.2
"""Of E, which the low end of its interval must reach: below it these runs do not show an irreducible loss."""


def useless_intervals(fields: Mapping[str, Any]) -> list[Flag]:
    """The warnings of an approach whose exponents or whose E its draws leave open.

    ``wide_interval``: the interval of a or b is wider than .3, or holds 0 or 1 (N* or D* may not grow at all).
    ``unidentified``: that of E begins below a fifth of E. ``unstable``: a or b lies outside its own interval.

    Args:
        fields: of the approach, by name: ``a``, ``a_interval``, and likewise b and E; what is missing is not judged.
    """
    flags = []
    for name, quantity in (("a", "N*"), ("b", "D*")):
        value, interval = fields.get(name), fields.get(f"{name}_interval")
        if value is None or interval is None:
            continue
        low, high = interval
        if not low - ROUNDING <= value <= high + ROUNDING:
            said = f"{name} = {value:.3f} lies outside its own interval ({low:.3f}, {high:.3f})"
            note = f"{said}: the draws lean to one side"
            flags.append(Flag("unstable", note))
        if low <= 0 or high >= 1 or high - low > WIDEST:
            flags.append(
                Flag(
                    "wide_interval",
                    f"{name} = {_written(value, interval, '.3f')}: {_known(quantity, interval)}",
                )
            )
    floor, interval = fields.get("E"), fields.get("E_interval")
    if floor is not None and interval is not None and interval[0] < SHARE_OF_FLOOR * floor:
        note = f"E = {_written(floor, interval, '.3f')}: these runs do not determine the irreducible loss"
        flags.append(Flag("unidentified", note))
    return flags


def _written(value: float, interval: Interval, form: str) -> str:
    return f"{value:{form}} ({bounds_text(interval, lambda end: format(end, form), ', ')})"


def _known(quantity: str, interval: Interval) -> str:
    low, high = interval
    if low <= 0:
        return f"{quantity} may not grow with compute at all"
    if high >= 1:
        return f"{quantity} may take all of the compute's growth"
    return f"{quantity} a decade of compute further is known to a factor of {10 ** (high - low):.2g}"
