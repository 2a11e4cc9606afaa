"""The rule of one hyperparameter as it is reported."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import numpy as np
from scipy.special import stdtrit

from harness.fit.table import Array
from harness.plan.recipe_rules import Rule, significant
from harness.tune.axes import Axis
from harness.tune.config import TuneConfig
from harness.tune.results import Interval
from harness.tune.rules import exponential, multiplied, quantiles, widened
from harness.tune.sequential.best_tried import BestTried, best_tried
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.parts import Parts
from harness.tune.sequential.points import Trainer, label, reference
from harness.tune.sequential.results import AxisResult, Exponent
from harness.tune.sequential.terms import CONST, PARAMS, RATIO, TOKENS


class _Costs(TypedDict):
    cost_of_two: float | None
    cost_of_two_interval: Interval | None
    cost_of_double: float | None
    cost_of_half: float | None


def rule_result(
    trainer: Trainer, observed: Observed, parts: Parts | None, tune: TuneConfig, j: int
) -> AxisResult:
    """The rule of axis ``j``: through the usable points' best values, or the recipe's own where there are none.

    Args:
        parts: None without a surface.
    """
    axis = trainer.axes[j]
    before = axis.before(trainer.rules.recipe)
    surfaces = None if parts is None else parts.surfaces
    noise, freedom = (None, 0) if surfaces is None else (surfaces.noise, surfaces.freedom)
    if parts is None:
        tried = best_tried(observed, j, tune.window, tune.level, noise, freedom)
        return _best_tried(trainer, before, axis, tried)
    status = parts.status[j]
    excluded = tuple(
        (label(point), one) for point, one in zip(trainer.points, status, strict=True) if one != "ok"
    )
    row = parts.row(axis.name)
    cost = _costs(parts, j)
    if row is None or not parts.best.usable[row].any():
        tried = best_tried(observed, j, tune.window, tune.level, noise, freedom) if row is None else None
        # at some points a loss that falls to one end may be luck; where it is flat at as many, the recipe stays
        if 2 * sum(one in ("beyond", "cliff") for one in status) > len(status):
            factor = _to_the_edge(parts, j)
            rule = _moved(trainer, axis, before, factor)
            there = tried is not None and tried.h * np.log(factor) > 0  # the edge gains as much at least
            return AxisResult(
                axis.name,
                axis.key,
                rule,
                "at_edge",
                excluded=excluded,
                gain=tried.gain if tried is not None and there else None,
                gain_interval=tried.interval if tried is not None and there else None,
                **cost,
            )
        return replace(_best_tried(trainer, before, axis, tried), excluded=excluded, **cost)
    names = [term for name, term in parts.rules.model.names if name == axis.name]
    usable = int(parts.best.usable[row].sum())
    scatter = float(parts.rules.scatter[row])
    wider = max(1.0, scatter if np.isfinite(scatter) else 1.0)
    line, drawn = parts.rules.lines[row], parts.rules.drawn[:, row]
    kind = "level_only" if usable == 1 else "ok" if usable > len(names) else "untested"
    return AxisResult(
        axis=axis.name,
        key=axis.key,
        rule=_rule(trainer, axis.name, line),
        status=kind,
        value_interval=exponential(_about(line[0], drawn[:, 0], parts.level, wider)),
        params=_exponent(line[1], drawn[:, 1], parts.level, wider),
        tokens=_exponent(line[2], drawn[:, 2], parts.level, wider),
        tested_params=_tested(parts, axis.name, PARAMS),
        tested_tokens=_tested(parts, axis.name, TOKENS),
        timescale=_of_decay(parts, axis.name, CONST, wider, names) if usable > 1 else None,
        ratio=_of_decay(parts, axis.name, RATIO, wider, names) if usable > 1 else None,
        points=usable,
        excluded=excluded,
        scatter=scatter if np.isfinite(scatter) else None,
        ratio_of="D" if parts.places.at_base else "D/N",
        **cost,
    )


def _best_tried(trainer: Trainer, before: Rule, axis: Axis, tried: BestTried | None) -> AxisResult:
    """The recipe's own rule, moved to the best value that was tried where there is one."""
    if tried is None:
        return AxisResult(axis.name, axis.key, before, "flat")
    return AxisResult(
        axis.name,
        axis.key,
        _moved(trainer, axis, before, float(np.exp(tried.h))),
        "best_tried",
        points=tried.points,
        gain=tried.gain,
        gain_interval=tried.interval,
    )


