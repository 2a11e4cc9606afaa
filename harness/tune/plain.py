"""Parts of a tuning's ``tune.json``, of either design."""

from typing import Any

from harness.plan.recipe_rules import Rule

UNLIMITED = {"minimum": 0.0, "maximum": float("inf")}


def rule_to_json(rule: dict[str, Any]) -> dict[str, Any]:
    """The fields of a rule; JSON has no infinity: a rule without bounds has none."""
    return {name: None if value == UNLIMITED.get(name) else value for name, value in rule.items()}


def rule_from_json(data: dict[str, Any]) -> Rule:
    """Inverse of :func:`rule_to_json`."""
    return Rule(**{name: value for name, value in data.items() if value is not None})


def tuples(data: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists are tuples in the results."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
