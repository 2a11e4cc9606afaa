"""When not to believe a number: every code that a result can carry, what it means and what to do about it.

``docs/statuses.md`` is this table for people; a test holds the two together.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypedDict


class Status(NamedTuple):
    """One code: what it says about an estimate, and what its user can do."""

    code: str
    meaning: str
    remedy: str


# From worst to mildest, which decides what ``status`` is. These leave an estimate without a number.
VOIDING = (
    Status("no_curves", "approach 1 reads training curves and there are none", "keep each run's curve.csv"),
    Status(
        "too_few_points",
        "fewer runs, sizes or horizons than the fit has parameters to spare",
        "train more cells; of checkpoints, analysis.rows=all",
    ),
    Status(
        "too_few_budgets",
        "fewer than two budgets have a minimum",
        "widen the sizes of the other budgets, or add budgets",
    ),
    Status(
        "constant_loss",
        "the losses do not differ beyond rounding",
        "check the loss column: a constant one holds no answer",
    ),
    Status(
        "negative_curvature",
        "the profile opens downward: it has no minimum",
        "look for diverged or unfinished runs at this budget; add sizes",
    ),
    Status(
        "vertex_outside_range",
        "the profile's minimum lies outside the sizes that were run",
        "extend the budget's sizes to the side that the note names",
    ),
    Status(
        "no_optimum", "loss does not fall with both N and D, or no finite optimum exists", "widen the grid"
    ),
    Status("failed", "the fit could not be computed", "the note says why"),
)
# These leave the number, marked.
DOUBTING = (
    Status(
        "not_converged", "the optimizer stopped before a minimum", "report it with the table: this is a fault"
    ),
    Status(
        "misfit",
        "the residuals have structure that noise does not give, or are too large: the form does not describe "
        "these runs, so no interval is to be trusted",
        "fit the data sets, recipes or regimes that the note names apart; compare forms with analysis.compare=true",
    ),
    Status(
        "at_bound",
        "a term of the law has gone to zero, in the fit or in many of its draws",
        "a wider range of N, D and C shows the term, or approach 2 is the answer",
    ),
    Status(
        "unidentified",
        "the runs do not determine the parameter that the note names",
        "vary N and D apart from each other; with checkpoints, analysis.rows=all",
    ),
    Status(
        "repeated_data",
        "runs repeat their data so often that their tokens are worth less than new ones",
        "leave those runs out, or give them more data; predict unique_tokens= has the data-constrained law",
    ),
    Status("negative_exponent", "N* or D* falls as compute grows", "widen the range of C; look for bad runs"),
    Status(
        "forecast_missed",
        "fitted on the lower budgets alone, this approach would have missed the higher ones beyond its intervals",
        "do not extrapolate; see the backtest for which quantity drifts",
    ),
    Status(
        "biased",
        "the polynomial's bias is large beside its interval, and the law that would correct it does not fit",
        "narrower profiles, centred on the minimum; analysis.degree=3",
    ),
    Status(
        "not_isoflop", "runs of one budget differ in compute along N: no IsoFLOP profile", "use approach 3"
    ),
    Status(
        "shared_noise",
        "the losses of a budget are off together: L* is known less well than single runs suggest",
        "train the budgets on the same data order and day, or with further seeds",
    ),
    Status(
        "extrapolation",
        "C, N, D or D/N lies further beyond the runs than forecasts were measured to hold",
        "train a budget nearer to it, and validate",
    ),
    Status(
        "unstable",
        "many bootstrap draws have no minimum within the sizes, or no finite optimum",
        "add sizes on the flat side, or seeds",
    ),
    Status("wide_interval", "the interval is too wide to decide by", "more runs, or a wider range of C"),
    Status(
        "sensitive_to_outliers",
        "a few runs far off the fit move the answer beyond its interval",
        "look at the runs that the note names; analysis.exclude_highest, analysis.max_loss",
    ),
    Status(
        "lack_of_fit",
        "cells differ from the law by more than their seeds differ from each other",
        "intervals count it in; see the residuals for a cell or a shape that stands out",
    ),
    Status("two_budgets", "the power law passes through two minima: nothing checks it", "add a budget"),
    Status(
        "at_edge",
        "the optimum lies at the edge of the sizes that were run, or beyond them: it rests on the form alone",
        "extend the sizes",
    ),
    Status(
        "mid_run",
        "the envelope touches its runs before their cooldown, so its losses are too high",
        "take N* and D* from approaches 2 and 3",
    ),
    Status(
        "approximate_budgets",
        "the table names no budgets and its compute falls into no groups",
        "add a column budget, or use approach 3",
    ),
    Status("budgets_dropped", "a budget has no minimum and takes no part", "widen its sizes"),
    Status("approximate_cost", "compute is no power law of N times D", "read N* and D* to that precision"),
    Status(
        "no_floor",
        "the loss law has no floor, which real losses have: beyond the runs it says too low a loss",
        "more budgets, or the loss of approach 3",
    ),
    Status("no_interval", "there are no draws, or too few usable ones", "analysis.draws=1000"),
)
STATUSES = (*VOIDING, *DOUBTING)
VOID = tuple(status.code for status in VOIDING)
DOUBTFUL = tuple(status.code for status in DOUBTING)
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
