"""The four questions a frontier answers, with intervals and with what speaks against the answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.predict import below_6nd, floorless, out_of_range, wide
from harness.fit.results import Interval
from harness.fit.status import Flag, judge
from harness.predict.laws import Frontier, Number, Optimum, interval
from harness.predict.source import Source

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


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The compute-optimal model that a source gives for a question; None where it has no answer.

    Attributes:
        params, tokens, flops, loss, tokens_per_param: N*, D*, C, L*, D*/N*, with intervals at ``level``.
        loss_kind: ``held-out``, or ``training`` (approach 1).
        extrapolation: C over the largest budget of the runs behind the source; None where that is unknown.
        unreachable: share of the draws that cannot reach the loss asked for.
        status, flags, notes: the worst objection (``ok`` if none), all of them, and their sentences.
    """

    approach: str
    level: float
    params: float | None = None
    tokens: float | None = None
    flops: float | None = None
    loss: float | None = None
    loss_kind: str = "held-out"
    tokens_per_param: float | None = None
    params_interval: Interval | None = None
    tokens_interval: Interval | None = None
    flops_interval: Interval | None = None
    loss_interval: Interval | None = None
    tokens_per_param_interval: Interval | None = None
    extrapolation: float | None = None
    unreachable: float = 0.0
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def ask(source: Source, question: Question) -> Answer:
    """What ``source`` says to ``question``."""
    flags = list(source.flags)
    if source.frontier is None:
        return Answer(approach=source.name, level=source.level, loss_kind=source.loss_kind, **judge(flags))
    # Draws in which a term has vanished have no optimum; they are NaN here and left out of the intervals.
    with np.errstate(all="ignore"):
        found = question.at(source.frontier)
        draws = question.at(source.draws) if source.draws is not None else None
        spread = {
            name: None if draws is None else interval(getattr(draws, name), source.level)
            for name in ("params", "tokens", "flops", "loss", "tokens_per_param")
        }
    if question.kind == "loss" and not np.isfinite(found.flops):
        flags.append(Flag("no_optimum", _unreachable(source, question.value)))
        return Answer(
            approach=source.name,
            level=source.level,
            loss=question.value,
            loss_kind=source.loss_kind,
            **judge(flags),
        )
    unreachable = 0.0 if draws is None else float(np.mean(np.isinf(draws.flops)))
    flags += range_flags(source, float(found.flops)) + _spread_flags(spread, unreachable)
    floor = getattr(source.frontier, "loss_floor", float("nan"))
    if endless := floorless(floor, float(found.flops), source.largest_flops):
        flags += endless
        spread["loss"] = None
    if source.law is not None:
        flags += below_6nd(source.law.cost, float(found.params))
    return Answer(
        approach=source.name,
        level=source.level,
        params=finite(found.params),
        tokens=finite(found.tokens),
        flops=finite(found.flops),
        loss=finite(found.loss),
        loss_kind=source.loss_kind,
        tokens_per_param=finite(found.tokens_per_param),
        **{f"{name}_interval": None if name == question.kind else value for name, value in spread.items()},
        extrapolation=extrapolation(source, float(found.flops)),
        unreachable=unreachable,
        **judge(flags),
    )


def extrapolation(source: Source, flops: float) -> float | None:
    """C over the largest budget behind the source; None where unknown."""
    return flops / source.largest_flops if source.largest_flops else None


def range_flags(source: Source, flops: float) -> list[Flag]:
    """The warning for a budget far beyond the runs, or below them."""
    return out_of_range(
        flops, source.smallest_flops, source.largest_flops, source.extrapolation_limit, of=" of the fit"
    )


def unusual_ratio(tokens_per_param: float, usual: float) -> list[Flag]:
    """The warning for a model more than :data:`FAR` times off the ``usual`` D/N, that of the frontier.

    Runs lie about the frontier, so a law says little of models that are this far to either side.
    """
    if 1 / FAR <= (stretch := tokens_per_param / usual) <= FAR:
        return []
    times = f"{stretch:.3g} x" if stretch > 1 else f"1/{1 / stretch:.3g} of"
    note = f"{times} the frontier's tokens per parameter: far from where runs are usually made"
    return [Flag("extrapolation", note)]


def finite(value: Number) -> float | None:
    """A float, or None for what is not finite."""
    return float(value) if np.isfinite(value) else None


def _spread_flags(spread: Mapping[str, Interval | None], unreachable: float) -> list[Flag]:
    flags = []
    if spread["params"] is None:
        flags.append(Flag("no_interval", "no bootstrap draws, so no intervals"))
    flags += wide({"N*": spread["params"], "D*": spread["tokens"]})
    if unreachable > 0:
        flags.append(
            Flag("unidentified", f"{unreachable:.0%} of the draws cannot reach this loss at any price")
        )
    return flags


def _unreachable(source: Source, loss: float) -> str:
    law = source.law
    floor = None if law is None else float(law.E)
    if floor is None:
        floor = getattr(source.frontier, "loss_floor", float("nan"))
        if not np.isfinite(floor):
            return "this approach has no loss law, so no budget for a loss"
    return f"a loss of {loss:g} is not above the irreducible {floor:.4g} of this law: no budget reaches it"
