"""Measured against predicted: the losses of the candidates, and whether the predicted winner won."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.fit.bootstrap import Interval
from harness.fit.encoding import encode
from harness.validate.over_seeds import (
    LOST,
    UNKNOWN,
    WON,
    difference_interval,
    known_values,
    mean_interval,
    verdict_of,
    within,
)
from harness.validate.prediction import Candidate, RegisteredPrediction
from harness.validate.tasks import TaskResult


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One candidate's losses.

    Attributes:
        losses: held-out loss by seed, nats per token; None where the run diverged.
        mean, interval: over seeds; Student's t at the prediction's level, None for fewer than two different losses.
        inside: how many of the runs lie in the predicted interval of one run; None where none was predicted.
        mean_inside: whether the mean lies in its predicted interval; None where none was predicted, or a run diverged,
            since the interval is of the mean of all seeds.
    """

    factor: float
    losses: dict[str, float | None]
    mean: float | None
    interval: Interval | None
    inside: int | None
    mean_inside: bool | None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """The predicted winner against one other candidate.

    Attributes:
        gap, interval: the other's mean loss above the predicted winner's; Welch's t over seeds.
        predicted_gap, predicted_interval: of the law. measured_interval: predicted of the difference of the two means;
            those of all candidates hold at once.
        inside: whether the gap lies in ``measured_interval``; None where none was predicted, or a run diverged.
        verdict: of the predicted winner: ``won``, ``lost``, ``within seed noise`` or ``cannot be told``.
    """

    factor: float
    gap: float | None
    interval: Interval | None
    predicted_gap: float | None
    predicted_interval: Interval | None
    measured_interval: Interval | None
    inside: bool | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """The content of ``validation.json``; ``tasks`` where the prediction has any."""

    name: str
    prediction_sha256: str
    level: float
    predicted_winner: float
    measured_winner: float | None
    candidates: tuple[Measured, ...]
    gaps: tuple[Gap, ...]
    verdict: str
    tasks: tuple[TaskResult, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of ``validation.json``; without an entry for tasks where there are none."""
        return {name: value for name, value in encode(self).items() if name != "tasks" or value is not None}


def judge(
    prediction: RegisteredPrediction, sha256: str, losses: Mapping[str, float | None]
) -> ValidationResult:
    """The result from the losses by run id; None stands for a run that diverged.

    Candidates are compared with the winner that was predicted, which was chosen before the runs: to pick the best of
    several means first would make its lead look more certain than it is.
    """
    candidates = tuple(_measured(one, losses, prediction.level) for one in prediction.candidates)
    by_factor = {one.factor: one for one in candidates}
    gaps = tuple(
        _gap(by_factor[prediction.winner], by_factor[one.factor], one, prediction.level)
        for one in prediction.candidates
        if one.factor != prediction.winner
    )
    known = [one for one in candidates if one.mean is not None]
    best = min(known, key=lambda one: one.mean or 0.0).factor if known else None
    return ValidationResult(
        name=prediction.name,
        prediction_sha256=sha256,
        level=prediction.level,
        predicted_winner=prediction.winner,
        measured_winner=best,
        candidates=candidates,
        gaps=gaps,
        verdict=_verdict(prediction, by_factor, gaps, best),
    )


def _measured(one: Candidate, losses: Mapping[str, float | None], level: float) -> Measured:
    mine = {seed: losses[run_id] for seed, run_id in one.run_ids.items()}
    values = known_values(mine)
    mean = float(np.mean(values)) if values else None
    inside = None
    if values and one.run_interval is not None:
        inside = sum(within(loss, one.run_interval) is True for loss in values)
    return Measured(
        factor=one.factor,
        losses=mine,
        mean=mean,
        interval=mean_interval(values, level),
        inside=inside,
        mean_inside=within(mean, one.mean_interval) if len(values) == len(mine) else None,
    )


def _gap(winner: Measured, other: Measured, predicted: Candidate, level: float) -> Gap:
    gap, bounds, verdict = None, None, UNKNOWN
    mine, theirs = known_values(winner.losses), known_values(other.losses)
    whole = len(mine) == len(winner.losses) and len(theirs) == len(other.losses)
    if mine and not theirs:
        verdict = WON  # every run of the other diverged
    elif theirs and not mine:
        verdict = LOST
    elif mine and theirs:
        gap = float(np.mean(theirs) - np.mean(mine))
        bounds = difference_interval(theirs, mine, level)
        verdict = verdict_of(bounds)
    return Gap(
        factor=other.factor,
        gap=gap,
        interval=bounds,
        predicted_gap=predicted.margin,
        predicted_interval=predicted.margin_interval,
        measured_interval=predicted.measured_margin_interval,
        inside=within(gap, predicted.measured_margin_interval) if whole else None,
        verdict=verdict,
    )


def _verdict(
    prediction: RegisteredPrediction,
    by_factor: Mapping[float, Measured],
    gaps: tuple[Gap, ...],
    best: float | None,
) -> str:
    """Which candidate won, by how much, and how many losses lie in their predicted intervals."""
    if best is None:
        return "Every run diverged: nothing can be said."
    parts = [_outcome(prediction, gaps, best)]
    gap_texts = [f"{gap.factor:g} N*: {_gap_text(gap)}" for gap in gaps]
    parts.append(f"Loss above the predicted winner's, nats per token: {'; '.join(gap_texts)}.")
    judged = [one for one in by_factor.values() if one.inside is not None]
    if judged:
        inside, runs = (
            sum(one.inside or 0 for one in judged),
            sum(len(known_values(one.losses)) for one in judged),
        )
        parts.append(f"{inside} of {runs} runs lie in the predicted interval of one run.")
    means = [one.mean_inside for one in by_factor.values() if one.mean_inside is not None]
    held = [gap.inside for gap in gaps if gap.inside is not None]
    if means:
        parts.append(
            f"{sum(means)} of {len(means)} mean losses"
            + (f" and {sum(held)} of {len(held)} gaps" if held else "")
            + " lie in their predicted intervals."
        )
    return " ".join(parts)


def _outcome(prediction: RegisteredPrediction, gaps: tuple[Gap, ...], best: float) -> str:
    optimum = "the predicted optimum"
    if prediction.winner != 1:  # whole shapes: the nearest to N* need not be the nearest in loss
        optimum = f"the predicted winner ({prediction.winner_label})"
    lost = [f"{gap.factor:g} N*" for gap in gaps if gap.verdict == LOST]
    if lost:
        return f"Against the prediction, {optimum} lost to {' and '.join(lost)} beyond seed noise."
    if all(gap.verdict == WON for gap in gaps):
        return f"As predicted, {optimum} won against every other size beyond seed noise."
    if best == prediction.winner:
        return f"As predicted, {optimum} had the lowest loss, but not beyond seed noise against every other size."
    return f"Not {optimum} but {best:g} N* had the lowest loss, which does not go beyond seed noise."


def _gap_text(found: Gap) -> str:
    """``+0.0123 (+0.0080 to +0.0166), predicted +0.0101``."""
    if found.gap is None:
        return "every run diverged" if found.verdict == WON else found.verdict
    text = f"{found.gap:+.4f}"
    if found.interval is not None:
        text += f" ({found.interval[0]:+.4f} to {found.interval[1]:+.4f})"
    return text if found.predicted_gap is None else f"{text}, predicted {found.predicted_gap:+.4f}"
