"""What a comparison finds: estimates of every arm by every approach, and their differences from the first arm."""

from dataclasses import dataclass
from typing import Any

from harness.compare.difference import Difference
from harness.fit.bootstrap import Interval
from harness.fit.encoding import encode
from harness.fit.status import is_good, is_serious, plain

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

    @property
    def doubted(self) -> str:
        """``do not use: misfit in adamw and muon``, ``caution: two budgets in muon``; empty where all is well."""
        for label, found in (("do not use", is_serious), ("caution", lambda code: not is_good(code))):
            arms: dict[str, list[str]] = {}
            for one in self.arms:
                if found(one.status):
                    arms.setdefault(plain(one.status), []).append(one.arm)
            if arms:
                return f"{label}: " + ", ".join(
                    f"{code} in {' and '.join(names)}" for code, names in arms.items()
                )
        return ""


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
class PairedBudget:
    """``arm`` minus the first arm at one budget, by runs in pairs.

    Attributes:
        budget: planned FLOPs. cells: shapes that both arms have there. pairs: differences of runs in all.
        mean: over the cells, each counting once. at_minimum: of the profiles' minima; None where there are too few
            cells.
        log_params: of ln N* by the minima of approach 2.
    """

    budget: float
    cells: int
    pairs: int
    mean: Difference
    at_minimum: Difference | None
    log_params: Difference


@dataclass(frozen=True, kw_only=True)
class PairedArm:
    """The paired differences of an arm.

    Attributes:
        unit: ``nats per token`` on one text, else ``bits per byte``.
        overall: the mean of the budgets' means; None without pairs.
        correlation: of the noise of runs of one cell and seed, with its interval; None without shared, repeated seeds.
        noise: standard deviation of one pair's difference from seed to seed; None without repeated seeds.
        reason: why there are no pairs; empty where there are.
    """

    arm: str
    unit: str
    budgets: tuple[PairedBudget, ...] = ()
    overall: Difference | None = None
    correlation: float | None = None
    correlation_interval: Interval | None = None
    noise: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class SavingRow:
    """Effective compute of an arm at C.

    Attributes:
        flops: C of the arm. log_ratio: ln of what the first arm needs for the same loss, over C.
        how: ``pairs``, ``trend`` (the line through the ratios of pairs at budgets) or ``frontiers``.
        within: C lies within the runs; else it is an extrapolation.
        log_seconds: the same of the time, in which both were measured; None where times cannot be compared.
    """

    flops: float
    log_ratio: Difference
    how: str
    within: bool
    log_seconds: Difference | None = None


@dataclass(frozen=True, kw_only=True)
class ArmSaving:
    """What an arm saves.

    Attributes:
        rows: by rising C. judged: the row of the verdict. trend: slope of the ln ratio in ln C.
        more_seeds: how many more a cell would show what is seen there, with a power of 80%; None where that is not
            known, or they would not.
        verdict: a sentence. reason: why nothing is told; empty where it is.
    """

    arm: str
    rows: tuple[SavingRow, ...] = ()
    judged: SavingRow | None = None
    trend: Difference | None = None
    more_seeds: int | None = None
    verdict: str = ""
    reason: str = ""


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
        verdict: sentences, one for every arm but the first on exponents, and one on what it saves.
        equal_time: None where an arm has no times, or no bits per byte.
        cautions: what the arms differ in, or share, besides what is compared; of an experiment's arms, what of their
            families, recipes, optimizers and counts of C may be part of a difference.
        paired, savings: one entry for every arm but the first.
        joint: what the test of ``joint=exponents`` said; empty where it was not asked for.
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
    paired: tuple[PairedArm, ...] = ()
    savings: tuple[ArmSaving, ...] = ()
    joint: str = ""

    @property
    def deciding(self) -> ApproachComparison | None:
        """The deciding approach's comparison."""
        return next((found for found in self.approaches if found.approach == self.decides), None)

    def to_json(self) -> dict[str, Any]:
        """The content of ``compare.json``."""
        return encode(self)
