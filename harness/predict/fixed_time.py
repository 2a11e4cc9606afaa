"""The best model of a fixed time, or of a fixed cost, on a device: not the compute-optimal model of the same time.

At fixed FLOPs a smaller model on more tokens costs the same; on the clock it does not: small models are bound by
launches and memory traffic and reach a smaller share of the device's peak. So the optimum of a time lies at larger
models than the compute-optimal one whose training takes as long.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.bootstrap import Interval, percentile_interval
from harness.fit.estimate import FrontierSource, beyond_runs, range_flags, wide
from harness.fit.laws import Frontier
from harness.fit.status import Flag, judge
from harness.fit.surface import ParametricLaw
from harness.fit.table import Array
from harness.predict.clock import DECADES, Clock
from harness.predict.question import unusual_ratio

FACTORS = (1 / 16, 1 / 4, 1.0, 4.0, 16.0)
"""Times that are shown beside the one asked for, as multiples of it."""

SIZES = 400  # models between the ladder's smallest and largest that are compared
REACH = np.log(1e3), np.log(1e32)  # FLOPs between which a compute-optimal model of a time is looked for
TOLERANCE = 1e-4  # of its time, in the logarithm


@dataclass(frozen=True, kw_only=True)
class TimedOptimum:
    """The model of the lowest loss among all that a device trains in ``seconds``.

    Intervals are those of the law's draws at ``level``; the time model is taken as it is.

    Attributes:
        seconds: on the clock.
        params, tokens, flops, loss: the model, its training compute and its loss.
        plain_params, plain_tokens, plain_flops, plain_loss: the compute-optimal model whose training takes as long.
    """

    approach: str
    level: float
    seconds: float
    params: float
    tokens: float
    flops: float
    loss: float
    plain_params: float
    plain_tokens: float
    plain_flops: float
    plain_loss: float
    params_interval: Interval | None = None
    tokens_interval: Interval | None = None
    loss_interval: Interval | None = None
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def flops_in(frontier: Frontier, clock: Clock, seconds: float) -> float:
    """Training FLOPs of the compute-optimal model whose training takes ``seconds`` on the clock; by bisection.

    Raises:
        UserError: none does: a run's start alone takes longer, or every training looked at takes less.
    """
    low, high = REACH
    if not seconds > clock.start_seconds:
        raise UserError(
            f"hours, dollars: {seconds:.3g} s on the clock is less than a run's start takes, "
            f"{clock.start_seconds:.3g} s; ask for more"
        )

    def is_shorter(log_flops: float) -> bool:
        found = frontier.at_flops(float(np.exp(log_flops)))
        return float(clock.seconds(float(found.params), max(1.0, float(found.tokens)))) < seconds

    with np.errstate(all="ignore"):
        if is_shorter(high):
            raise UserError(
                f"hours, dollars: {seconds:.3g} s on the clock is more than {np.exp(high):.0e} FLOPs take; ask for less"
            )
        while high - low > TOLERANCE:
            middle = (low + high) / 2
            low, high = (middle, high) if is_shorter(middle) else (low, middle)
    return float(np.exp((low + high) / 2))


def answer_time(source: FrontierSource, clock: Clock, seconds: float) -> TimedOptimum:
    """The best model of ``seconds`` on the clock by the law of ``source``.

    Raises:
        UserError: the source has no L(N, D), or no model of the ladder is trained in so little time.
    """
    law, frontier = source.law, source.frontier
    if law is None or frontier is None:
        raise UserError(
            f"the best model of a time needs L(N, D): {source.title} knows only the best of each budget"
        )
    plain = frontier.at_flops(flops_in(frontier, clock, seconds))
    params, tokens = _trainable(clock, seconds)
    best = int(np.argmin(law.loss(params, tokens)))
    draws = source.law_draws
    spread = _intervals(draws, params, tokens, source.level) if draws is not None else (None, None, None)
    found = float(params[best]), float(tokens[best])
    flops = float(law.flops(*found))
    beyond = beyond_runs(source, *found)
    flags = [*source.flags, *range_flags(source, flops), *beyond]
    if best in (0, len(params) - 1):
        end = "largest" if best else "smallest"
        flags.append(
            Flag(
                "at_edge",
                f"the best of this time is the {end} model of the ladder ({found[0]:.3g} parameters): "
                "a ladder that goes further may have a better one",
            )
        )
    elif not beyond:
        flags += _spread_flags(spread[0], spread[1])
    if beyond:
        spread = (None, None, None)
    flags += unusual_ratio(source, found[1] / found[0], float(frontier.at_flops(flops).tokens_per_param))
    return TimedOptimum(
        approach=source.name,
        level=source.level,
        seconds=seconds,
        params=found[0],
        tokens=found[1],
        flops=flops,
        loss=float(law.loss(*found)),
        plain_params=float(plain.params),
        plain_tokens=float(plain.tokens),
        plain_flops=float(plain.flops),
        plain_loss=float(plain.loss),
        params_interval=spread[0],
        tokens_interval=spread[1],
        loss_interval=spread[2],
        **judge(flags),
    )


def frontier_of_time(
    source: FrontierSource, clock: Clock, seconds: float, factors: Sequence[float] = FACTORS
) -> tuple[TimedOptimum, ...]:
    """The best models of multiples of ``seconds``; those too short for a run's start are left out."""
    times = [seconds * factor for factor in factors if seconds * factor > clock.start_seconds]
    return tuple(answer_time(source, clock, time) for time in times)


