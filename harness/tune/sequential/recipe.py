"""The recipe that a tuning in rounds leaves."""

from collections.abc import Mapping
from dataclasses import replace

from harness.fit.bootstrap import bounds_text
from harness.plan.recipe_rules import MeasuredRange, RecipeConfig
from harness.runs.record import Record
from harness.text import count, counted
from harness.tune.axes import AXES
from harness.tune.measured_under import measured_under
from harness.tune.recipe import corpora_line, measured_range, recipe_text, runs_line
from harness.tune.results import Interval
from harness.tune.sequential.results import RULE_STATUSES, AxisResult, Exponent, RoundsFit

ABOUT = """\
# Written by 'isoflop tune'. Measured over the N and D of 'measured'; elsewhere it extrapolates.
"""


def tuned_recipe(
    name: str, fit: RoundsFit, before: RecipeConfig, records: Mapping[str, Record]
) -> RecipeConfig:
    """``before`` with the rules of ``fit``, where they come from, and over what they were measured.

    Args:
        records: the tuning's runs, by id.
    """
    recipe = before
    for one in fit.rules:
        recipe = AXES[one.axis].into(recipe, one.rule)
    return replace(
        recipe,
        name=name,
        source=source_line(fit, before, records),
        measured=measured_under(_measured(fit, before), before.measured, records),
    )


def _measured(fit: RoundsFit, before: RecipeConfig) -> MeasuredRange:
    """Over the points with a minimum of the learning rate, or of any axis where the rate was not tuned and ``before``
    does not say over what its own was: what was tuned beside that says nothing of where it holds."""
    rate = {one.axis: one.status for one in fit.rules}.get("rate")
    if rate is None and before.measured.params:
        return before.measured
    axes = fit.axes if rate is None else ("rate",)
    seen = [point for point in fit.points if any(point.values[axis].status == "ok" for axis in axes)]
    kept = MeasuredRange() if rate in ("at_edge", "best_tried") else before.measured
    return measured_range(((point.params, point.tokens) for point in seen), kept)


def rounds_yaml(name: str, fit: RoundsFit, before: RecipeConfig, records: Mapping[str, Record]) -> str:
    """The file of :func:`tuned_recipe`."""
    return recipe_text(tuned_recipe(name, fit, before, records), ABOUT)


def source_line(fit: RoundsFit, before: RecipeConfig, records: Mapping[str, Record]) -> str:
    """One line: which runs, which corpus, which rules with which intervals."""
    runs = runs_line(fit.name, [trial.loss for trial in fit.trials], records)
    rules = "; ".join(f"{one.axis}: {rule_text(one)}" for one in fit.rules)
    return (
        f"isoflop tune: {runs} at {counted(len(fit.points), 'point')} (N, D), {fit.count} parameters, corpus "
        f"{corpora_line(records)}, around recipe {before.name}; intervals {100 * fit.level:g}%; {rules}"
    )


def rule_text(one: AxisResult) -> str:
    """``0.0091 (0.0085 to 0.0098) (N/25.0k)^-0.61 (-0.72 to -0.50), through more points than it has coefficients``."""
    rule = one.rule
    text = f"{rule.value:.4g}{_ends(one.value_interval)}"
    for symbol, power, at, found in (
        ("N", rule.params, rule.params_at, one.params),
        ("D", rule.tokens, rule.tokens_at, one.tokens),
    ):
        if power:
            text += f" ({symbol}/{count(at)})^{power:.3g}{_ends(found.interval if found else None)}"
    text += f", {RULE_STATUSES[one.status]}"
    if one.gain is not None:
        text += f"; gains {one.gain:.2g}{_ends(one.gain_interval, 2)} nats"
    if one.timescale is not None:
        text += f"; B/(rate lambda D) = {_exponent(one.timescale)}"
        if one.ratio is not None:
            text += f" by {'(D/N)' if one.ratio_of == 'D/N' else one.ratio_of}^{_exponent(one.ratio)}"
    for symbol, tested in (("N", one.tested_params), ("D", one.tested_tokens)):
        if tested is not None and not tested.taken:
            text += f"; an exponent of {symbol} would be {_exponent(tested)}"
    if one.excluded:
        text += "; left out: " + ", ".join(f"{label} ({why})" for label, why in one.excluded)
    if one.scatter is not None and one.scatter > 2:
        text += f"; the points scatter {one.scatter:.1f} times as much as noise says (intervals are widened)"
    return text


def _exponent(one: Exponent) -> str:
    return f"{one.value:.3g}{_ends(one.interval)}"


def _ends(interval: Interval | None, digits: int = 3) -> str:
    return "" if interval is None else f" ({bounds_text(interval, lambda end: f'{end:.{digits}g}')})"
