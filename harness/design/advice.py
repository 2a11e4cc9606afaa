"""What to train next, and what it will probably give: from finished runs, candidates and a question."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.design.candidates import NEAR, Candidates
from harness.design.choose import Belief, Choice, Offer, choose, conditioned
from harness.design.possible_laws import PossibleLaws
from harness.fit.budgets import cells_of, count_cells
from harness.fit.table import Array, Points

NEAR_SHARE = 1 / 3
MISFIT_SHARE = 2 / 3
"""Of the spend near the optimum where the law does not describe the runs: there it rests on no form."""

FORCED = 0.5  # of the spend, at most, that may go to columns whose minimum lies outside
PROFILE = 3  # sizes of a column that is meant to show a minimum
COLLINEAR = 0.98
HARDLY = 0.9
"""An interval that three times the spend would narrow to no less than this is not worth more runs of this kind."""

SHARES = (0.25, 0.5, 1.0, 3.0)
"""Of the spend, for which the interval afterwards is forecast."""


@dataclass(frozen=True)
class Question:
    """What is asked for, and what it may cost.

    Attributes:
        aim: ``params`` (N*), ``loss`` (L*), both at C = ``flops``, or ``exponent`` (a).
        spend: in the unit of the candidates' cost; ``round_spend`` is what of it the next round may take.
        spent, spent_near: what was spent before, in all and near the optimum.
        most_seeds: of one N and D.
    """

    aim: str
    flops: float
    spend: float
    round_spend: float
    spent: float = 0.0
    spent_near: float = 0.0
    most_seeds: int = 3


@dataclass(frozen=True)
class Pick:
    """A run to train.

    Attributes:
        candidate: its index among the candidates.
        seed: how many runs of this N and D come before it.
        ratio: its N over N* at its budget.
        shrink: the aim's standard deviation after it over before it, expected.
        reason: why, in words.
    """

    candidate: int
    seed: int
    ratio: float
    shrink: float
    reason: str


@dataclass(frozen=True)
class Forecast:
    """``share`` of the spend makes the interval ``factor`` times as wide, expected."""

    share: float
    factor: float


@dataclass(frozen=True)
class Advice:
    """The next runs, in the order of their worth.

    Attributes:
        deviation: standard deviation of the aim now, over the laws that are possible: of ln N*, ln L* or a.
        forecasts: of several shares of the whole spend.
        near_share: of the spend that has to lie near the optimum.
        notes: what else is to be known.
    """

    picks: tuple[Pick, ...]
    deviation: float
    forecasts: tuple[Forecast, ...]
    near_share: float
    notes: tuple[str, ...] = ()

    @property
    def factor(self) -> float:
        """How wide the interval will be after the picks, over now."""
        return float(np.prod([pick.shrink for pick in self.picks])) if self.picks else 1.0


def advise(points: Points, laws: PossibleLaws, candidates: Candidates, question: Question) -> Advice:
    """The candidates that narrow the aim the most for what they cost.

    Expected shrinking is that of a Gaussian belief with the moments of the laws' draws (Bayesian linear design:
    Chaloner & Verdinelli 1995, "Bayesian experimental design: a review", Statistical Science 10, section 2; for one
    aim that is c-optimality), one run after the other.

    Args:
        points: finished runs, as the fit counts them.
        laws: what they leave possible.
    """
    best = laws.log_params(candidates.flops)
    away = np.log(candidates.params) - best
    near = _is_near(away)
    misfit = bool(laws.check.misfit)
    share = MISFIT_SHARE if misfit else NEAR_SHARE
    there = candidates.runs_of(points)
    left = np.maximum(question.most_seeds - there, 0) if candidates.again else (there == 0).astype(int)
    belief = _belief(points, laws, candidates, question)
    forced = _outside(points, laws, candidates, question.round_spend)

    def chosen(spend: float, first: Sequence[int] = ()) -> list[Choice]:
        offer = Offer(
            candidates.cost, left, near, spend, share, spent=question.spent, spent_near=question.spent_near
        )
        return choose(belief, offer, first)

    def shrinking(order: Sequence[int]) -> Array:
        after = np.sqrt(conditioned(belief, order))
        return np.asarray(after[1:] / np.maximum(after[:-1], 1e-300))

    found = _round(
        chosen(question.round_spend, list(forced)),
        chosen(question.spend, list(forced)),
        candidates.cost,
        question.round_spend,
    )
    picks, seen = [], there.copy()
    shrinks = shrinking([choice.candidate for choice in found])
    for choice, shrink in zip(found, shrinks.tolist(), strict=True):
        j = choice.candidate
        picks.append(
            Pick(
                candidate=j,
                seed=int(seen[j]),
                ratio=float(np.exp(away[j])),
                shrink=shrink,
                reason=_reason(
                    j, int(seen[j]), float(np.exp(away[j])), bool(near[j]), candidates, points, forced
                ),
            )
        )
        seen[j] += 1
    forecasts = tuple(
        Forecast(s, float(np.prod(shrinking([one.candidate for one in chosen(s * question.spend)]))))
        for s in SHARES
    )
    deviation = float(np.sqrt(found[0].before)) if found else float("nan")
    return Advice(
        tuple(picks), deviation, forecasts, share, tuple(_notes(points, laws, misfit, forecasts, picks))
    )


def _round(own: list[Choice], plan: list[Choice], cost: Array, spend: float) -> list[Choice]:
    """The runs of a round: those chosen for it alone, or the beginning of a plan of the whole spend.

    The first leave most for later rounds, which know more. But where they gain less for their cost than the whole plan
    does, it is runs that a round cannot afford which matter: then the plan is begun, with one run at least.
    """
    if _rate(own, cost) >= _rate(plan, cost):
        return own
    spent = np.cumsum([cost[one.candidate] for one in plan])
    return plan[: max(int(np.sum(spent <= spend * (1 + 1e-9))), 1)]


def _rate(choices: list[Choice], cost: Array) -> float:
    """By how much ln of the variance falls, for a unit of cost; 0 without runs."""
    if not choices or choices[0].before <= 0:
        return 0.0
    fall = np.log(choices[0].before / max(choices[-1].after, 1e-12 * choices[0].before))
    return float(fall / sum(cost[one.candidate] for one in choices))


def _belief(points: Points, laws: PossibleLaws, candidates: Candidates, question: Question) -> Belief:
    aims, losses, weights = [], [], []
    for form in laws.forms:
        aims.append(form.aim(question.aim, question.flops))
        losses.append(form.log_loss(candidates.params, candidates.tokens))
        weights.append(np.full(len(form.phi), form.weight / len(form.phi)))
    return Belief(
        aim=np.concatenate(aims),
        log_loss=np.concatenate(losses),
        weight=np.concatenate(weights),
        noise=laws.noise,
        crowd=candidates.alike(points.params, points.flops).sum(axis=1),
        alike=candidates.alike(candidates.params, candidates.flops),
    )


def _outside(points: Points, laws: PossibleLaws, candidates: Candidates, spend: float) -> dict[int, str]:
    """Candidates that show the minimum of a column that has none within its sizes, with why."""
    found: dict[int, str] = {}
    cost = 0.0
    budgets = points.flops if points.budget is None else points.budget
    for budget in np.unique(candidates.budget):
        mine = points.params[np.abs(np.log(budgets / budget)) < 0.02]
        if len(np.unique(mine)) < PROFILE:
            continue
        at = np.flatnonzero(candidates.budget == budget)
        best = float(laws.log_params(np.array([np.median(candidates.flops[at])]))[0])
        above, below = best > np.log(mine.max()), best < np.log(mine.min())
        if not (above or below):
            continue
        # beyond the optimum, so that it lies within; where nothing is, as far as there is something
        sizes = np.log(candidates.params[at])
        outer = at[sizes > np.log(mine.max())] if above else at[sizes < np.log(mine.min())]
        if not len(outer):
            continue
        aim = best + (1 if above else -1) * np.log(NEAR) / 2
        j = int(outer[np.argmin(np.abs(np.log(candidates.params[outer]) - aim))])
        if cost + candidates.cost[j] <= FORCED * spend:
            cost += candidates.cost[j]
            found[j] = f"the minimum at {budget:.3g} FLOPs lies {'above' if above else 'below'} its sizes"
    return found


def _reason(
    j: int,
    seed: int,
    ratio: float,
    near: bool,
    candidates: Candidates,
    points: Points,
    forced: dict[int, str],
) -> str:
    if j in forced and seed == 0:
        return forced[j]
    if seed:
        return "another seed: noise decides here"
    beyond = candidates.flops[j] > points.flops.max() * 1.02
    where = "a larger budget than any run has, " if beyond else ""
    if near:
        return where + "near the optimum"
    return where + (
        "larger than N*, on few tokens: what data add" if ratio > 1 else "smaller than N*: what size adds"
    )


def _notes(
    points: Points, laws: PossibleLaws, misfit: bool, forecasts: Sequence[Forecast], picks: Sequence[Pick]
) -> list[str]:
    notes = []
    if misfit:
        notes.append(
            f"the law does not describe the runs (misfit): at least {MISFIT_SHARE:.0%} of the spend is near the "
            "optimum, and what is expected of it is less sure than it says"
        )
    if is_collinear(points):
        notes.append(
            "the runs lie on one line of ln N and ln D, on which no law of both can be told: runs off it come first"
        )
    if laws.rejected:
        notes.append(
            f"forms without support, or too many parameters for these runs: {', '.join(laws.rejected)}"
        )
    if not picks:
        notes.append("no candidate narrows the interval at this cost: raise spend, or widen the candidates")
    elif forecasts[-1].factor > HARDLY:
        notes.append(
            f"even {forecasts[-1].share:g} times the spend would leave the interval {forecasts[-1].factor:.2f} times "
            "as wide: more runs within these budgets hardly help; larger budgets would"
        )
    return notes


def is_collinear(points: Points) -> bool:
    """Whether ln N and ln D of the runs lie on one line: fixed tokens per parameter cannot identify the law."""
    x, y = np.log(points.params), np.log(points.tokens)
    if np.ptp(x) == 0 or np.ptp(y) == 0 or count_cells(cells_of(points)) < 3:
        return True
    return bool(abs(np.corrcoef(x, y)[0, 1]) > COLLINEAR)


def near_optimum(points: Points, laws: PossibleLaws) -> NDArray[np.bool_]:
    """Which runs lie near the predicted optimum of their compute, (n,)."""
    return _is_near(np.log(points.params) - laws.log_params(points.flops))


def _is_near(away: Array) -> NDArray[np.bool_]:
    """Of ln N less ln N*, (n,)."""
    return np.asarray(np.abs(away) <= np.log(NEAR) * (1 + 1e-9))
