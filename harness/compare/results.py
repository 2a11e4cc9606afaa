"""What a comparison finds: estimates of every arm by every approach, and their differences from the first arm."""

from dataclasses import dataclass
from typing import Any

from harness.compare.difference import Difference
from harness.fit.bootstrap import Interval
from harness.fit.encoding import encode

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
class FrontierComparison:
    """Everything ``compare.json`` holds.

    Attributes:
        flops: the common budget, the largest that lies within the runs of every arm.
        decides: the approach the verdict is taken from; None where none has numbers in every arm.
        verdict: sentences, one for every arm but the first.
        cautions: what the arms differ in, or share, besides what is compared; arms of one experiment, in families only.
    """

    name: str
    level: float
    flops: float
    arms: tuple[ArmFacts, ...]
    approaches: tuple[ApproachComparison, ...]
    decides: str | None
    verdict: tuple[str, ...]
    cautions: tuple[str, ...] = ()

    @property
    def deciding(self) -> ApproachComparison | None:
        """The deciding approach's comparison."""
        return next((found for found in self.approaches if found.approach == self.decides), None)

    def to_json(self) -> dict[str, Any]:
        """The content of ``compare.json``."""
        return encode(self)
