"""The report's verdict: the answer in one sentence, whether to use it, and the form of a diagnostic about it."""

from dataclasses import dataclass

from harness.errors import UserError
from harness.fit.estimate import OptimumEstimate
from harness.fit.fitted import Fit
from harness.fit.status import is_serious, plain
from harness.predict.source import choose, from_fit
from harness.report.data import ReportData
from harness.report.recipe_cost import MOVED, moved_out
from harness.report.text import approach_label, counted, interval, power, ratio, with_interval

GOOD, CAUTION, BAD = "good", "caution", "bad"
STAMPS = {CAUTION: "use with caution", BAD: "do not use"}


@dataclass(frozen=True)
class Diagnostic:
    """One thing to know before using the answer; ``level`` is ``good``, ``caution`` or ``bad``."""

    level: str
    text: str


@dataclass(frozen=True)
class Reason:
    """What speaks against an answer: the code of a status and a sentence."""

    code: str
    text: str


@dataclass(frozen=True)
class Headline:
    """One approach's prediction at one budget, or None with the reason in ``text``.

    Attributes:
        level: ``good``, ``caution``, or ``bad``: nobody should decide by it.
        reasons: why it is not ``good``, the worst first; of a bad one the serious ones alone.
    """

    text: str
    prediction: OptimumEstimate | None
    level: str = GOOD
    reasons: tuple[Reason, ...] = ()

    @property
    def stamp(self) -> str:
        """``do not use: misfit, biased``; empty where nothing speaks against it."""
        named = ", ".join(dict.fromkeys(plain(reason.code) for reason in self.reasons))
        if self.prediction is None:
            return f"no answer: {named}" if named else "no answer"
        return f"{STAMPS[self.level]}: {named}" if named else ""


def decider(fit: Fit) -> str | None:
    """The approach to lead with, that of ``isoflop predict``; None where none has a number."""
    try:
        return choose(from_fit(fit), "auto")[1].name
    except UserError:
        return None


def headline(data: ReportData, flops: float) -> Headline:
    """The headline at C = ``flops``."""
    name = decider(data.fit)
    if name is None:
        nothing = f"At C = {power(flops)} FLOPs: these runs do not determine an optimum."
        # The approaches that need no more than a table of runs come first.
        void = tuple(
            Reason(approach.status, f"{approach_label(approach.name)}: {approach.notes[0]}")
            for approach in reversed(data.fit.approaches)
            if approach.notes
        )
        return Headline(nothing, None, BAD, void)
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
        *_judged(data, prediction),
    )


def _judged(data: ReportData, prediction: OptimumEstimate) -> tuple[str, tuple[Reason, ...]]:
    """The level of an answer and the reasons for it: its own warnings, the recipe's, whether approaches agree."""
    fit = data.fit
    found = [Reason(code, note) for code, note in zip(prediction.flags, prediction.notes, strict=True)]
    found += [Reason(MOVED, note) for note in moved_out(data)]
    if fit.agreement.status in ("disagree", "unclear"):
        found.append(Reason(fit.agreement.status, fit.agreement.message))
    serious = tuple(reason for reason in found if is_serious(reason.code))
    return (BAD, serious) if serious else (CAUTION, tuple(found)) if found else (GOOD, ())
