"""What the runs of a prediction will measure: draws of the law, moved by the scatter of runs about it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.fit.bootstrap import Interval, joint_intervals, percentile_interval
from harness.fit.noise import RunScatter
from harness.fit.table import Array

REPEATS = 20
"""Outcomes of every draw of the law."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One candidate: its loss in every draw of the law, (draws,), N, D, and how many seeds will be trained."""

    losses: Array
    params: float
    tokens: float
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Of one candidate; None where there are no draws, or where it is the winner itself that others are set against.

    Attributes:
        law: of the law's loss. run: of the loss of one run. mean: of the mean loss of the candidate's seeds.
        law_margin: of the law's loss above the winner's.
        margin: of the mean of the seeds above the winner's; those of all candidates hold at once.
    """

    law: Interval | None = None
    run: Interval | None = None
    mean: Interval | None = None
    law_margin: Interval | None = None
    margin: Interval | None = None


def intervals(
    entries: Mapping[float, Entry], scatter: RunScatter | None, winner: float, level: float
) -> dict[float, Intervals]:
    """The intervals of every candidate, by factor.

    The draws of the law are shared by the candidates, so that what they have in common cancels from a margin, and so is
    the size of the scatter, which is known from few degrees of freedom; the scatter itself is each one's own.

    Args:
        entries: by factor, all with the same draws. scatter: of runs about the law; None where it is unknown.
        winner: the factor that margins are above; it may be missing.
    """
    means = {} if scatter is None else _means(entries, scatter)
    others = [factor for factor in entries if factor != winner and winner in entries]
    margins: dict[float, Interval | None] = {}
    if means and others:
        margins = dict(zip(others, joint_intervals(_above(means, others, winner), level), strict=True))
    law_margins = dict(
        zip(others, _above({f: one.losses for f, one in entries.items()}, others, winner).T, strict=True)
    )
    return {
        factor: Intervals(
            law=percentile_interval(one.losses, level, keep_infinite=True),
            run=None if scatter is None else _run(one, scatter, level),
            mean=percentile_interval(means.get(factor), level, keep_infinite=True),
            law_margin=percentile_interval(law_margins.get(factor), level, keep_infinite=True),
            margin=margins.get(factor),
        )
        for factor, one in entries.items()
    }


def _run(one: Entry, scatter: RunScatter, level: float) -> Interval | None:
    """Every draw of the law, moved by the scatter of single runs as Student's t."""
    moved = np.random.default_rng(0).standard_t(scatter.freedom, size=(REPEATS, len(one.losses)))
    scale = scatter.at(one.params, one.tokens)
    return percentile_interval((one.losses * np.exp(scale * moved)).ravel(), level, keep_infinite=True)


def _means(entries: Mapping[float, Entry], scatter: RunScatter) -> dict[float, Array]:
    """The mean loss of every candidate's seeds, (REPEATS * draws,), by factor."""
    rng, means = np.random.default_rng(1), {}
    shape = (REPEATS, next((len(one.losses) for one in entries.values()), 0))
    size = np.sqrt(scatter.freedom / rng.chisquare(scatter.freedom, shape))
    for factor, one in entries.items():
        moved = scatter.at(one.params, one.tokens, one.seeds) * size * rng.standard_normal(shape)
        means[factor] = (one.losses * np.exp(moved)).ravel()
    return means


def _above(losses: Mapping[float, Array], others: list[float], winner: float) -> Array:
    """Losses of ``others`` above the winner's, (draws, others); infinite less infinite is a draw without a value."""
    if not others:
        return np.empty((0, 0))
    with np.errstate(invalid="ignore"):
        return np.stack([losses[factor] - losses[winner] for factor in others], axis=1)
