"""N*, D* and L* at any budget, with intervals from the draws and a status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UserError
from harness.fit.status import Flag, judge
from harness.fit.table import Array

if TYPE_CHECKING:
    from harness.fit.results import Approach, CostLaw

WIDE = 10.0
LARGEST_LOG = 700.0  # of a number that a float can hold
LEAST_COST = 6.0
ROUNDING = 0.999


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The compute-optimal model at one budget; intervals are (low, high) at ``level``.

    Attributes:
        flops: C, the budget.
        params, tokens, loss: N*, D*, L*; None where the approach has no answer.
        loss_kind: ``held-out``, or ``training`` (approach 1's: smoothed, not to be set beside the others').
        tokens_per_param: D*/N*.
    """

    approach: str
    flops: float
    level: float
    params: float | None = None
    tokens: float | None = None
    loss: float | None = None
    loss_kind: str = "held-out"
    tokens_per_param: float | None = None
    params_interval: tuple[float, float] | None = None
    tokens_interval: tuple[float, float] | None = None
    loss_interval: tuple[float, float] | None = None
    tokens_per_param_interval: tuple[float, float] | None = None
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def predict(approach: "Approach", flops: float) -> Prediction:
    """The prediction of a fitted approach at ``flops`` (a positive number of training FLOPs)."""
    if not (np.isfinite(flops) and flops > 0):
        raise UserError(f"predict: the budget must be a positive number of FLOPs, got {flops}")
    flops = float(flops)
    own = [Flag(code, note) for code, note in zip(approach.flags, approach.notes, strict=True)]
    theta = approach.theta()
    if theta is None:
        return Prediction(
            approach=approach.name,
            flops=flops,
            level=approach.level,
            loss_kind=approach.loss_kind,
            **judge(own),
        )
    with np.errstate(all="ignore"):
        log_n, log_d, loss = (float(v) for v in approach.optimum(theta, flops))
    if not (abs(log_n) < LARGEST_LOG and abs(log_d) < LARGEST_LOG):
        note = f"no finite optimum at C = {flops:.3g}"
        return Prediction(
            approach=approach.name,
            flops=flops,
            level=approach.level,
            loss_kind=approach.loss_kind,
            **judge([*own, Flag("no_optimum", note)]),
        )
    intervals: dict[str, tuple[float, float] | None] = {}
    if approach.draws is not None and len(approach.draws):
        with np.errstate(all="ignore"):
            draws_n, draws_d, draws_loss = approach.optimum(approach.draws, flops)
            intervals = {
                "params_interval": percentiles(_exp(draws_n), approach.level),
                "tokens_interval": percentiles(_exp(draws_d), approach.level),
                "loss_interval": percentiles(draws_loss, approach.level),
                "tokens_per_param_interval": percentiles(_exp(draws_d - draws_n), approach.level),
            }
    ranges = {"N*": intervals.get("params_interval"), "D*": intervals.get("tokens_interval")}
    flags = own + _flags(approach, flops, float(np.exp(log_n)), ranges)
    if any(flag.code == "no_floor" for flag in flags):
        intervals["loss_interval"] = None
    return Prediction(
        approach=approach.name,
        flops=flops,
        level=approach.level,
        params=float(np.exp(log_n)),
        tokens=float(np.exp(log_d)),
        loss=loss if np.isfinite(loss) else None,
        loss_kind=approach.loss_kind,
        tokens_per_param=float(np.exp(log_d - log_n)),
        **intervals,
        **judge(flags),
    )


def _exp(logs: Array) -> Array:
    """exp, in numbers a float can hold: a draw that runs away is the end of an interval, not left out of it."""
    return np.exp(np.clip(logs, -LARGEST_LOG, LARGEST_LOG))


def span(interval: tuple[float, float]) -> float:
    """The factor between the ends of an interval of a positive quantity."""
    low, high = interval
    return high / low if low > 0 else np.inf


def marked(text: str, kind: str) -> str:
    """A written loss with what it is where that is not the held-out loss: ``1.321 (1.319 to 1.343), training``."""
    return text if kind == "held-out" or not text.strip("–-") else f"{text}, {kind}"


def percentiles(draws: Array, level: float) -> tuple[float, float] | None:
    """The central interval of ``draws`` (n,) at ``level``; None where fewer than 20 are finite."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < 20:
        return None
    low, high = np.quantile(finite, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def _flags(
    approach: "Approach", flops: float, params: float, ranges: Mapping[str, tuple[float, float] | None]
) -> list[Flag]:
    flags = []
    if None in ranges.values():
        flags.append(Flag("no_interval", "no bootstrap draws, so no intervals"))
    flags += wide(ranges, at=f" at C = {flops:.3g}")
    flags += out_of_range(
        flops, approach.smallest_flops, approach.largest_flops, approach.extrapolation_limit
    )
    if (law := getattr(approach, "loss_law", None)) is not None:
        flags += floorless(law.floor, flops, approach.largest_flops)
    if (cost := getattr(approach, "cost", None)) is not None:
        flags += below_6nd(cost, params)
    return flags


def wide(ranges: Mapping[str, tuple[float, float] | None], at: str = "") -> list[Flag]:
    """The doubt about quantities, by name, whose interval spans more than a factor of :data:`WIDE`; ``at``: where."""
    return [
        Flag("wide_interval", f"the interval of {name}{at} spans a factor of {factor:.3g}")
        for name, found in ranges.items()
        if found is not None and (factor := span(found)) > WIDE
    ]


def out_of_range(
    flops: float, smallest: float | None, largest: float | None, limit: float, of: str = ""
) -> list[Flag]:
    """The doubt about a budget more than ``limit`` times beyond or below the runs'; ``of`` says whose budgets."""
    if largest and flops > limit * largest:
        return [Flag("extrapolation", f"C = {flops:.3g} is {flops / largest:.3g} x the largest budget{of}")]
    if smallest and limit * flops < smallest:
        note = f"C = {flops:.3g} is {smallest / flops:.3g} x below the smallest budget{of}"
        return [Flag("extrapolation", note)]
    return []


def floorless(floor: float, flops: float, largest: float | None) -> list[Flag]:
    """The doubt about a loss beyond the runs by a law without a floor, of which no interval is given.

    It falls for ever, which losses do not: its draws all share that fault.
    """
    if floor != 0 or not largest or flops <= largest:
        return []
    note = "its loss law has no floor (the runs show none): beyond them expect losses above it; no interval is given"
    return [Flag("no_floor", note)]


def least_cost(cost: "CostLaw") -> float:
    """C/(ND) that no model is expected to fall below: 6, or what the table's own runs have."""
    return LEAST_COST if cost.least is None else min(LEAST_COST, cost.least)


def below_6nd(cost: "CostLaw", params: float) -> list[Flag]:
    """The doubt that a cost law fitted to small models falls below what any model of that size takes.

    C/(ND) falls towards 6 as models grow, since embedding, head and attention weigh less and less (Hoffmann et al.
    2022, Table A4); a power law fitted on the way falls on. Where a table's own runs are below 6, theirs is the bound.
    """
    per_pair, bound = cost.kappa * params ** (cost.power - 1), least_cost(cost)
    if cost.power == 1 or per_pair >= bound * ROUNDING:
        return []
    return [
        Flag(
            "approximate_cost",
            f"at N = {params:.3g} the cost law has fallen to {per_pair:.2f}ND, below {bound:.3g}ND: N* and D* would "
            f"cost {bound / per_pair - 1:.0%} more than C, or more",
        )
    ]
