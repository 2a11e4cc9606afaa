"""What other values of hyperparameters gain in one cell, and how far a gain that depends on N moves the optimum.

A gain is the loss of a cell's own run less that of the best value tried; the recipe's own value is among those, so no
gain is negative. Losses are in nats per token and have seed noise, which makes the best of several look better than it
is: the ends of an interval allow for that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtrit

from harness.fit.bootstrap import Interval, percentile_interval
from harness.fit.table import Array

OWN = 1.0
"""The multiple at which a cell's own run stands."""
DRAWS = 4000
NEAR = 0.1
"""Nats above the lowest within which losses are taken to follow a parabola in the logarithm of the multiple."""


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one run's loss over seeds, nats per token, and its degrees of freedom."""

    sd: float
    freedom: int

    def margin(self, level: float, variance: float) -> float:
        """Half the interval of a number whose variance is ``variance`` times that of one run."""
        return float(stdtrit(self.freedom, (1 + level) / 2)) * self.sd * variance**0.5


@dataclass(frozen=True)
class Tried:
    """The losses of one hyperparameter in a cell, by multiple of the recipe's value; infinite where a run diverged.

    The cell's own run, at :data:`OWN`, is not among them.
    """

    losses: Mapping[float, float]


@dataclass(frozen=True)
class Reference:
    """What ablations of a cell are compared with.

    Attributes:
        own: the loss of the cell's own run, which has the ablations' seed.
        others: mean loss of ``seeds`` other seeds; None where there are none.
    """

    own: float
    others: float | None = None
    seeds: int = 0


@dataclass(frozen=True)
class Gain:
    """What the best value of a hyperparameter gains over the recipe's; or of all of them, added up.

    Attributes:
        nats: over the cell's own run; not negative.
        factor: the best multiple, None of a sum. Where the lowest loss lies between two others that are within
            :data:`NEAR` of it, it is the vertex of the parabola through the three in the logarithm of the multiple.
        interval: at the level that was asked for; None where the noise of seeds is not known. The cell's own run may
            have been chosen for a low loss: then a gain over it is too small, as far as ablations do not share that
            luck with their seed, and one over other seeds too large. The interval holds both.
        at_edge: the best multiple is the least or the largest that was tried.
    """

    nats: float
    factor: float | None = None
    interval: Interval | None = None
    at_edge: bool = False

    @property
    def beyond_noise(self) -> bool:
        """Whether another value is better than the recipe's by more than noise."""
        return self.interval is not None and self.interval[0] > 0


@dataclass(frozen=True)
class CellGains:
    """The gains in one cell by hyperparameter, and all of them added up, which need not be had together.

    Attributes:
        draws: of every gain over the own run under seed noise, (DRAWS,); empty where noise is not known.
    """

    gains: Mapping[str, Gain]
    total: Gain
    draws: Mapping[str, Array] = field(default_factory=dict)


def cell_gains(
    tried: Mapping[str, Tried], reference: Reference, noise: Noise | None, level: float, seed: int = 0
) -> CellGains:
    """The gains of ``tried``, by hyperparameter, in one cell.

    The lower end of an interval takes the lowest loss that was tried as given: a difference of two losses with their
    noise, without the parabola. The upper end is a percentile of gains whose losses are drawn with that noise anew,
    each draw with its own best multiple. Where several values were tried, noise passes for a gain as often as with
    each of them alone, taken together.

    Args:
        level: nominal coverage.
        seed: of the draws.
    """
    bests = {name: _best(one, reference.own) for name, one in tried.items()}
    nats = {name: reference.own - best.loss for name, best in bests.items()}
    if noise is None:
        gains = {name: Gain(nats[name], b.factor, None, b.at_edge) for name, b in bests.items()}
        return CellGains(gains, Gain(sum(nats.values())))
    rng = np.random.default_rng(seed)
    sigma = noise.sd * np.sqrt(noise.freedom / rng.chisquare(noise.freedom, DRAWS))
    own = reference.own + sigma * rng.standard_normal(DRAWS)
    seeds = max(reference.seeds, 1)
    others = own if reference.others is None else reference.others + (own - reference.own) / seeds**0.5
    draws: dict[str, tuple[Array, Array]] = {}
    for name, one in tried.items():
        fresh = sigma * rng.standard_normal((len(one.losses), DRAWS))
        draws[name] = _drawn(one, own, fresh), _drawn(one, others, fresh)
    gains = {
        name: Gain(
            nats[name],
            best.factor,
            _interval(nats[name], [best], draws[name], reference, noise, level),
            best.at_edge,
        )
        for name, best in bests.items()
    }
    summed = sum(nats.values())
    both = [np.sum(one, axis=0) for one in zip(*draws.values(), strict=True)]
    total = Gain(summed, None, _interval(summed, list(bests.values()), both, reference, noise, level))
    return CellGains(gains, total, {name: pair[0] for name, pair in draws.items()})


