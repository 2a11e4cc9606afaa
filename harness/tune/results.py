"""What a tuning found: the content of ``tune.json``."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.plan.recipe_rules import Rule
from harness.tune.design import Trial
from harness.tune.plain import rule_from_json, rule_to_json, tuples
from harness.tune.surface import BATCH, RATE, Surface

Interval = tuple[float, float]

# Why a size's minimum is no number to build on, and why a rule is no power law through minima.
STATUSES = {
    "ok": "the minimum lies within the grid",
    "edge_rate": "the lowest loss is at the lowest or highest learning rate tried",
    "edge_batch": "the lowest loss is at the smallest or largest batch tried",
    "cliff": "the lowest loss is at the highest learning rate that does not diverge",
    "not_a_bowl": "the losses do not curve upwards in learning rate and batch, or not surely so",
    "too_few_runs": "the runs near the minimum do not determine a response surface",
}
RULE_STATUSES = {
    "ok": "a power law through three or more sizes",
    "two_sizes": "a line through two sizes: nothing tests it",
    "constant": "one value for all sizes, which the parametrization reads: the geometric mean of their best ones",
    "level_only": "one usable size: the recipe's own exponents, moved to its minimum",
    "at_edge": "no usable size: the recipe's own exponents, moved to the edge of the grid that is lowest",
    "held": "not varied: the recipe's own rule",
}


@dataclass(frozen=True)
class SizeResult:
    """One size.

    Attributes:
        params: N as the recipe counts it; ``params_total`` all of them. ``tokens``: D.
        shape: as tables have it, ``64x2``; empty in files of earlier versions.
        runs, diverged, used: trained; of these diverged; of these near enough to the minimum for the fit.
        recipe_rate, recipe_batch: the centre of the grid: what the recipe tuned from says.
        status: a key of :data:`STATUSES`; ``flags`` are all that hold, ``notes`` say it for people.
        rate_opt, batch_opt: the minimum, with bootstrap intervals; null unless ``status`` is ``ok`` (an axis
            that was not varied has the value it was kept at, and no interval).
        rate_best, batch_best: the lowest point within the grid, whatever the status; null without a surface.
        loss_opt: fitted loss there, nats per token.
        recipe_excess: excess loss of the recipe tuned from over the minimum, nats per token; fitted where the centre is
            near the minimum, else measured (``recipe_excess_measured``). ``recipe_excess_interval`` is from 0 to an
            upper bound at the tuning's level: no lower one can be told.
        rule_rate, rule_batch, rule_excess: what the new rules say for this size, and their excess loss, nats per token.
        rate_at_rule: best rate at the batch of the new rule, what the rate's rule is drawn through.
        rate_bound: the lowest rate that diverged at about this batch or a larger one.
        surface: the fitted surface; null without.
    """

    params: int
    params_total: int
    tokens: float
    runs: int
    diverged: int
    used: int
    recipe_rate: float
    recipe_batch: int
    status: str
    flags: tuple[str, ...]
    notes: tuple[str, ...]
    loss_lowest: float | None
    rate_opt: float | None = None
    rate_interval: Interval | None = None
    batch_opt: float | None = None
    batch_interval: Interval | None = None
    rate_best: float | None = None
    batch_best: float | None = None
    loss_opt: float | None = None
    loss_interval: Interval | None = None
    recipe_excess: float | None = None
    recipe_excess_interval: Interval | None = None
    recipe_excess_measured: bool = False
    rule_rate: float | None = None
    rule_batch: float | None = None
    rule_excess: float | None = None
    rate_at_rule: float | None = None
    rate_at_rule_interval: Interval | None = None
    rate_at_rule_status: str = ""
    rate_bound: float | None = None
    surface: Surface | None = None
    shape: str = ""


@dataclass(frozen=True)
class RuleResult:
    """A rule for the recipe: ``rule.value · (N / rule.params_at)^rule.params``.

    Attributes:
        status: a key of :data:`RULE_STATUSES`.
        exponent_interval, value_interval: at ``level``; null where the status is not ``ok`` or ``two_sizes``; of
            ``constant`` the value alone has one.
        params: sizes that the line goes through, or the mean is of.
        excluded: the other sizes and why.
        scatter: sizes' scatter about the line or mean over what noise explains (Birge's ratio; intervals are widened
            by it where it is above 1); null where no size is left to tell.
    """

    rule: Rule
    status: str
    exponent_interval: Interval | None = None
    value_interval: Interval | None = None
    params: tuple[int, ...] = ()
    excluded: tuple[tuple[int, str], ...] = ()
    scatter: float | None = None


@dataclass(frozen=True)
class TuneFit:
    """A tuning's whole result.

    Attributes:
        count: which parameter count N is.
        noise: standard deviation of a run about its response surface, nats per token.
        skewed: whether the two sides of a minimum may differ (not where the runs do not determine it).
        curvature_p: chance of differences between the sizes' curvatures as large as these, were they equal.
    """

    name: str
    count: str
    level: float
    window: float
    sizes: tuple[SizeResult, ...]
    rate: RuleResult
    batch: RuleResult
    noise: float | None
    skewed: bool
    curvature_p: float | None
    draws: int
    seed: int
    trials: tuple[Trial, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The content of ``tune.json``."""
        data = asdict(self)
        for size, result in zip(data["sizes"], self.sizes, strict=True):
            size["surface"] = _plain(result.surface)
        for name in ("rate", "batch"):
            data[name]["rule"] = rule_to_json(data[name]["rule"])
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TuneFit":
        """Inverse of :meth:`to_json`."""
        return cls(
            **{
                **data,
                "sizes": tuple(_size(size) for size in data["sizes"]),
                "rate": _rule(data["rate"]),
                "batch": _rule(data["batch"]),
                "trials": tuple(Trial(**trial) for trial in data["trials"]),
                "notes": tuple(data["notes"]),
            }
        )


def _size(data: dict[str, Any]) -> SizeResult:
    return SizeResult(**{**tuples(data), "surface": _surface(data["surface"])})


def _rule(data: dict[str, Any]) -> RuleResult:
    rule = rule_from_json(data["rule"])
    excluded = tuple((params, reason) for params, reason in data["excluded"])
    return RuleResult(**{**tuples(data), "rule": rule, "excluded": excluded})


def _surface(data: dict[str, Any] | None) -> Surface | None:
    if data is None:
        return None
    arrays = {name: np.array(value, dtype=float) for name, value in data.items() if name != "tilt"}
    bend = arrays["bend"]
    axes = tuple(axis for axis in (RATE, BATCH) if bend[axis].any())  # one that was not varied is flat
    return Surface(**arrays, tilt=data["tilt"], axes=axes)


def _plain(surface: Surface | None) -> dict[str, Any] | None:
    if surface is None:
        return None
    names = ("level", "slope", "bend", "skew", "origin", "tilt")
    return {
        name: getattr(surface, name) if name == "tilt" else getattr(surface, name).tolist() for name in names
    }
