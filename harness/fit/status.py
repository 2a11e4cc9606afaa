"""When not to believe a number: the codes that a result carries, from worst to mildest."""

from collections.abc import Iterable
from typing import NamedTuple, TypedDict

# The first group leaves an estimate without a number; the second leaves the number, marked.
VOID = (
    "no_curves",
    "too_few_points",
    "too_few_budgets",
    "negative_curvature",
    "vertex_outside_range",
    "no_optimum",
    "failed",
)
DOUBTFUL = (
    "not_converged",
    "at_bound",
    "unidentified",
    "negative_exponent",
    "extrapolation",
    "unstable",
    "wide_interval",
    "sensitive_to_outliers",
    "two_budgets",
    "at_edge",
    "mid_run",
    "not_isoflop",
    "approximate_budgets",
    "budgets_dropped",
    "approximate_cost",
    "no_floor",
    "no_interval",
)
# From worst to mildest, which decides what ``status`` is.
ORDER = (*VOID, *DOUBTFUL)
# Where the words of a code are others than the code's own.
WORDS = {"mid_run": "before cooldown"}
_RANK = {code: rank for rank, code in enumerate(ORDER)}


class Flag(NamedTuple):
    """A warning: a code for scripts and a sentence for people."""

    code: str
    note: str


class Judgement(TypedDict):
    """The three fields that every result carries."""

    status: str
    flags: tuple[str, ...]
    notes: tuple[str, ...]


def plain(code: str) -> str:
    """A code in words: ``vertex_outside_range`` → ``vertex outside range``."""
    return WORDS.get(code, code.replace("_", " "))


def judge(flags: Iterable[Flag]) -> Judgement:
    """``status`` is the worst code, or ``ok``; ``flags`` all codes, worst first; ``notes`` their texts."""
    ordered = sorted(dict.fromkeys(flags), key=lambda flag: _RANK[flag.code])
    codes = tuple(flag.code for flag in ordered)
    return Judgement(
        status=codes[0] if codes else "ok", flags=codes, notes=tuple(flag.note for flag in ordered)
    )


def is_void(flags: Iterable[Flag]) -> bool:
    """Whether any of the flags leaves no number to report."""
    return any(flag.code in VOID for flag in flags)
