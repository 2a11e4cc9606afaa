"""Intervals that decide nothing: exponents that may be anything, a floor that may be none."""

from collections.abc import Mapping
from typing import Any

from harness.fit.status import Flag

WIDEST = 0.3
"""Of an interval of a or b: N* a decade of compute further is then known to a factor of two."""

SHARE_OF_FLOOR = 0.2
"""Of E, which the low end of its interval must reach: below it these runs do not show an irreducible loss."""


def useless_intervals(fields: Mapping[str, Any]) -> list[Flag]:
    """The warnings of an approach whose exponents or whose E its draws leave open.

    ``wide_interval``: the interval of a or b is wider than .3, or holds 0 or 1 (N* or D* may not grow at all).
    ``unidentified``: that of E begins below a fifth of E.

    Args:
        fields: of the approach, by name: ``a``, ``a_interval``, and likewise b and E; what is missing is not judged.
    """
    flags = []
    for name, quantity in (("a", "N*"), ("b", "D*")):
        value, interval = fields.get(name), fields.get(f"{name}_interval")
        if value is None or interval is None:
            continue
        low, high = interval
        if low <= 0 or high >= 1 or high - low > WIDEST:
            known = f"{quantity} a decade of compute further is known to a factor of {10 ** min(high - low, 99):.2g}"
            flags.append(Flag("wide_interval", f"{name} = {value:.3f} ({low:.3f}, {high:.3f}): {known}"))
    floor, interval = fields.get("E"), fields.get("E_interval")
    if floor is not None and interval is not None and interval[0] < SHARE_OF_FLOOR * floor:
        held = f"E = {floor:.3g} ({interval[0]:.3g}, {interval[1]:.3g})"
        note = f"{held}: these runs do not determine the irreducible loss"
        flags.append(Flag("unidentified", note))
    return flags
