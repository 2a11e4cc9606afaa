"""Greedy choice of runs, one after the other: the largest expected shrinking of the aim's variance for the cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.fit.table import Array

LEAST = 0.01
"""Where all of the spend at the rate of the best run would take less than this off the variance, no run is chosen."""

REACH = 4.0  # robust standard deviations from the median at which draws are cut off: a law that ran away is no guide


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of the aim and of the candidates' losses before anything is trained: draws, weighted.

    Attributes:
        aim: (draws,). log_loss: of the candidates, (draws, m). weight: of the draws, (draws,), summing to 1.
        noise: standard deviation of ln L of one run.
        crowd: how many finished runs lie at each candidate, (m,); alike: how much of a run at one candidate counts as
            one at another, (m, m), 1 on the diagonal.
    """

    aim: Array
    log_loss: Array
    weight: Array
    noise: float
    crowd: Array
    alike: Array

    @cached_property
    def moments(self) -> tuple[float, Array, Array]:
        """Variance of the aim, its covariance with the candidates (m,), and the candidates' own covariance (m, m)."""
        w = self.weight[:, None]
        aim, losses = _cut(self.aim[:, None]), _cut(self.log_loss)
        aim, losses = aim - np.sum(w * aim, axis=0), losses - np.sum(w * losses, axis=0)
        return float(np.sum(w * aim**2)), (losses * w).T @ aim[:, 0], (losses * w).T @ losses


@dataclass(frozen=True)
class Choice:
    """One chosen run.

    Attributes:
        candidate: its index.
        before, after: variance of the aim before and after it, expected.
    """

    candidate: int
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Offer:
    """What can be chosen, and within which limits; costs are in the unit of ``spend``.

    Attributes:
        cost: of the candidates, (m,). times: how often each may be chosen, (m,).
        near: which lie near the predicted optimum, (m,).
        spend: how much may be spent. near_share: at least this share of it, and of what was spent before, is near.
        spent, spent_near: what was spent before, in all and near the optimum.
    """

    cost: Array
    times: NDArray[np.int_]
    near: NDArray[np.bool_]
    spend: float
    near_share: float = 0.0
    spent: float = 0.0
    spent_near: float = 0.0


def choose(belief: Belief, offer: Offer, first: Sequence[int] = ()) -> list[Choice]:
    """Runs whose cost together is at most what may be spent, in the order in which they were chosen.

    By gain per cost and by gain alone, and the better of the two at the end: either alone can be far from the best
    where costs differ much, the better one cannot (Leskovec et al. 2007, "Cost-effective outbreak detection in
    networks", section 3.2). It ends where the rest of the spend is not worth it, and makes up for what is then missing
    near the optimum.

    Args:
        first: candidates that are chosen before all others.
    """
    tried = [_greedy(belief, offer, first, by_cost) for by_cost in (True, False)]
    return min(tried, key=lambda found: found[-1].after if found else np.inf)


def _greedy(belief: Belief, offer: Offer, first: Sequence[int], by_cost: bool) -> list[Choice]:
    variance, pull, cov = belief.moments
    crowd, times, made = belief.crowd, offer.times.copy(), list[Choice]()
    cost, near = offer.cost, offer.near
    left, spent, spent_near = offer.spend, offer.spent, offer.spent_near
    far_left = (1 - offer.near_share) * (spent + left) - (spent - spent_near)
    forced = list(first)
    while True:
        total = np.maximum(np.diag(cov), 0) + variance_of_run(belief.noise, crowd)
        gain = pull**2 / total
        affordable = (cost <= left * (1 + 1e-9)) & (times > 0)
        if forced:
            j = forced.pop(0)
        else:
            allowed = affordable & (near | (cost <= far_left * (1 + 1e-9)))
            j = _best(np.where(by_cost, gain / cost, gain), allowed)
            if j < 0 or gain[j] * offer.spend < LEAST * variance * cost[j]:
                owed = made and spent_near < offer.near_share * spent * (1 - 1e-9)
                j = _best(gain / cost, affordable & near) if owed else -1
        if j < 0:
            return made
        times[j] -= 1
        after = max(variance - float(gain[j]), 0.0)
        made.append(Choice(j, variance, after))
        slope = cov[:, j] / total[j]
        pull = pull - slope * pull[j]
        cov = cov - np.outer(slope, cov[j])
        crowd = crowd + belief.alike[j]
        variance, left, spent = after, left - cost[j], spent + cost[j]
        spent_near, far_left = spent_near + near[j] * cost[j], far_left - (1 - near[j]) * cost[j]


def _best(score: Array, allowed: NDArray[np.bool_]) -> int:
    """The allowed candidate with the highest positive score; -1 where there is none."""
    known = np.where(allowed, score, -np.inf)
    j = int(np.argmax(known))
    return j if known[j] > 0 else -1


def conditioned(belief: Belief, chosen: Sequence[int]) -> Array:
    """Variance of the aim before the runs of ``chosen``, and after each of them, (n + 1,), as a fit will count it.

    A fit takes the noise of all runs for independent: it shows a narrower interval than the choice, which distrusts
    runs that crowd (:func:`variance_of_run`), would grant.
    """
    variance, pull, cov = belief.moments
    found = [variance]
    for j in chosen:
        total = max(float(cov[j, j]), 0.0) + belief.noise**2
        variance = max(variance - float(pull[j]) ** 2 / total, 0.0)
        found.append(variance)
        slope = cov[:, j] / total
        pull, cov = pull - slope * pull[j], cov - np.outer(slope, cov[j])
    return np.array(found)


def variance_of_run(noise: float, crowd: Array) -> Array:
    """What one more run at a candidate is worth, as the variance of an independent measurement of ln L, (m,).

    All runs at one place share what the form misses there, which is taken to be as large as the noise of a run: m of
    them say no more than (1 + 1/m) noise^2 does, and the next one adds the difference of the inverses.
    """
    return noise**2 * (crowd + 1) * (crowd + 2)


def _cut(columns: Array) -> Array:
    """Draws (draws, m) with what lies far from the median moved to the edge; what is no number to the median."""
    known = np.where(np.isfinite(columns), columns, np.nan)
    middle = np.nanmedian(known, axis=0)
    width = REACH * 1.4826 * np.nanmedian(np.abs(known - middle), axis=0)
    return np.clip(np.where(np.isnan(known), middle, known), middle - width, middle + width)
