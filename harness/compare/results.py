"""The difference of one quantity between two arms, with an interval from the stored bootstrap draws.

What a comparison says: estimates of every arm by every approach, and their differences from the first arm.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.fit.encoding import encode
from harness.fit.intervals import Interval, percentile_interval
from harness.fit.table import Array

DIFFER, ALIKE, UNKNOWN = "differ", "do not differ", "cannot be told"
PAIRINGS = 16


@dataclass(frozen=True, eq=False)
class Estimate:
    """A quantity of one arm: the fit's value, its draws (n,) where there are any, and why not to believe it."""

    value: float | None
    draws: Array | None = None
    doubt: str = ""


@dataclass(frozen=True)
class Difference:
    """Second arm minus first.

    Attributes:
        interval: central interval at the fits' level; None where an arm has no draws.
        verdict: ``differ`` where the interval leaves zero out, ``do not differ`` where it holds zero and is short
            enough for that to mean something, else ``cannot be told``.
        reason: why it cannot be told.
    """

    value: float | None
    interval: Interval | None
    verdict: str
    reason: str = ""


def difference(
    first: Estimate, second: Estimate, level: float, resolution: float, noise: float = 0.0
) -> Difference:
    """``second - first`` with the interval of two independent bootstraps.

    Args:
        noise: standard error of the difference from what the draws do not hold (the sampling of held-out documents).
        level: nominal coverage of the interval.
        resolution: a difference that matters. An interval that holds zero and reaches further than this to one
            side tells nothing: runs that could not have shown such a difference are no evidence against it.
    """
    if first.value is None or second.value is None:
        reason = first.doubt or second.doubt or "an arm has no number"
        return Difference(None, None, UNKNOWN, reason)
    value = second.value - first.value
    if first.draws is None or second.draws is None:
        return Difference(value, None, UNKNOWN, "an arm has no bootstrap draws")
    draws = independent(first.draws, second.draws)
    if noise:
        draws = draws + noise * np.random.default_rng(1).standard_normal(len(draws))
    interval = percentile_interval(draws, level)
    if interval is None:
        return Difference(value, None, UNKNOWN, "too few of the bootstrap draws have a number")
    if doubt := first.doubt or second.doubt:
        return Difference(value, interval, UNKNOWN, doubt)
    if interval[0] > 0 or interval[1] < 0:
        return Difference(value, interval, DIFFER)
    if max(-interval[0], interval[1]) > resolution:
        return Difference(
            value, interval, UNKNOWN, f"these runs could not have shown a difference of {resolution:.2g}"
        )
    return Difference(value, interval, ALIKE)


def independent(first: Array, second: Array) -> Array:
    """Differences ``second - first`` of draws (n,) and (m,), paired at random, several pairings one after another.

    Arms are resampled with the same seed, so draw i of one and draw i of the other turn the same way: paired as
    they stand they would pass for dependent.
    """
    rng = np.random.default_rng(0)
    n = min(len(first), len(second))
    pairs = [rng.permutation(second)[:n] - rng.permutation(first)[:n] for _ in range(PAIRINGS)]
    return np.concatenate(pairs)


# In the order of the tables: exponents, then the optimum at the common budget.
QUANTITIES = ("a", "b", "log_params", "log_tokens", "bits_per_byte")


@dataclass(frozen=True, kw_only=True)
class ArmEstimates:
    """One approach's numbers in one arm; intervals at the fit's level; ``status`` is the approach's own.

    Attributes:
        a, b: exponents of N* and D*.
        params, tokens, loss, bits_per_byte: N*, D*, L* (nats per token) and L* in bits per byte at the common budget.
        loss_kind: ``held-out``, or ``training`` (approach 1), which has no bits per byte: they are of held-out text.
    """

    arm: str
    status: str
    a: float | None = None
    b: float | None = None
    params: float | None = None
    tokens: float | None = None
    loss: float | None = None
    loss_kind: str = "held-out"
    bits_per_byte: float | None = None
    a_interval: Interval | None = None
    b_interval: Interval | None = None
    params_interval: Interval | None = None
    tokens_interval: Interval | None = None
    loss_interval: Interval | None = None
    bits_per_byte_interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class ArmDifferences:
    """``arm`` minus the first arm, by quantity (``QUANTITIES``; logs are natural)."""

    arm: str
    by_quantity: dict[str, Difference]


@dataclass(frozen=True, kw_only=True)
class ApproachComparison:
    """One approach over all arms; ``differences`` has one entry for every arm but the first."""

    approach: str
    arms: tuple[ArmEstimates, ...]
    differences: tuple[ArmDifferences, ...]


@dataclass(frozen=True, kw_only=True)
class ArmFacts:
    """What an arm was: number of runs in its fit, corpus, and how N and C were counted."""

    name: str
    runs: int
    corpus: str
    fingerprint: str
    count: str
    compute: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything ``compare.json`` holds.

    Attributes:
        flops: the common budget, the largest that lies within the runs of every arm.
        decides: the approach the verdict is taken from; None where none has numbers in every arm.
        verdict: sentences, one for every arm but the first.
    """

    name: str
    level: float
    flops: float
    arms: tuple[ArmFacts, ...]
    approaches: tuple[ApproachComparison, ...]
    decides: str | None
    verdict: tuple[str, ...]

    @property
    def deciding(self) -> ApproachComparison | None:
        """The deciding approach's comparison."""
        return next((found for found in self.approaches if found.approach == self.decides), None)

    def to_json(self) -> dict[str, Any]:
        """The content of ``compare.json``."""
        return encode(self)
