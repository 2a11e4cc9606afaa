"""Numbers as the page, the tables and the figures write them: as many digits as they carry, no more."""

import math
import re

from harness.fit.bootstrap import NOT_BOUNDED, Interval, bounds_text
from harness.fit.status import plain
from harness.text import count

NOTHING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(value: float | None, digits: int = 2) -> str:
    """``6.31e12`` → ``6.3 × 10¹²``; ``1e12`` → ``10¹²``; numbers below ten thousand as they are."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.{digits + 1}g}"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    raised = "10" + str(int(exponent)).translate(_SUPERSCRIPT)
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return raised if mantissa == "1" else f"{mantissa} × {raised}"


def significant(value: float | None, digits: int = 3) -> str:
    """``digits`` significant figures, zeros kept: ``42.4``, ``1.0``, ``5210``; then as ``power``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    rounded = float(f"{value:.{digits - 1}e}")
    if rounded == 0 or 1e-3 <= abs(rounded) < 1e4:
        whole = 1 if rounded == 0 else math.floor(math.log10(abs(rounded))) + 1
        return f"{rounded:.{max(0, digits - whole)}f}"
    return power(value, digits)


def typeset(text: str) -> str:
    """A sentence of the fit in the page's typography: ``6e+12`` → ``6 × 10¹²``, ``1.20 x the`` → ``1.20× the``.

    What a user types, such as ``budget=1e13``, stays as it is.
    """
    text = re.sub(
        r"(?<![\w=.,\[-])\d+(?:\.\d+)?e[+-]?\d+(?![\w.])", lambda found: power(float(found[0]), 3), text
    )
    text = re.sub(r"(?<=\d) x (?=the\b)", "× ", text)
    return re.sub(r"\bapproach_(?=\d)", "approach ", text)


def fixed(value: float | None, digits: int) -> str:
    """``digits`` decimals, or a dash where there is no number."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def counted(value: float | None) -> str:
    """``1.23M``, or a dash."""
    return NOTHING if value is None or not math.isfinite(value) else count(value)


def ratio(value: float | None) -> str:
    """Tokens per parameter: two or three digits."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.0f}" if 9.95 <= value < 9999 else significant(value, 2) if value < 9.95 else count(value)


def interval(bounds: Interval | None, style: str = "count", digits: int = 3) -> str:
    """``1.1M to 1.4M``; ``style`` is ``count``, ``ratio`` or ``fixed``; empty where there is none.

    An end beyond all numbers is ``not bounded``; so is an interval with both ends there, or a count with both at zero.
    """
    if bounds is None:
        return ""
    if style == "fixed":
        return bounds_text(bounds, lambda end: fixed(end, digits))
    if bounds == (0.0, 0.0):
        return NOT_BOUNDED
    return bounds_text(bounds, ratio if style == "ratio" else counted)


def with_interval(value: str, bounds: str) -> str:
    """``1.2M (1.1M to 1.4M)``."""
    return f"{value} ({bounds})" if bounds else value


def times(value: float) -> str:
    """``2.37`` → ``2.4×``, ``12.3`` → ``12×``, ``5.6e4`` → ``5.6 × 10⁴ times``."""
    text = f"{value:.2g}" if value < 99.5 else power(value)
    return f"{text} times" if value >= 1e4 else f"{text}×"


def dollars(value: float) -> str:
    """``$1,234``, ``$0.41``; below half a cent it says so."""
    return f"${value:,.0f}" if value >= 99.5 else f"${value:.2f}" if value >= 0.005 else "under 1 cent"


def approach_label(name: str) -> str:
    """``approach_2`` → ``Approach 2``."""
    return name.replace("_", " ").capitalize()


def plain_status(code: str) -> str:
    """``vertex_outside_range`` → ``vertex outside range``, ``mid_run`` → ``before cooldown``."""
    return plain(code)
