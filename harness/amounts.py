"""Amounts as people write them: ``6 × 10¹²``, ``10^13``, ``1e13 FLOPs``, ``2.5T``, ``12,000``, ``$3``, ``40%``.

The command line and the report's calculator read them by the same patterns, which hold for Python and for JavaScript:
ASCII classes, numbered groups, matched from end to end without regard to case.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from harness.bounds import BOUNDS, Bounds

AMOUNT = "amount"
"""The key of a field's metadata under which its :class:`Amount` stands."""

UNITS = {
    "flops": "FLOPs?",
    "hours": "(?:(?:GPU|core|device)[- ])?h(?:ours?)?",
    "dollars": "dollars?|USD|[$]",
    "params": "params?|parameters?",
    "tokens": "tokens?",
    "loss": "nats?(?: per token|/token)?",
    "share": "%",
    "number": "",
}
"""What may stand behind a number of each kind; another unit is refused."""

SCALES = {"k": 3, "m": 6, "b": 9, "t": 12}
"""Powers of ten by letter, in either case."""

SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_SPACES = " \t\u00a0\u2009\u202f"
_PLAIN = str.maketrans(SUPERSCRIPTS, "0123456789+-")


@dataclass(frozen=True)
class Amount:
    """What a setting holds: an amount of ``kind``, one of :data:`UNITS`, within ``bounds``."""

    kind: str
    bounds: Bounds


def amount(default: Any, kind: str, least: float, most: float, above: bool = False) -> Any:
    """A field of a dataclass that holds an amount of ``kind``; bounds as in :func:`harness.bounds.bounded`."""
    return amount_field(default, Amount(kind, Bounds(least, most, above)))


def amount_field(default: Any, held: Amount) -> Any:
    """A field of a dataclass that holds such an amount."""
    return field(default=default, metadata={BOUNDS: held.bounds, AMOUNT: held})


def pattern(kind: str) -> str:
    """The pattern of an amount of ``kind``.

    Its groups: the sign, the number, its exponent after ``e``, after ``^`` and as superscripts, of which at most one
    is there; the same of a power of ten that stands alone, without the first; the letter of a scale, the unit.
    """
    space = f"[{_SPACES}]"
    power = f"10(?:(?:\\^|\\*\\*)([+-]?[0-9]{{1,4}})|([{SUPERSCRIPTS[-2:]}]?[{SUPERSCRIPTS[:-2]}]{{1,4}}))"
    whole = f"[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]{{1,3}}(?:[{_SPACES[1:]} ][0-9]{{3}})+|[0-9]+(?:_[0-9]+)*"
    number = f"((?:{whole})(?:\\.[0-9]*)?|\\.[0-9]+)(?:e([+-]?[0-9]{{1,4}})|{space}*[×x*·]{space}*{power})?"
    before = "[$]?" if kind == "dollars" else ""
    unit = f"(?:{space}*({UNITS[kind]}))?" if UNITS[kind] else "()"
    return f"{space}*([+-]?){before}(?:{number}|{power})(?:{space}*([kMBT]))?{unit}{space}*"


def parse_amount(text: str, kind: str) -> float | None:
    """The number that ``text`` stands for; None where it is no amount of ``kind``. It may be infinite, or 0."""
    found = re.fullmatch(pattern(kind), text, re.IGNORECASE | re.ASCII)
    if found is None:
        return None
    sign, digits, *exponents, scale, unit = found.groups()
    written = next((one for one in exponents if one), "0").translate(_PLAIN)
    exponent = int(written) + SCALES.get((scale or "").lower(), 0)
    value = float(f"{sign}{re.sub(f'[,_{_SPACES}]', '', digits or '1')}e{exponent}")
    return value / 100 if unit == "%" else value
