"""The tuned recipe as a file of ``configs/recipe``."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.fit.bootstrap import bounds_text
from harness.plan.recipe_rules import MeasuredRange, RecipeConfig, Rule, significant
from harness.runs.files import replace_text
from harness.runs.record import Record
from harness.text import count, counted
from harness.tune.results import RULE_STATUSES, RuleResult, TuneFit

ALWAYS = ("lr", "batch_tokens", "min_steps", "beta2", "weight_decay", "warmup_share")


def recipe_yaml(name: str, fit: TuneFit, before: RecipeConfig, records: Mapping[str, Record]) -> str:
    """The recipe's text: ``before`` with the tuned rate and batch, and where they come from.

    Args:
        name: the recipe's name.
        fit: the tuning. before: the recipe it was tuned from. records: its runs, by id.
    """
    lines = [
        "# Written by 'isoflop tune'. Measured between the sizes in the source, along D proportional to their optimum;",
        "# elsewhere it extrapolates.",
        f"name: {name}",
        f"source: {_quoted(source_line(fit, before, records))}",
    ]
    tuned = {"lr": fit.rate.rule, "batch_tokens": fit.batch.rule, "measured": _measured(fit)}
    for entry in fields(RecipeConfig):
        if entry.name in ("name", "source"):
            continue
        value = tuned.get(entry.name, getattr(before, entry.name))
        if entry.name in ALWAYS or value != _default(entry):
            lines.append(f"{entry.name}: {_inline(value)}")
    return "\n".join(lines) + "\n"


def source_line(fit: TuneFit, before: RecipeConfig, records: Mapping[str, Record]) -> str:
    """One line: which runs, which corpus, which intervals."""
    corpora = sorted(
        {f"{r.data.get('name', '?')} ({r.data.get('fingerprint', '?')})" for r in records.values()}
    )
    digest = hashlib.sha256(" ".join(sorted(records)).encode()).hexdigest()[:8]
    diverged = sum(trial.loss is None for trial in fit.trials)
    sizes = ", ".join(count(size.params) for size in fit.sizes)
    runs = f"{counted(len(fit.trials), 'run')} of {fit.name} (ids {digest}; {diverged} diverged)"
    return (
        f"isoflop tune: {runs} at N = {sizes} ({fit.count}), corpus {', '.join(corpora)}, around recipe {before.name}; "
        f"rate: {_evidence(fit.rate, fit.level)}; batch: {_evidence(fit.batch, fit.level)}"
    )


def write_recipe(text: str, folder: Path, name: str) -> tuple[Path, str]:
    """Write ``NAME.yaml`` below ``folder``; returns its path, and where another recipe of that name is kept."""
    path = folder / f"{name}.yaml"
    return path, replace_text(path, text)


def check_name(name: str) -> None:
    """Refuse a name that is no file name.

    Raises:
        UserError: it has a slash, an ending, or nothing.
    """
    if not name.replace("-", "").replace("_", "").isalnum():
        raise UserError(f"write: must be a recipe's plain name (letters, digits, '-', '_'), got '{name}'")


def _evidence(result: RuleResult, level: float) -> str:
    if result.exponent_interval is None or result.value_interval is None:
        return RULE_STATUSES[result.status]
    exponent = bounds_text(result.exponent_interval, lambda end: f"{end:.2g}")
    value = bounds_text(result.value_interval, lambda end: f"{end:.3g}")
    left_out = f", without {', '.join(count(n) for n, _ in result.excluded)}" if result.excluded else ""
    return (
        f"exponent {result.rule.params:.3g} ({100 * level:g}%: {exponent}), "
        f"{result.rule.value:.3g} ({value}) at {count(result.rule.params_at)}, "
        f"{counted(len(result.params), 'size')}{left_out}"
    )


def _default(entry: Any) -> Any:
    return entry.default_factory() if entry.default_factory is not MISSING else entry.default


def _measured(fit: TuneFit) -> MeasuredRange:
    ends = [
        [min(values), max(values)]
        for values in zip(*((float(size.params), size.tokens) for size in fit.sizes), strict=True)
    ]
    return MeasuredRange(*([significant(end) for end in pair] for pair in ends))


def _inline(value: Any) -> str:
    """A value as YAML in one line: of a dataclass what differs from its defaults, of a rule always the value."""
    if isinstance(value, list):
        return "[" + ", ".join(_inline(one) for one in value) + "]"
    if not is_dataclass(value):
        return _scalar(value)
    shown = [
        f"{entry.name}: {_inline(given)}"
        for entry in fields(value)
        if (given := getattr(value, entry.name)) != _default(entry)
        or (isinstance(value, Rule) and entry.name == "value")
    ]
    return "{" + ", ".join(shown) + "}"


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        if math.isinf(value):
            return ".inf" if value > 0 else "-.inf"
        return f"{value:.10g}"
    return value if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