def within_ladder(rows: Sequence[TimedOptimum], clock: Clock) -> tuple[TimedOptimum, ...]:
    """Those of ``rows`` to be drawn: beyond the ladder a time is extrapolated, and an optimum is not known."""
    return tuple(row for row in rows if clock.covers(row.plain_params) and "at_edge" not in row.flags)


def _spread_flags(params: Interval | None, tokens: Interval | None) -> list[Flag]:
    """The warning about a best model inside the ladder whose interval is wide, or reaches an end of the ladder."""
    if params is not None and (params[0] == 0 or params[1] == np.inf):
        note = "by some draws of the law the best of this time is at an end of the ladder: N and D have no bound there"
        return [Flag("wide_interval", note)]
    return wide({"N": params, "D": tokens})


def _trainable(clock: Clock, seconds: float) -> tuple[Array, Array]:
    """Models of the ladder's range, evenly in log N, and the tokens each is trained on in ``seconds``."""
    params = np.geomspace(clock.params[0], clock.params[-1], SIZES if len(clock.params) > 1 else 1)
    tokens = clock.tokens(params, seconds)
    able = np.isfinite(tokens) & (tokens >= 1)
    if not able.any():
        raise UserError(
            f"hours, dollars: in {seconds:.3g} s on the clock no model of the ladder is trained on 1e{DECADES[0]} to "
            f"1e{DECADES[1]} tokens"
        )
    return params[able], tokens[able]


def _intervals(
    draws: ParametricLaw, params: Array, tokens: Array, level: float
) -> tuple[Interval | None, Interval | None, Interval | None]:
    """Of N, D and loss, over the best model by each draw's law.

    A draw whose best model is at an end of the ladder says no more than that N lies there or beyond: its N is then
    infinite, or zero, and its D the other way round.
    """
    best_of_draws, losses = [], []
    with np.errstate(all="ignore"):
        for law in draws.rows():
            loss = np.asarray(law.loss(params, tokens))
            best = int(np.argmin(np.where(np.isfinite(loss), loss, np.inf)))
            best_of_draws.append(best)
            losses.append(float(loss[best]))
    index = np.array(best_of_draws)
    below, above = index == 0, index == len(params) - 1
    return (
        percentile_interval(
            np.select([below, above], [0.0, np.inf], params[index]), level, keep_infinite=True
        ),
        percentile_interval(
            np.select([below, above], [np.inf, 0.0], tokens[index]), level, keep_infinite=True
        ),
        percentile_interval(np.array(losses), level, keep_infinite=True),
    )
