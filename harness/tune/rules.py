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
        multiple: (sizes,) of ``value`` over the middle of the grid.
        said: (sizes,), what the rule tuned from says, its limits included; None: by ``params`` alone.
        status: per size; only ``ok`` ones carry a power law.
    """

    params: Array
    value: Array
    draws: Array | None
    multiple: Array
    status: tuple[str, ...]
    said: Array | None = None


def quantiles(draws: Array, level: float) -> Interval | None:
    """The central interval of the finite draws (n,); None with fewer than half of them."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < max(20, len(draws) / 2):
        return None
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def power_rule(best: BestValues, before: Rule, level: float) -> RuleResult:
    """The rule through the sizes whose status is ``ok``.

    A power law needs two of them. With one, the rule before is kept and moved to that size's best value; with none, by
    the geometric mean of what would move it to the edges. Statuses say which it was.
    """
    good = np.array([status == "ok" for status in best.status])
    excluded = tuple(
        (int(n), status) for n, status in zip(best.params, best.status, strict=True) if status != "ok"
    )
    if good.sum() < 2:
        chosen = good if good.any() else np.isfinite(best.multiple)
        said = best.said if best.said is not None else np.array([before(n, 1.0) for n in best.params])
        moved = float(np.exp(np.mean(np.log(best.value[chosen] / said[chosen])))) if chosen.any() else 1.0
        status = "level_only" if good.any() else "at_edge"
        used = tuple(int(n) for n in best.params[good])
        return RuleResult(multiplied(before, moved), status, params=used, excluded=excluded)
    at = significant(float(np.exp(np.mean(np.log(best.params[good])))), 3)
    x, y = np.log(best.params[good] / at), np.log(best.value[good])
    intercept, slope = (float(part) for part in fit_power(x, y))
    rule = Rule(value=significant(float(np.exp(intercept))), params=significant(slope), params_at=at)
    value_interval, exponent_interval, scatter = None, None, None
    if best.draws is not None:
        draws = best.draws[:, good]
        scatter = _birge(y - intercept - slope * x, draws, 2)
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


def constant_rule(best: BestValues, power: RuleResult, base_params: float, level: float) -> RuleResult:
    """The rule as a parametrization reads it, at one N for every size: the geometric mean of the sizes' best values.

    Args:
        power: what :func:`power_rule` makes of the same values, which stays where it is no power law through sizes: the
            recipe's own rule, moved, at that N.
        base_params: that N.
    """
    if power.status not in ("ok", "two_sizes"):
        rule = power.rule
        value = significant(rule.value * (base_params / rule.params_at) ** rule.params)
        return replace(power, rule=replace(rule, value=value, params=0.0, params_at=base_params))
    good = np.array([status == "ok" for status in best.status])
    y = np.log(best.value[good])
    middle = float(y.mean())
    interval, scatter = None, None
    if best.draws is not None:
        draws = best.draws[:, good]
        scatter = _birge(y - middle, draws, 1)
        interval = exponential(
            widened(middle, quantiles(draws.mean(axis=1), level), max(1.0, scatter or 1.0))
        )
    return RuleResult(
        Rule(value=significant(float(np.exp(middle))), params_at=base_params),
        "constant",
        value_interval=interval,
        params=power.params,
        excluded=power.excluded,
        scatter=scatter,
    )


def multiplied(rule: Rule, factor: float) -> Rule:
    """``factor`` times ``rule`` everywhere: its limits, too."""
    if factor == 1:
        return rule
    changed = {name: significant(factor * getattr(rule, name)) for name in ("value", "minimum", "maximum")}
    return replace(rule, **changed)


def _birge(residuals: Array, draws: Array, coefficients: int) -> float | None:
    """Root of chi² over its degrees of freedom (Birge 1932): above 1 the sizes scatter more than noise says."""
    freedom = len(residuals) - coefficients
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
