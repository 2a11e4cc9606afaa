"""Numbers as people and programs write them: ``1.3e9``, ``1,300,000,000``, ``1 300 000 000``, ``1,3e9``, ``1.3B``.

Whether a comma stands before decimals or between thousands is decided by what a column has that can be only one of
them; where it has nothing of the kind, by the table's other columns; where these have nothing either, the user says.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BLANK = frozenset({"", "nan", "na", "n/a", "#n/a", "none", "null", "-", "--", "diverged", "failed"})
"""Words of a cell without a number, in small letters."""

SUFFIXES = {
    **dict.fromkeys(("k", "thousand"), 1e3),
    **dict.fromkeys(("m", "mn", "mio", "million", "millions"), 1e6),
    **dict.fromkeys(("b", "bn", "g", "billion", "billions"), 1e9),
    **dict.fromkeys(("t", "tn", "trillion", "trillions"), 1e12),
}
POINT, COMMA = "point", "comma"
SAMPLE = 10_000

_SPACE = " '\u2019\u00a0\u2009\u202f"
_GROUPED = re.compile(rf"\d{{1,3}}(?:[{_SPACE}]\d{{3}})+(?=$|[.,])")
_TIMES = re.compile(r"\s*[x×·*]\s*10\s*(?:\^|\*\*)?\s*([+-]?\d+)(?=\s|$)")
_WHOLE = re.compile(
    rf"(?P<sign>[+-]?)(?P<body>\d[\d.,{_SPACE}]*|[.,]\d+)(?P<power>[eE][+-]?\d+)?\s*(?P<suffix>[a-zA-Z]*)"
)
# What the digits, commas and points of a number are; the first that fits.
_KINDS = (
    ("whole", re.compile(r"\d+")),
    ("comma groups", re.compile(r"\d{1,3}(,\d{3})+\.\d*|\d{1,3}(,\d{3}){2,}")),
    ("point groups", re.compile(r"\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,}")),
    ("comma?", re.compile(r"[1-9]\d{0,2},\d{3}")),
    ("point?", re.compile(r"[1-9]\d{0,2}\.\d{3}")),
    ("comma", re.compile(r"\d*,\d+")),
    ("point", re.compile(r"\d+\.\d*|\.\d+")),
)


@dataclass(frozen=True)
class Evidence:
    """What a column's numbers show of their decimal sign: an example of each; "" where there is none.

    Attributes:
        point, comma: of a number that can be read with this decimal sign only.
        doubtful_comma: of one like ``1,234``, which is 1234 or 1.234.
        doubtful_point: of one like ``1.234``, which is 1.234 unless the table writes decimal commas.
    """

    point: str = ""
    comma: str = ""
    doubtful_comma: str = ""
    doubtful_point: str = ""


def evidence(words: Sequence[str]) -> Evidence:
    """What the numbers among ``words`` show of their decimal sign; once it is known, a sample is looked at."""
    found = {"point": "", "comma": "", "comma?": "", "point?": ""}
    telling = [word for word in words if "," in word or word.count(".") > 1]
    telling += [word for word in words[:SAMPLE] if "." in word and "," not in word]
    for seen, word in enumerate(telling):
        if (found["point"] or found["comma"]) and seen > SAMPLE:
            break
        if (apart := _taken_apart(word)) is None:
            continue
        kind = apart.kind
        if kind in ("comma?", "point?") and apart.power:
            kind = kind[:-1]  # nobody groups the thousands of a mantissa
        kind = {"comma groups": "point", "point groups": "comma"}.get(kind, kind)
        if kind in found and not found[kind]:
            found[kind] = word
    return Evidence(found["point"], found["comma"], found["comma?"], found["point?"])


def decimal_sign(own: Evidence, others: Iterable[Evidence]) -> str | None:
    """``point`` or ``comma``, for a column's numbers; None where nothing settles it, or where it contradicts itself."""
    if own.point or own.comma:
        return None if own.point and own.comma else POINT if own.point else COMMA
    if not own.doubtful_comma and not own.doubtful_point:
        return POINT
    others = list(others)
    point, comma = any(other.point for other in others), any(other.comma for other in others)
    if own.doubtful_comma and own.doubtful_point:
        return None  # 1,234 beside 1.234: one of them has decimals
    if own.doubtful_comma:
        return None if point == comma else POINT if point else COMMA
    return COMMA if comma and not point else POINT


def number(word: str, decimal: str = POINT, suffixes: bool = False) -> float | None:
    """The number that ``word`` is, NaN for a blank; None for no number.

    >>> number("1,234,567"), number("23.26M", suffixes=True), number("1.234,5", "comma"), number("6 x 10^18")
    (1234567.0, 23260000.0, 1234.5, 6e+18)

    Args:
        decimal: ``point`` or ``comma``: the sign before decimals.
        suffixes: whether ``k``, ``M``, ``B`` and ``T`` are thousands, millions, billions and trillions.
    """
    if word.lower() in BLANK:
        return math.nan
    if decimal == POINT or "." not in word:
        try:
            return float(word)
        except ValueError:
            pass
    apart = _taken_apart(word)
    if apart is None or (apart.suffix and not suffixes):
        return None
    body = apart.body
    if decimal == COMMA:
        if apart.kind in ("point", "comma groups"):
            return None
        body = body.replace(".", "").replace(",", ".")
    else:
        if apart.kind in ("comma", "point groups"):
            return None
        body = body.replace(",", "")
    return float(apart.sign + body + apart.power) * SUFFIXES.get(apart.suffix, 1.0)


@dataclass(frozen=True)
class _Number:
    """A number's parts; ``kind`` is one of ``_KINDS``."""

    sign: str
    body: str
    power: str
    suffix: str
    kind: str


def _taken_apart(word: str) -> _Number | None:
    if len(word) > 60 or not any(one.isdigit() for one in word):
        return None
    match = _WHOLE.fullmatch(_TIMES.sub(r"e\1", word))
    if match is None:
        return None
    suffix = match["suffix"].lower()
    body = match["body"].strip(_SPACE)
    if any(one in body for one in _SPACE):
        if not _GROUPED.match(body):
            return None
        body = re.sub(rf"[{_SPACE}]", "", body)
        if any(one in body for one in ",."):
            # after grouped thousands there are decimals only, however many
            kind = "comma" if "," in body else "point"
            fits = re.fullmatch(r"\d+[.,]\d*", body)
            return _Number(match["sign"], body, match["power"] or "", suffix, kind) if fits else None
    if suffix and suffix not in SUFFIXES:
        return None
    for kind, pattern in _KINDS:
        if pattern.fullmatch(body):
            return _Number(match["sign"], body, match["power"] or "", suffix, kind)
    return None
