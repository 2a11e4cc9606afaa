"""From the sizes' best values to a rule: a power law in N, or the recipe's own rule moved where there is none."""

from dataclasses import dataclass, replace

import numpy as np

from harness.fit.powerlaw import fit_power
from harness.fit.table import Array
from harness.plan.recipe_rules import Rule, significant
from harness.tune.results import Interval, RuleResult


@dataclass(frozen=True, eq=False)
class BestValues:
    """The best values of one hyperparameter.

    Attributes:
        params: (sizes,), N as the recipe counts it.
        value: (sizes,), the best rate or batch; at the edge of the grid where ``status`` says so.
        draws: (draws, sizes) of its logarithm; None without a bootstrap.
        multiple: (sizes,) of ``value`` over what the recipe tuned from says.
        status: per size; only ``ok`` ones carry a power law.
    """

    params: Array
    value: Array
    draws: Array | None
    multiple: Array
    status: tuple[str, ...]


def quantiles(draws: Array, level: float) -> Interval | None:
    """The central interval of the finite draws (n,); None with fewer than half of them."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < max(20, len(draws) / 2):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def power_rule(best: BestValues, before: Rule, level: float) -> RuleResult:
    """The rule through the sizes whose status is ``ok``.

    A power law needs two of them. With one, the rule before is kept and moved by that size's multiple; with
    none, by the geometric mean of the multiples at the edges. Statuses say which it was.
    """
    good = np.array([status == "ok" for status in best.status])
    excluded = tuple(
        (int(n), status) for n, status in zip(best.params, best.status, strict=True) if status != "ok"
    )
    if good.sum() < 2:
        chosen = good if good.any() else np.isfinite(best.multiple)
        moved = float(np.exp(np.mean(np.log(best.multiple[chosen])))) if chosen.any() else 1.0
        rule = replace(before, value=significant(before.value * moved), minimum=0.0, maximum=float("inf"))
        status = "level_only" if good.any() else "at_edge"
        return RuleResult(rule, status, params=tuple(int(n) for n in best.params[good]), excluded=excluded)
    at = significant(float(np.exp(np.mean(np.log(best.params[good])))), 3)
    x, y = np.log(best.params[good] / at), np.log(best.value[good])
    intercept, slope = (float(part) for part in fit_power(x, y))
    rule = Rule(value=significant(float(np.exp(intercept))), params=significant(slope), params_at=at)
    value_interval, exponent_interval, scatter = None, None, None
    if best.draws is not None:
        draws = best.draws[:, good]
        scatter = _birge(y - intercept - slope * x, draws)
        widen = max(1.0, scatter or 1.0)
        intercepts, slopes = fit_power(x, draws)
        exponent_interval = widened(slope, quantiles(slopes, level), widen)
        value_interval = exponential(widened(intercept, quantiles(intercepts, level), widen))
    return RuleResult(
        rule,
        "ok" if good.sum() > 2 else "two_sizes",
        exponent_interval,
        value_interval,
        tuple(int(n) for n in best.params[good]),
        excluded,
        scatter,
    )


def _birge(residuals: Array, draws: Array) -> float | None:
    """Root of chi² over its degrees of freedom (Birge 1932): above 1 the sizes scatter more than noise says."""
    freedom = len(residuals) - 2
    if freedom < 1:
        return None
    low, high = np.nanquantile(draws, [0.16, 0.84], axis=0)
    spread = np.maximum((high - low) / 2, 1e-9)
    return float(np.sqrt(np.sum((residuals / spread) ** 2) / freedom))


def widened(center: float, interval: Interval | None, factor: float) -> Interval | None:
    """``interval`` about ``center``, ``factor`` times as wide on either side."""
    if interval is None:
        return None
    return center - factor * (center - interval[0]), center + factor * (interval[1] - center)


def exponential(interval: Interval | None) -> Interval | None:
    """Of an interval of a logarithm that of the number."""
    return None if interval is None else (float(np.exp(interval[0])), float(np.exp(interval[1])))
