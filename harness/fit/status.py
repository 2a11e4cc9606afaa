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


# From worst to mildest within each table and from table to table, which decides what ``status`` is.
# These leave an estimate without a number.
VOIDING = (
    Status(
        "no_curves",
        "approach 1 reads training curves, and this table of runs comes without them",
        "fit a sweep's folder, which keeps every run's curve.csv; approaches 2 and 3 need no curves",
    ),
    Status(
        "too_few_points",
        "there are hardly more runs, sizes or training lengths than the fit has parameters",
        "train more runs, at further sizes and lengths; where the table holds checkpoints along each run, "
        "analysis.rows=all fits them too",
    ),
    Status(
        "too_few_budgets",
        "fewer than two compute budgets have a minimum of the loss, and a power law needs two",
        "train more sizes at the budgets without a minimum, on the side that their notes name, or add budgets",
    ),
    Status(
        "constant_loss",
        "the losses are all the same up to rounding, so no size is better than another",
        "check that the loss column is the right one and is not rounded",
    ),
    Status(
        "negative_curvature",
        "the curve through one budget's losses opens downward: it has a maximum and no minimum",
        "look for diverged or unfinished runs at this budget, and train more sizes there",
    ),
    Status(
        "vertex_outside_range",
        "the lowest loss of a budget lies beyond the smallest or largest size that was run",
        "train further sizes at this budget, on the side that the note names",
    ),
    Status(
        "no_optimum",
        "in the fitted law the loss does not fall with both more parameters and more tokens, so no size is best",
        "check the table for bad runs; then vary N and D over a wider range",
    ),
    Status(
        "too_few",
        "of a benchmark: fewer than five sizes and training lengths, or fewer than two budgets, have its accuracy",
        "score more runs of the sweep on it",
    ),
    Status(
        "at_chance",
        "of a benchmark: at the largest budget the accuracy is no higher than guessing gives, by more than the number "
        "of its questions leaves to chance",
        "train larger budgets, or choose an easier benchmark or one of more questions; its task loss may move already",
    ),
    Status(
        "flat",
        "of a benchmark: the accuracy does not rise as the task loss falls, by more than runs scatter",
        "train over a wider range of compute, or more seeds; or choose another benchmark",
    ),
    Status("failed", "the fit could not be computed", "the note says why"),
)
# These leave the number, but nobody should decide by it.
SERIOUS = (
    Status(
        "not_converged",
        "the optimizer stopped before it reached a minimum",
        "report it together with the table of runs: this is a fault of the program",
    ),
    Status(
        "mixed_recipes",
        "runs of one N and D differ in hyperparameters, and so in their losses: their mean is the loss of no recipe",
        "analysis.cells=best fits the best recipe of each N and D, analysis.cells=surface the minimum of a response "
        "surface over those columns",
    ),
    Status(
        "misfit",
        "the runs differ from the fit by more than noise, or in a pattern: the form does not describe them, so no "
        "interval can be trusted",
        "leave out or repeat the runs that the note names where they diverged or stopped early; fit the groups that it "
        "names (data sets, recipes, regimes) separately; analysis.compare=true tries other forms of the law",
    ),
    Status(
        "unidentified",
        "the runs do not determine the parameter that the note names: very different values fit them as well",
        "vary N and D independently of each other and over a wider range; where the table holds checkpoints along "
        "each run, analysis.rows=all fits them too",
    ),
    Status(
        "repeated_data",
        "some runs saw their data so often that a repeated token was worth less than a new one",
        "leave those runs out or train them on more data; `isoflop predict unique_tokens=…` reckons with limited data",
    ),
    Status(
        "negative_exponent",
        "by this fit the best size, or its number of tokens, shrinks as compute grows",
        "look for bad runs; then widen the range of compute",
    ),
    Status(
        "forecast_missed",
        "fitted to the lower budgets alone, this approach forecasts the higher ones wrongly, by more than its "
        "intervals and chance allow",
        "do not extrapolate with it; the backtest says which of N*, D* and L* it missed and where: look for a change "
        "of recipe or data between those budgets",
    ),
    Status(
        "constraint_rejected",
        "parameters of the law were fixed or tied, and the law without that fits the runs better than chance allows",
        "leave out analysis.fix and analysis.tie, or choose another form; compare=true tries them",
    ),
    Status(
        "not_shared",
        "groups that were fitted with common exponents do not have them: the law fits none of these groups",
        "fit each group with exponents of its own, without joint=exponents",
    ),
    Status(
        "biased",
        "the polynomial's systematic error is large beside its interval, and the law that would correct it does not "
        "fit",
        "train sizes closer to the minimum and on both sides of it; or fit cubics with analysis.degree=3",
    ),
    Status(
        "not_isoflop",
        "the runs that the table calls one budget differ in compute, and along with N: their lowest loss is not the "
        "best size of one budget",
        "use approach 3, or correct the table's budget and flops columns",
    ),
    Status(
        "extrapolation",
        "C, N, D or D/N, or of a benchmark its task loss, lies further from the runs than forecasts are known to hold",
        "train a budget nearer to it and fit again; `isoflop validate` tests a forecast by training it",
    ),
)
# These leave the number usable, with the caution that they name.
MILD = (
    Status(
        "at_bound",
        "a term of the law has gone to zero, or a parameter to another of its bounds, in the fit or in many of its "
        "bootstrap draws: the runs do not show it",
        "widen the range of N, D and C, or rely on approach 2",
    ),
    Status(
        "shared_noise",
        "all losses of a budget are too high or too low together, so L* is known less well than its runs suggest",
        "train all budgets on the same data in the same order, or each with several seeds",
    ),
    Status(
        "unstable",
        "many bootstrap draws have no minimum within the sizes that were run, or no finite optimum",
        "train more sizes on the side where the profile is flat, or more seeds",
    ),
    Status(
        "untested_constraint",
        "parameters of the law were fixed or tied, and there are too few runs to test that: intervals take it for true",
        "train more runs, or compare the answer with that of other values",
    ),
    Status(
        "wide_interval",
        "the interval is too wide to decide by",
        "train more runs, or widen the range of compute",
    ),
    Status(
        "sensitive_to_outliers",
        "leaving out the few runs that the note names moves the answer beyond its interval",
        "look at those runs; analysis.exclude_highest and analysis.max_loss leave out the highest losses",
    ),
    Status(
        "two_budgets",
        "there are only two budgets: the power law passes through both minima and nothing checks it",
        "add a budget",
    ),
    Status(
        "at_edge",
        "the best size lies at the edge of the sizes that were run, or beyond them: it rests on the form of the fit, "
        "and not on runs around it",
        "train further sizes on that side",
    ),
    Status(
        "recipe_at_edge",
        "the best value of a hyperparameter is the least or the largest that was tried at most N and D: another would "
        "give lower losses",
        "train further values of it on that side",
    ),
    Status(
        "recipe_moves_optimum",
        "a better recipe gains more at one size than at another, and would move the optimum of a budget out of its "
        "interval",
        "tune the hyperparameter that the note names at several sizes, and train the sweep with that recipe",
    ),
    Status(
        "lack_of_fit",
        "runs of one size and length differ from the law by more than their seeds differ from each other",
        "the intervals allow for it; look at the residuals for a size or a budget that stands out",
    ),
    Status(
        "mid_run",
        "approach 1 took its points from the middle of runs, before their learning rate had come down, where losses "
        "are too high",
        "rely on approaches 2 and 3",
    ),
    Status(
        "approximate_budgets",
        "the table names no budgets and its runs do not fall into groups of equal compute; ranges of compute were used",
        "add a column named budget, or rely on approach 3",
    ),
    Status(
        "budgets_dropped",
        "some compute takes no part in the power laws: a budget has no minimum, or no training curve reaches there",
        "train more sizes at that budget",
    ),
    Status(
        "approximate_cost",
        "compute is not exactly a power law of N times D, which the law's optimum assumes",
        "read N* and D* as no more precise than the note says",
    ),
    Status(
        "no_floor",
        "the fitted loss law falls towards zero, which real losses do not: beyond the runs its losses are too low",
        "add budgets, or take the loss from approach 3",
    ),
    Status(
        "no_interval",
        "there are no bootstrap draws, or too few that can be used, for an interval",
        "ask for draws, analysis.draws=1000; with few sizes a budget, train more",
    ),
)
# Whether the approaches agree; ``agree`` and ``ok`` are the only ones that warn of nothing.
AGREEMENTS = (
    Status("agree", "the approaches' intervals overlap and their values are close", "nothing"),
    Status(
        "unclear",
        "the intervals overlap only because they are wide; the values are far apart",
        "train more runs: whether the approaches agree cannot be told from these",
    ),
    Status(
        "disagree",
        "two approaches give answers whose intervals do not overlap, so at least one of them is wrong",
        "look at the residuals and the backtest for the one that misses; do not decide by either before that",
    ),
    Status("unknown", "fewer than two approaches have a number", "see the status of each approach"),
)
# What a row of the backtest can be.
FORECASTS = (
    Status("held", "forecast and measurement agree within the interval of their difference", "nothing"),
    Status(
        "missed",
        "the interval of the difference leaves out zero for at least one quantity",
        "expected of one quantity in ten at 90% intervals; only misses beyond chance give forecast_missed",
    ),
    Status(
        "no_forecast",
        "the lower budgets give no number, or no interval, to compare",
        "needs at least eight runs below the cutoff, and bootstrap draws",
    ),
)
DOUBTING = (*SERIOUS, *MILD)
STATUSES = (*VOIDING, *DOUBTING)
VOID = tuple(status.code for status in VOIDING)
DOUBTFUL = tuple(status.code for status in DOUBTING)
ORDER = (*VOID, *DOUBTFUL)
EXPLAINED = {status.code: status for status in (*STATUSES, *AGREEMENTS, *FORECASTS)}
_BAD = frozenset((*VOID, *(status.code for status in SERIOUS), "disagree"))
# Mild, for the number can be used, but the draws behind its interval are those that have an answer.
_UNTRUSTED = frozenset(("at_bound", "unstable"))
_GOOD = frozenset(("ok", "agree", "held"))
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


def is_serious(code: str) -> bool:
    """Whether nobody should decide by an estimate that carries this code; others but ``ok`` call for caution."""
    return code in _BAD


def is_untrusted(code: str) -> bool:
    """Whether the interval of an estimate is not to be trusted: a serious code, or draws at a bound or lost."""
    return code in _BAD or code in _UNTRUSTED


def doubt(codes: Iterable[str]) -> int:
    """2 where nobody should decide by an estimate with these codes, 1 where its interval is untrusted, else 0."""
    return max((is_serious(code) + is_untrusted(code) for code in codes), default=0)


def is_good(code: str) -> bool:
    """Whether the code warns of nothing."""
    return code in _GOOD


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
