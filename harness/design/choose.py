"""Greedy choice of runs, one after the other: the largest expected shrinking of the aim's variance for the cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.fit.table import Array

LEAST = 0.05
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


@dataclass(frozen=True)
class Choice:
    """One chosen run.

    Attributes:
        candidate: its index.
        variance: of the aim before and after it, expected.
    """

    candidate: int
    before: float
    after: float


def moments(belief: Belief) -> tuple[float, Array, Array]:
    """Variance of the aim, its covariance with the candidates (m,), and the candidates' own covariance (m, m)."""
    w = belief.weight[:, None]
    aim, losses = _cut(belief.aim[:, None]), _cut(belief.log_loss)
    aim, losses = aim - np.sum(w * aim, axis=0), losses - np.sum(w * losses, axis=0)
    return float(np.sum(w * aim**2)), (losses * w).T @ aim[:, 0], (losses * w).T @ losses


def choose(
    belief: Belief,
    cost: Array,
    spend: float,
    near: Array,
    near_share: float,
    spent_near: float = 0.0,
    spent: float = 0.0,
    left: NDArray[np.int_] | None = None,
    first: Sequence[int] = (),
) -> list[Choice]:
    """Runs whose cost together is at most ``spend``.

    By gain per cost and by gain alone, and the better of the two at the end: either alone can be far from the best
    where costs differ much, the better one cannot (Leskovec et al. 2007, "Cost-effective outbreak detection in
    networks", section 3.2).

    Args:
        cost: of the candidates, (m,), in the unit of ``spend``.
        near: which candidates lie near the predicted optimum, (m,).
        near_share: at least this share of all that is spent goes to those.
        spent_near, spent: what was spent before, on those and in all.
        left: how often each may be chosen, (m,); default once.
        first: candidates that are chosen before all others.
    """
    times = np.ones(len(cost), dtype=int) if left is None else left
    tried = [
        _greedy(belief, cost, spend, near, near_share, spent_near, spent, times, first, by_cost)
        for by_cost in (True, False)
    ]
    return min(tried, key=lambda found: found[-1].after if found else np.inf)


def _greedy(
    belief: Belief,
    cost: Array,
    spend: float,
    near: Array,
    near_share: float,
    spent_near: float,
    spent: float,
    times: NDArray[np.int_],
    first: Sequence[int],
    by_cost: bool,
) -> list[Choice]:
    variance, pull, cov = moments(belief)
    crowd = belief.crowd
    left, times, made = spend, times.copy(), []
    forced = list(first)
    while True:
        total = np.maximum(np.diag(cov), 0) + variance_of_run(belief.noise, crowd)
        gain = pull**2 / total
        allowed = (cost <= left * (1 + 1e-9)) & (times > 0)
        short = spent_near < near_share * (spent + cost) - 1e-9
        allowed = allowed & np.where(short, near, True)
        score = np.where(allowed, gain / cost if by_cost else gain, -np.inf)
        if forced:
            j = forced.pop(0)
        elif score[j := int(np.argmax(score))] <= 0 or gain[j] * spend < LEAST * variance * cost[j]:
            break
        times[j] -= 1
        after = max(variance - float(gain[j]), 0.0)
        made.append(Choice(j, variance, after))
        slope = cov[:, j] / total[j]
        pull = pull - slope * pull[j]
        cov = cov - np.outer(slope, cov[j])
        crowd = crowd + belief.alike[j]
        variance, left, spent = after, left - cost[j], spent + cost[j]
        spent_near += cost[j] if near[j] else 0.0
    return made


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
