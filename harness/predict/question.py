"""The four questions that a frontier answers: the best model of a compute, of a size, of a corpus or of a loss."""

from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.estimate import FrontierSource, OptimumEstimate, estimate, estimate_at, no_estimate
from harness.fit.laws import Frontier, Optimum
from harness.fit.status import Flag

KINDS = ("flops", "params", "tokens", "loss")
FAR = 10.0  # times off the frontier's tokens per parameter


@dataclass(frozen=True)
class Question:
    """What is given: so many ``flops``, ``params`` or ``tokens``, or a ``loss`` to reach."""

    kind: str
    value: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"question: '{self.kind}' is none of {', '.join(KINDS)}")
        if not (np.isfinite(self.value) and self.value > 0):
            raise UserError(f"{self.kind}: must be a positive number, got {self.value:g}")

    def at(self, frontier: Frontier) -> Optimum:
        """The frontier's answer."""
        if self.kind == "flops":
            return frontier.at_flops(self.value)
        if self.kind == "params":
            return frontier.at_params(self.value)
        if self.kind == "tokens":
            return frontier.at_tokens(self.value)
        return frontier.at_loss(self.value)


def ask(source: FrontierSource, question: Question) -> OptimumEstimate:
    """The compute-optimal model that ``source`` gives for ``question``; without numbers where it has no answer."""
    if question.kind == "flops":
        return estimate_at(source, question.value)  # as the fit itself and its page say it
    if source.frontier is None:
        return no_estimate(source, source.flags)
    # Draws in which a term has vanished have no optimum; they are NaN here and left out of the intervals.
    with np.errstate(all="ignore"):
        found = question.at(source.frontier)
        drawn = question.at(source.draws) if source.draws is not None else None
    if question.kind == "loss" and not np.isfinite(found.flops):
        flag = Flag("no_optimum", _unreachable(source, question.value))
        return no_estimate(source, [*source.flags, flag], loss=question.value)
    # A draw that cannot reach a loss counts: it needs infinite compute.
    return estimate(source, found, drawn, question.kind, keep_infinite=True)


def unusual_ratio(source: FrontierSource, tokens_per_param: float, usual: float) -> list[Flag]:
    """The warning for a model more than :data:`FAR` times off the ``usual`` D/N, that of the frontier.

    Runs lie about the frontier, so a law says little of models that are this far to either side. Where the source knows
    its runs' own range, ``range_flags`` judges by that instead.
    """
    if source.runs is not None:
        return []
    if 1 / FAR <= (stretch := tokens_per_param / usual) <= FAR:
        return []
    times = f"{stretch:.3g} x" if stretch > 1 else f"1/{1 / stretch:.3g} of"
    note = f"{times} the frontier's tokens per parameter: far from where runs are usually made"
    return [Flag("extrapolation", note)]


def _unreachable(source: FrontierSource, loss: float) -> str:
    floor = source.loss_floor if source.law is None else source.law.floor
    if floor is None:
        return "this approach has no loss law, so no budget for a loss"
    return f"a loss of {loss:g} is not above the irreducible {floor:.4g} of this law: no budget reaches it"
