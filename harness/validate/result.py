"""What the contenders did, against what was predicted of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.fit.intervals import Interval
from harness.validate.prediction import Contender, Prediction

WON, LOST, NOISE, UNKNOWN = "won", "lost", "within seed noise", "cannot be told"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One contender's losses.

    Attributes:
        losses: held-out loss by seed, nats per token; None where the run diverged.
        mean, interval: over seeds; Student's t at the prediction's level, None for fewer than two different losses.
        inside: how many of the runs lie in the predicted interval of one run; None where none was predicted. (A mean of
            seeds scatters less than one run, but not by their square root: they share what the law lacks there.)
    """

    factor: float
    losses: dict[str, float | None]
    mean: float | None
    interval: Interval | None
    inside: int | None


@dataclass(frozen=True, kw_only=True)
class Duel:
    """The predicted winner against one rival.

    Attributes:
        gap, interval: the rival's mean loss above the predicted winner's; Welch's t over seeds.
        verdict: of the predicted winner: ``won``, ``lost``, ``within seed noise`` or ``cannot be told``.
    """

    factor: float
    gap: float | None
    interval: Interval | None
    predicted_gap: float | None
    predicted_interval: Interval | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Rematch:
    """The content of ``rematch.json``."""

    name: str
    prediction_sha256: str
    level: float
    predicted_winner: float
    measured_winner: float | None
    contenders: tuple[Measured, ...]
    duels: tuple[Duel, ...]
    verdict: str


def judge(prediction: Prediction, sha256: str, losses: Mapping[str, float | None]) -> Rematch:
    """The result from the losses by run id; None stands for a run that diverged.

    Rivals are set against the winner that was predicted, which was chosen before the runs: picking the best of
    several means first would make its lead look surer than it is.
    """
    contenders = tuple(_measured(one, losses, prediction.level) for one in prediction.contenders)
    by_factor = {one.factor: one for one in contenders}
    duels = tuple(
        _duel(by_factor[prediction.winner], by_factor[one.factor], one, prediction.level)
        for one in prediction.contenders
        if one.factor != prediction.winner
    )
    known = [one for one in contenders if one.mean is not None]
    best = min(known, key=lambda one: one.mean or 0.0).factor if known else None
    return Rematch(
        name=prediction.name,
        prediction_sha256=sha256,
        level=prediction.level,
        predicted_winner=prediction.winner,
        measured_winner=best,
        contenders=contenders,
        duels=duels,
        verdict=_verdict(prediction, by_factor, duels, best),
    )


def _measured(one: Contender, losses: Mapping[str, float | None], level: float) -> Measured:
    mine = {seed: losses[run_id] for seed, run_id in one.run_ids.items()}
    values = _values(mine)
    mean = float(np.mean(values)) if values else None
    bounds = None
    if len(values) > 1 and np.ptp(values) > 0:
        low, high = stats.t.interval(level, len(values) - 1, loc=mean, scale=stats.sem(values))
        bounds = (float(low), float(high))
    inside = None
    if values and one.run_interval is not None:
        inside = sum(one.run_interval[0] <= loss <= one.run_interval[1] for loss in values)
    return Measured(factor=one.factor, losses=mine, mean=mean, interval=bounds, inside=inside)


def _duel(winner: Measured, rival: Measured, predicted: Contender, level: float) -> Duel:
    gap, bounds, verdict = None, None, UNKNOWN
    mine, theirs = _values(winner.losses), _values(rival.losses)
    if mine and not theirs:
        verdict = WON  # every run of the rival diverged
    elif theirs and not mine:
        verdict = LOST
    elif mine and theirs:
        gap = float(np.mean(theirs) - np.mean(mine))
        if len(mine) > 1 and len(theirs) > 1:
            found = stats.ttest_ind(theirs, mine, equal_var=False).confidence_interval(level)
            if np.isfinite(found.low) and np.isfinite(found.high):
                bounds = (float(found.low), float(found.high))
                verdict = WON if bounds[0] > 0 else LOST if bounds[1] < 0 else NOISE
    return Duel(
        factor=rival.factor,
        gap=gap,
        interval=bounds,
        predicted_gap=predicted.margin,
        predicted_interval=predicted.margin_interval,
        verdict=verdict,
    )


def _values(losses: Mapping[str, float | None]) -> list[float]:
    return [loss for loss in losses.values() if loss is not None]


def _verdict(
    prediction: Prediction, by_factor: Mapping[float, Measured], duels: tuple[Duel, ...], best: float | None
) -> str:
    """Who won, by how much, and whether the losses were where they were predicted."""
    if best is None:
        return "Every run diverged: nothing can be told."
    parts = [_outcome(prediction, duels, best)]
    told = [f"{duel.factor:g} N*: {_duel_words(duel)}" for duel in duels]
    parts.append(f"Loss above the predicted winner's, nats per token: {'; '.join(told)}.")
    judged = [one for one in by_factor.values() if one.inside is not None]
    if judged:
        inside, runs = sum(one.inside or 0 for one in judged), sum(len(_values(one.losses)) for one in judged)
        parts.append(f"{inside} of {runs} runs lie in the predicted interval of one run.")
    return " ".join(parts)


def _outcome(prediction: Prediction, duels: tuple[Duel, ...], best: float) -> str:
    optimum = "the predicted optimum"
    if prediction.winner != 1:  # whole shapes: the nearest to N* need not be the nearest in loss
        optimum = f"the predicted winner ({prediction.winner:g} N*)"
    lost = [f"{duel.factor:g} N*" for duel in duels if duel.verdict == LOST]
    if lost:
        return f"Against the prediction, {optimum} lost to {' and '.join(lost)} beyond seed noise."
    if all(duel.verdict == WON for duel in duels):
        return f"As predicted, {optimum} won against every rival beyond seed noise."
    if best == prediction.winner:
        return f"As predicted, {optimum} had the lowest loss, but not beyond seed noise against every rival."
    return f"Not {optimum} but {best:g} N* had the lowest loss, which does not go beyond seed noise."


def _duel_words(duel: Duel) -> str:
    """``+0.0123 (+0.0080 to +0.0166), predicted +0.0101``."""
    if duel.gap is None:
        return "every run diverged" if duel.verdict == WON else duel.verdict
    text = f"{duel.gap:+.4f}"
    if duel.interval is not None:
        text += f" ({duel.interval[0]:+.4f} to {duel.interval[1]:+.4f})"
    return text if duel.predicted_gap is None else f"{text}, predicted {duel.predicted_gap:+.4f}"
