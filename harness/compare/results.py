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
class EqualTimeRow:
    """``arm`` against the first at one of the first's budgets: at equal FLOPs, and in equal time.

    Attributes:
        first_seconds, seconds: that training the best cell of ``budget`` took in the first arm and in this one.
        measured: ``budget`` lies within this arm's budgets, too; else its time there is in proportion to C.
        at_flops: loss of this arm minus that of the first at ``budget``.
        flops: C that this arm spends in ``first_seconds``; ``within`` says whether that is within its budgets.
        at_time: its loss there minus that of the first at ``budget``.
    """

    arm: str
    budget: float
    first_seconds: float
    seconds: float
    measured: bool
    at_flops: Difference
    flops: float
    within: bool
    at_time: Difference


@dataclass(frozen=True, kw_only=True)
class EqualTime:
    """Arms in equal time, by the frontiers of one approach.

    Attributes:
        unit: of differences of losses: ``nats per token`` on one text, else ``bits per byte``.
        devices: by arm, what its best cells were timed on.
    """

    approach: str
    first: str
    unit: str
    rows: tuple[EqualTimeRow, ...]
    devices: dict[str, tuple[str, ...]]

    @property
    def one_device(self) -> bool:
        """Whether all times are of one device and precision; others say nothing of the arms."""
        return len({device for devices in self.devices.values() for device in devices}) == 1


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
        equal_time: None where an arm has no times, or no bits per byte.
        cautions: what the arms differ in, or share, besides what is compared; of an experiment's arms, what of their
            families, recipes, optimizers and counts of C may be part of a difference.
    """

    name: str
    level: float
    flops: float
    arms: tuple[ArmFacts, ...]
    approaches: tuple[ApproachComparison, ...]
    decides: str | None
    verdict: tuple[str, ...]
    equal_time: EqualTime | None = None
    cautions: tuple[str, ...] = ()

    @property
    def deciding(self) -> ApproachComparison | None:
        """The deciding approach's comparison."""
        return next((found for found in self.approaches if found.approach == self.decides), None)

    def to_json(self) -> dict[str, Any]:
        """The content of ``compare.json``."""
        return encode(self)
