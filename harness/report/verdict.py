"""The report's verdict: the answer in one sentence, and the form of a diagnostic about it."""

from dataclasses import dataclass

from harness.errors import UserError
from harness.fit.estimate import OptimumEstimate
from harness.fit.fitted import Fit
from harness.predict.source import choose, from_fit
from harness.report.data import ReportData
from harness.report.text import approach_label, counted, interval, power, ratio, with_interval

GOOD, CAUTION, BAD = "good", "caution", "bad"


@dataclass(frozen=True)
class Diagnostic:
    """One thing to know before using the answer; ``level`` is ``good``, ``caution`` or ``bad``."""

    level: str
    text: str


@dataclass(frozen=True)
class Headline:
    """One approach's prediction at one budget, or None with the reason in ``text``."""

    text: str
    prediction: OptimumEstimate | None


def decider(fit: Fit) -> str | None:
    """The approach to lead with, as ``isoflop predict`` does; None where none has a number."""
    try:
        return choose(from_fit(fit), "auto")[1].name
    except UserError:
        return None


def headline(data: ReportData, flops: float) -> Headline:
    """The headline at C = ``flops``."""
    name = decider(data.fit)
    if name is None:
        return Headline(f"At C = {power(flops)} FLOPs: these runs do not determine an optimum.", None)
    prediction = data.fit.predict(flops)[name]
    size = with_interval(counted(prediction.params), interval(prediction.params_interval))
    tokens = with_interval(counted(prediction.tokens), interval(prediction.tokens_interval))
    share = with_interval(
        ratio(prediction.tokens_per_param), interval(prediction.tokens_per_param_interval, "ratio")
    )
    return Headline(
        f"At C = {power(flops)} FLOPs: N* = {size} parameters on D* = {tokens} tokens, {share} tokens per "
        f"parameter ({approach_label(prediction.approach).lower()}).",
        prediction,
    )