def _moved(trainer: Trainer, axis: Axis, before: Rule, factor: float) -> Rule:
    """``before``, by so many times as much at the points."""
    name, points = axis.name, trainer.points
    if all(trainer.said(before, name, point) == before(point.read(name), point.tokens) for point in points):
        return multiplied(before, factor)
    # the steps that a run has at least shrink the batch, which no rule can say: what it comes to at the points
    return _rule(trainer, name, trainer.places().held[name].array + np.array([np.log(factor), 0.0, 0.0]))


def _rule(trainer: Trainer, axis: str, line: Array) -> Rule:
    own, read, tokens = reference(trainer.points)
    params = significant(float(line[1])) if abs(line[1]) > 1e-9 else 0.0
    power = significant(float(line[2])) if abs(line[2]) > 1e-9 else 0.0
    # the rate's rule names its N in any case: a parametrization finds its base by it
    at = (own if axis == "batch" else read) if params or axis == "rate" else 1.0
    return Rule(
        value=significant(float(np.exp(line[0]))),
        params=params,
        params_at=at,
        tokens=power,
        tokens_at=tokens if power else 1.0,
    )


def _to_the_edge(parts: Parts, j: int) -> float:
    """By what the recipe's own rule is multiplied where no point has a minimum: to the end of what was tried."""
    low, high = parts.observed.tried()
    ends = []
    for p, status in enumerate(parts.status[j]):
        if status in ("beyond", "cliff"):
            if parts.surfaces.active[j]:
                upwards = parts.surfaces.best[p, j] > high[p, j]
            else:
                upwards = parts.surfaces.slope[p, j] < 0
            ends.append(high[p, j] if upwards else low[p, j])
        else:
            ends.append(0.0)
    return float(np.exp(np.mean(ends)))


def _costs(parts: Parts, j: int) -> _Costs:
    surfaces = parts.surfaces
    if not surfaces.active[j]:
        return _Costs(cost_of_two=None, cost_of_two_interval=None, cost_of_double=None, cost_of_half=None)
    (more, drawn_more), (less, drawn_less) = (surfaces.along(j, off) for off in (np.log(2), -np.log(2)))
    skewed = bool(surfaces.cube[j])
    return _Costs(
        cost_of_two=(more + less) / 2,
        cost_of_two_interval=quantiles((drawn_more + drawn_less) / 2, parts.level),
        cost_of_double=more if skewed else None,
        cost_of_half=less if skewed else None,
    )


def _exponent(value: float, drawn: Array, level: float, wider: float) -> Exponent | None:
    if abs(value) < 1e-9 and float(np.ptp(drawn)) < 1e-9:
        return None
    ends = None if float(np.ptp(drawn)) < 1e-9 else _about(value, drawn, level, wider)
    return Exponent(float(value), ends)


def _tested(parts: Parts, axis: str, term: str) -> Exponent | None:
    tested = parts.rules.tested.get((axis, term))
    if tested is None:
        return None
    reach = tested.error * float(stdtrit(parts.surfaces.freedom, (1 + parts.level) / 2))
    return Exponent(tested.value, (tested.value - reach, tested.value + reach), tested.p, tested.taken)


def _of_decay(parts: Parts, axis: str, term: str, wider: float, names: Sequence[str]) -> Exponent | None:
    if axis != "weight_decay" or term not in names:
        return None
    column = parts.rules.model.names.index((axis, term))
    # its coefficients are those of ln lambda: of tau they have the other sign
    sign = -1.0 if term == CONST else 1.0
    value, drawn = sign * parts.rules.theta[column], sign * parts.rules.drawn_theta[:, column]
    if term == CONST:
        return Exponent(float(np.exp(value)), exponential(_about(value, drawn, parts.level, wider)))
    return _exponent(value, drawn, parts.level, wider)


def _about(center: float, drawn: Array, level: float, factor: float) -> Interval | None:
    return widened(float(center), quantiles(drawn, level), factor)
