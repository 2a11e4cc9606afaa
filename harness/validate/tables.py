"""A validation as a table: predicted and measured loss of every candidate, and the gaps to the predicted winner."""

from harness.fit.bootstrap import Interval, bounds_text
from harness.report.table import Table
from harness.report.text import approach_label, counted, fixed, interval, power, ratio, with_interval
from harness.validate.prediction import RegisteredPrediction
from harness.validate.result import Gap, Measured, ValidationResult

LOSSES = (
    *("candidate", "shape", "N", "D", "N/N*", "D/N"),
    *("predicted loss", "of the mean", "of one run", "measured loss", "inside"),
)
GAPS = ("candidate", "predicted gap", "measured gap", "inside", "predicted winner")


def build(prediction: RegisteredPrediction, result: ValidationResult) -> tuple[Table, Table]:
    """The losses, one row a candidate, smallest first, the predicted winner emphasised; and the others' gaps to it."""
    pairs = list(zip(prediction.candidates, result.candidates, strict=True))
    rows = tuple(
        (
            f"{one.factor:g} N*",
            one.shape,
            counted(one.params),
            counted(one.tokens),
            f"{one.params / prediction.params_opt:.2f}",
            ratio(one.tokens / one.params),
            fixed(one.loss, 4),
            interval(one.mean_interval, "fixed", 4) or "–",
            interval(one.run_interval, "fixed", 4) or "–",
            _measured(measured),
            _inside(measured),
        )
        for one, measured in pairs
    )
    losses = Table(
        "validation",
        f"{len(rows)} sizes at C = {power(prediction.budget)} FLOPs, {_times(prediction)} the largest of the fit",
        LOSSES,
        rows,
        left=("candidate", "shape", "inside"),
        note=_note(prediction, result),
        strong=tuple(i for i, (one, _) in enumerate(pairs) if one.factor == prediction.winner),
    )
    gaps = Table(
        "gaps",
        f"Mean loss above that of {prediction.winner_label}, nats per token",
        GAPS,
        tuple(_gap(gap) for gap in result.gaps),
        left=("candidate", "inside", "predicted winner"),
    )
    return losses, gaps


def _times(prediction: RegisteredPrediction) -> str:
    return f"{prediction.budget / prediction.fit.largest_flops:.2g} times"


def _note(prediction: RegisteredPrediction, result: ValidationResult) -> str:
    by = approach_label(prediction.sizes_by).lower()
    form = f" = {prediction.form}" if prediction.form else ""
    losses = (
        f"losses by L(N, D){form}, {approach_label(prediction.losses_by).lower()}"
        if prediction.losses_by
        else ""
    )
    parts = [
        f"Registered {prediction.written}, SHA-256 {result.prediction_sha256[:16]}…. N* = "
        + with_interval(counted(prediction.params_opt), interval(prediction.params_interval))
        + f" by {by}{', ' + losses if losses else '; no L(N, D), so no losses are predicted'}.",
        f"Intervals are {prediction.level:.0%}.",
    ]
    if prediction.scatter is not None:
        own = [one.scatter for one in prediction.candidates if one.scatter is not None] or [
            prediction.scatter
        ]
        least, most = f"{min(own):.2%}", f"{max(own):.2%}"
        parts.append(
            f"'of one run' covers {prediction.run_covers}; that scatter is "
            f"{least if least == most else f'{least} to {most}'} of the loss."
        )
    if prediction.mean_covers is not None:
        parts.append(f"'of the mean' and the interval of a predicted gap cover {prediction.mean_covers}.")
    if prediction.doubts:
        parts.append(f"The fit doubted itself: {'; '.join(prediction.doubts)}.")
    seeds = max(len(one.losses) for one in result.candidates)
    parts.append(
        f"Measured: mean of {seeds} {'seed' if seeds == 1 else 'seeds'} with Student's t interval; gaps to the "
        "predicted winner with Welch's, which cover seed noise and nothing else."
    )
    return " ".join(parts)


def _measured(one: Measured) -> str:
    text = with_interval(fixed(one.mean, 4), interval(one.interval, "fixed", 4))
    lost = sum(loss is None for loss in one.losses.values())
    return text + (f", {lost} diverged" if lost else "")


def _inside(one: Measured) -> str:
    """Whether the mean lies in its interval, and how many runs in that of one: ``yes, 2 of 3 runs``."""
    ended = sum(loss is not None for loss in one.losses.values())
    if one.inside is None:
        return "–"
    runs = f"{one.inside} of {ended} runs"
    return runs if one.mean_inside is None else f"{_yes(one.mean_inside)}, {runs}"


def _yes(inside: bool | None) -> str:
    return "–" if inside is None else "yes" if inside else "no"


def _gap(found: Gap) -> tuple[str, str, str, str, str]:
    predicted = signed(found.predicted_gap, found.measured_interval or found.predicted_interval)
    measured = signed(found.gap, found.interval)
    return f"{found.factor:g} N*", predicted, measured, _yes(found.inside), found.verdict


def signed(value: float | None, bounds: Interval | None) -> str:
    """``+0.0712 (+0.0204 to +0.1220)``."""
    if value is None:
        return "–"
    return with_interval(
        f"{value:+.4f}", "" if bounds is None else bounds_text(bounds, lambda end: f"{end:+.4f}")
    )
