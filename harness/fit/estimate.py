"""The compute-optimal model by one frontier: N*, D*, C and L* with intervals from its draws, and its warnings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.fit.bootstrap import NOT_BOUNDED, Interval, percentile_interval, span
from harness.fit.cost_law import below_6nd
from harness.fit.laws import LARGEST_LOG, CostLaw, Law, Number, Optimum, PowerLaws
from harness.fit.run_range import ROUNDING, RunRange
from harness.fit.status import Flag, judge
from harness.fit.surface import Surface

EXTRAPOLATION_LIMIT = 30.0
"""The default of ``extrapolation_limit``; ``FitOptions`` has its reasons."""

LIMIT_POWER = 2 / 3
"""N, D and D/N may lie beyond the runs by this power of the limit in C: 10 times where that is 30.

On a frontier whose exponents are at most 2/3 a budget within the limit has N* and D* within theirs.
"""

NO_INTERVAL = ": no interval, since nothing that was run says how the law holds there"

WIDE = 10.0
HELD_OUT, TRAINING = "held-out", "training"
"""What a loss is: losses of different kinds are not to be compared."""

TITLES = {
    "approach_1": "training-curve envelope",
    "approach_2": "IsoFLOP profiles",
    "approach_3": "parametric L(N, D)",
    "frontier": "power laws of compute",
}


@dataclass(frozen=True, kw_only=True)
class FrontierSource:
    """One frontier with its uncertainty and its range: of a fit's approach, or of published constants.

    Attributes:
        name: ``approach_1`` … ``approach_3``, or ``frontier``.
        frontier: the point estimate; None where the fit has no number.
        draws: one frontier a bootstrap draw, as arrays; None for published constants.
        level: nominal coverage of the intervals.
        flags: the warnings of the fit.
        smallest_flops, largest_flops: the compute of the runs behind it; None where that is unknown.
        runs: their range of N, D and D/N; None for published constants, and for fits of earlier versions.
        extrapolation_limit: beyond this multiple of the runs' compute, either way, an estimate is marked; beyond its
            power of 2/3 in N, D or D/N it is marked and has no interval.
        cost: training compute of N parameters on D tokens, as the runs' compute was counted; 6ND for published laws.
    """

    name: str
    frontier: Law | PowerLaws | Surface | None
    draws: Law | PowerLaws | Surface | None = None
    level: float = 0.9
    flags: tuple[Flag, ...] = ()
    smallest_flops: float | None = None
    largest_flops: float | None = None
    runs: RunRange | None = None
    extrapolation_limit: float = EXTRAPOLATION_LIMIT
    cost: CostLaw = field(default_factory=CostLaw)

    @property
    def title(self) -> str:
        """For people: ``approach 3, parametric L(N, D)``."""
        return self.name.replace("_", " ") + ", " + TITLES[self.name]

    @property
    def loss_kind(self) -> str:
        """``training`` for approach 1, whose losses are smoothed training losses; else ``held-out``."""
        return TRAINING if self.name == "approach_1" else HELD_OUT

    @property
    def law(self) -> Law | Surface | None:
        """L(N, D), where this source has one."""
        return self.frontier if isinstance(self.frontier, Law | Surface) else None

    @property
    def law_draws(self) -> Law | Surface | None:
        """L(N, D) of every draw."""
        return self.draws if isinstance(self.draws, Law | Surface) else None

    @property
    def loss_floor(self) -> float | None:
        """The loss that its power law of the loss falls to; None where it has no such law (approach 3 has L(N, D))."""
        if not isinstance(self.frontier, PowerLaws) or not np.isfinite(self.frontier.loss_floor):
            return None
        return float(self.frontier.loss_floor)

    def interval(self, draws: Number | None) -> Interval | None:
        """The interval at ``level`` of a quantity over the draws (draws,), of which infinite values count."""
        return percentile_interval(draws, self.level, keep_infinite=True)


@dataclass(frozen=True, kw_only=True)
class OptimumEstimate:
    """The compute-optimal model that a source gives; None where it has no answer.

    Attributes:
        params, tokens, flops, loss, tokens_per_param: N*, D*, C, L*, D*/N*, with intervals (low, high) at ``level``.
        loss_kind: ``held-out``, or ``training`` (approach 1: smoothed, not to be compared with the others').
        extrapolation: C over the largest budget of the runs behind the source; None where that is unknown.
        unreachable: share of the draws that cannot reach the loss asked for.
        status, flags, notes: the worst warning (``ok`` if none), all of them, and their sentences.
    """

    approach: str
    level: float
    params: float | None = None
    tokens: float | None = None
    flops: float | None = None
    loss: float | None = None
    loss_kind: str = HELD_OUT
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


def estimate_at(source: FrontierSource, flops: float) -> OptimumEstimate:
    """The estimate at C = ``flops``, a positive number of training FLOPs.

    N* and D* go through their logarithms: a draw whose optimum no float holds is the end of an interval.
    """
    if source.frontier is None:
        return no_estimate(source, source.flags, flops=flops)
    with np.errstate(all="ignore"):
        log_n, log_d, loss = (float(v) for v in source.frontier.log_optimum(flops))
        if not (abs(log_n) < LARGEST_LOG and abs(log_d) < LARGEST_LOG):
            flag = Flag("no_optimum", f"no finite optimum at C = {flops:.3g}")
            return no_estimate(source, [*source.flags, flag], flops=flops)
        drawn = None if source.draws is None else Optimum.of_logs(*source.draws.log_optimum(flops), flops)
    return estimate(source, Optimum.of_logs(log_n, log_d, loss, flops), drawn, given="flops")


def estimate(
    source: FrontierSource,
    found: Optimum,
    drawn: Optimum | None,
    given: str,
    keep_infinite: bool = False,
) -> OptimumEstimate:
    """An optimum of the source's frontier, ``found``, with its intervals and warnings.

    Args:
        drawn: the same of every draw, arrays of shape (draws,); None without draws.
        given: what was asked for, ``flops``, ``params``, ``tokens`` or ``loss``: it is exact and has no interval.
        keep_infinite: see :func:`harness.fit.bootstrap.percentile_interval`.
    """
    with np.errstate(all="ignore"):
        intervals = {
            name: None
            if drawn is None
            else percentile_interval(getattr(drawn, name), source.level, keep_infinite)
            for name in ("params", "tokens", "flops", "loss", "tokens_per_param")
        }
        unreachable = 0.0 if drawn is None else float(np.mean(np.isinf(drawn.flops)))
    flops = float(found.flops)
    flags = [*source.flags, *range_flags(source, flops), *_interval_flags(intervals, unreachable)]
    if beyond := beyond_runs(source, float(found.params), float(found.tokens)):
        flags += beyond
        # An end that the law's own draws leave open is as open without them.
        intervals = {
            name: one if one is not None and one[1] == np.inf else None for name, one in intervals.items()
        }
    if floorless := no_floor(source, flops):
        flags += floorless
        intervals["loss"] = None
    if source.law is not None:
        flags += below_6nd(source.law.cost, float(found.params))
    intervals[given] = None
    return OptimumEstimate(
        approach=source.name,
        level=source.level,
        params=finite(found.params),
        tokens=finite(found.tokens),
        flops=finite(found.flops),
        loss=finite(found.loss),
        loss_kind=source.loss_kind,
        tokens_per_param=finite(found.tokens_per_param),
        params_interval=intervals["params"],
        tokens_interval=intervals["tokens"],
        flops_interval=intervals["flops"],
        loss_interval=intervals["loss"],
        tokens_per_param_interval=intervals["tokens_per_param"],
        extrapolation=extrapolation(source, flops),
        unreachable=unreachable,
        **judge(flags),
    )


def no_estimate(
    source: FrontierSource, flags: Iterable[Flag], flops: float | None = None, loss: float | None = None
) -> OptimumEstimate:
    """No optimum, for the reasons ``flags``; ``flops``, ``loss``: what was asked for."""
    return OptimumEstimate(
        approach=source.name,
        level=source.level,
        flops=flops,
        loss=loss,
        loss_kind=source.loss_kind,
        **judge(flags),
    )


def extrapolation(source: FrontierSource, flops: float) -> float | None:
    """C over the largest budget of the runs behind the source; None where that is unknown."""
    return flops / source.largest_flops if source.largest_flops else None


def range_flags(source: FrontierSource, flops: float) -> list[Flag]:
    """The warning for a budget more than ``extrapolation_limit`` times beyond the runs', or below them."""
    smallest, largest, limit = source.smallest_flops, source.largest_flops, source.extrapolation_limit
    if largest and flops > limit * largest * (1 + ROUNDING):
        note = f"C = {flops:.3g} is {flops / largest:.3g} x the largest budget of the fit"
        return [Flag("extrapolation", note)]
    if smallest and limit * flops * (1 + ROUNDING) < smallest:
        note = f"C = {flops:.3g} is {smallest / flops:.3g} x below the smallest budget of the fit"
        return [Flag("extrapolation", note)]
    return []


def beyond_runs(source: FrontierSource, params: float, tokens: float) -> list[Flag]:
    """The warning for a model whose N, D or D/N is more than the limit's power of 2/3 beyond any run's.

    Whoever gets it gives no interval: all draws share a form that nothing has tested so far out.
    """
    if source.runs is None:
        return []
    found = list(source.runs.beyond(params, tokens, source.extrapolation_limit**LIMIT_POWER))
    if not found:
        return []
    return [Flag("extrapolation", "; ".join(found) + NO_INTERVAL)]


def wide(ranges: Mapping[str, Interval | None]) -> list[Flag]:
    """The warning for quantities, by name, whose interval spans more than a factor of :data:`WIDE`."""
    return [
        Flag("wide_interval", f"the interval of {name} {_spans(found)}")
        for name, found in ranges.items()
        if found is not None and span(found) > WIDE
    ]


def _spans(interval: Interval) -> str:
    if np.isinf(interval[1]):
        return f"is {NOT_BOUNDED}"
    return f"spans a factor of {span(interval):.3g}" if interval[0] > 0 else "reaches down to 0"


def no_floor(source: FrontierSource, flops: float) -> list[Flag]:
    """The warning for a loss beyond the runs by a loss law without a floor, of which no interval is given.

    Such a law falls without end, which losses do not: all its draws share that fault.
    """
    if source.loss_floor != 0 or not source.largest_flops or flops <= source.largest_flops:
        return []
    note = "its loss law has no floor (the runs show none): beyond them expect losses above it; no interval is given"
    return [Flag("no_floor", note)]


def finite(value: Number) -> float | None:
    """A float, or None for what is not finite."""
    return float(value) if np.isfinite(value) else None


def marked(text: str, kind: str) -> str:
    """A written loss with its kind where that is not the held-out loss: ``1.321 (1.319 to 1.343), training``."""
    return text if kind == HELD_OUT or not text.strip("–-") else f"{text}, {kind}"


def _interval_flags(intervals: Mapping[str, Interval | None], unreachable: float) -> list[Flag]:
    flags = []
    ranges = {"N*": intervals["params"], "D*": intervals["tokens"]}
    if None in ranges.values():
        flags.append(Flag("no_interval", "no bootstrap draws, so no intervals"))
    flags += wide(ranges)
    if unreachable > 0:
        note = f"{_share(unreachable)} of the draws cannot reach this loss with any compute"
        flags.append(Flag("unidentified", note))
    return flags


def _share(share: float) -> str:
    """A share above 0 as per cent: 23%, 0.1%; never a 0% or 100% that rounding made."""
    if share < 0.01:
        return f"{100 * share:.1g}%"
    return "more than 99%" if 0.99 < share < 1 else f"{share:.0%}"