@dataclass(frozen=True)
class _Best:
    """The best multiple and its loss; the lowest loss of all that were tried, and whether that is the own run's."""

    factor: float
    loss: float
    lowest: float
    is_own: bool
    at_edge: bool


def _best(tried: Tried, own: float) -> _Best:
    losses = dict(sorted({**tried.losses, OWN: own}.items()))
    factors, values = list(losses), np.array(list(losses.values()))
    logs, place = _logs(factors), int(np.argmin(values))
    at, loss = _lowest(logs, values[:, None])
    return _Best(
        factor=factors[place] if at[0] == logs[place] else float(np.exp(at[0])),
        loss=float(loss[0]),
        lowest=float(values[place]),
        is_own=factors[place] == OWN,
        at_edge=place in (0, len(factors) - 1),
    )


def _drawn(tried: Tried, own: Array, fresh: Array) -> Array:
    """Gains (draws,) over ``own`` (draws,) of losses with ``fresh`` noise (tried, draws)."""
    others = dict(sorted(tried.losses.items()))
    rows = {f: loss + row for (f, loss), row in zip(others.items(), fresh, strict=True)}
    rows = dict(sorted({**rows, OWN: own}.items()))
    values = np.stack(list(rows.values()))
    return np.asarray(own - _lowest(_logs(list(rows)), values)[1])


def _logs(factors: Sequence[float]) -> Array:
    """Logarithms; of a multiple of 0, which switches something off, minus infinity."""
    with np.errstate(divide="ignore"):
        return np.log(np.array(factors))


def _lowest(logs: Array, values: Array) -> tuple[Array, Array]:
    """Where the losses ``values`` (n, draws) at ``logs`` (n,) are lowest, and how low that is; (draws,) both.

    The vertex of the parabola through the lowest and the two beside it, where these are near it; else the lowest.
    """
    n, draws = values.shape
    middle = np.argmin(values, axis=0)
    at, lowest = logs[middle], values[middle, np.arange(draws)]
    for place in range(1, n - 1):
        x = logs[place - 1 : place + 2]
        near = (values[[place - 1, place + 1]] <= values[place] + NEAR).all(axis=0)
        mine = np.flatnonzero((middle == place) & near)
        if not len(mine) or not np.isfinite(x).all():
            continue
        y = values[place - 1 : place + 2, mine]
        below, above = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
        bend = (above - below) / (x[2] - x[0])
        flat = bend <= 0  # three equal losses
        vertex = np.where(flat, x[1], (x[0] + x[1]) / 2 - below / np.where(flat, 1, 2 * bend))
        at[mine] = vertex
        lowest[mine] = y[0] + (vertex - x[0]) * (below + bend * (vertex - x[1]))
    return at, lowest


def _interval(
    nats: float,
    bests: Sequence[_Best],
    draws: Sequence[Array],
    reference: Reference,
    noise: Noise,
    level: float,
) -> Interval:
    # how far the lowest losses that were tried lie below the own run, each with its noise; of the own run's, not at all
    others = [best.lowest for best in bests if not best.is_own]
    n = len(others)
    over_own = n * reference.own - sum(others)
    if reference.others is None:
        low = over_own - noise.margin(level, n**2 + n)
    else:
        over_others = over_own + n * (reference.others - reference.own)
        low = min(over_own, over_others - noise.margin(level, n**2 / reference.seeds + n))
    ends = [percentile_interval(one, level) for one in draws]
    high = max(end[1] for end in ends if end is not None)
    return max(low, 0.0), max(high, nats)


@dataclass(frozen=True)
class Shift:
    """How far tuning at every size would move ln N* of a budget; None in ``interval`` where noise is not known."""

    log_params: float
    interval: Interval | None = None

    @property
    def beyond_noise(self) -> bool:
        """Whether its direction is known."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def shift(
    log_params: Sequence[float], gains: Sequence[float], draws: Sequence[Array], bend: float, level: float
) -> Shift:
    """The shift of the minimum of a profile L(x), x = ln N, whose losses fall by gains g(x): g' / L'', to first order.

    Where L' = 0 the profile of the better recipe, L - g, has the slope -g'; its minimum is where L' = g'. The slope g'
    is that of a straight line through the gains.

    Args:
        log_params: ln N of two or more cells of the budget.
        draws: of the gains under seed noise, an array (draws,) a cell; empty where noise is not known.
        bend: L'', positive; its own uncertainty is left out.
    """
    x = np.array(log_params)
    slope = (x - x.mean()) / np.sum((x - x.mean()) ** 2) / bend
    moved = float(slope @ np.array(gains))
    if not draws:
        return Shift(moved)
    return Shift(moved, percentile_interval(slope @ np.stack(draws), level))
