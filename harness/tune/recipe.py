"""The tuned recipe as a file of ``configs/recipe``."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.fit.bootstrap import bounds_text
from harness.plan.recipe_rules import MeasuredRange, RecipeConfig, Rule, significant
from harness.runs.files import replace_text
from harness.runs.record import Record
from harness.text import count, counted
from harness.tune.measured_under import measured_under
from harness.tune.results import RULE_STATUSES, RuleResult, TuneFit

ALWAYS = ("lr", "batch_tokens", "min_steps", "beta2", "weight_decay", "warmup_share")


def tuned_recipe(
    name: str, fit: TuneFit, before: RecipeConfig, records: Mapping[str, Record]
) -> RecipeConfig:
    """``before`` with the tuned rate and batch, where they come from, and over what they were measured.

    Args:
        name: the recipe's name.
        fit: the tuning. before: the recipe it was tuned from. records: its runs, by id.
    """
    return replace(
        before,
        name=name,
        source=source_line(fit, before, records),
        lr=fit.rate.rule,
        batch_tokens=fit.batch.rule,
        measured=measured_under(_measured(fit, before), before.measured, records),
    )


def recipe_yaml(name: str, fit: TuneFit, before: RecipeConfig, records: Mapping[str, Record]) -> str:
    """The file of :func:`tuned_recipe`."""
    return recipe_text(
        tuned_recipe(name, fit, before, records),
        "# Written by 'isoflop tune'. Measured between the sizes in the source, along one D for each size;\n"
        "# elsewhere it extrapolates.\n",
    )


def _measured(fit: TuneFit, before: RecipeConfig) -> MeasuredRange:
    """Over the sizes that the rules go through: one whose best values are beyond the grid says nothing of them."""
    seen = fit.rate.params or fit.batch.params
    kept = MeasuredRange() if fit.rate.status == "at_edge" else before.measured
    return measured_range(((size.params, size.tokens) for size in fit.sizes if size.params in seen), kept)


def recipe_text(recipe: RecipeConfig, about: str) -> str:
    """A file of ``configs/recipe``: what differs from the defaults, and what every recipe says.

    Args:
        about: comment lines that it begins with.
    """
    lines = [f"name: {recipe.name}", f"source: {_quoted(recipe.source)}"]
    for entry in fields(RecipeConfig):
        value = getattr(recipe, entry.name)
        if entry.name not in ("name", "source") and (entry.name in ALWAYS or value != _default(entry)):
            lines.append(f"{entry.name}: {_inline(value)}")
    return about + "\n".join(lines) + "\n"


def measured_range(points: Iterable[tuple[float, float]], otherwise: MeasuredRange) -> MeasuredRange:
    """From the smallest to the largest N, D and D/N of ``points``; ``otherwise`` where there are none."""
    if not (known := list(points)):
        return otherwise
    params, tokens = zip(*known, strict=True)
    ratios = [d / n for n, d in known]
    return MeasuredRange(
        params=[float(math.floor(min(params))), float(math.ceil(max(params)))],
        tokens=[float(math.floor(min(tokens))), float(math.ceil(max(tokens)))],
        tokens_per_param=[significant(min(ratios)), significant(max(ratios))],
    )


def runs_line(name: str, losses: Sequence[float | None], records: Mapping[str, Record]) -> str:
    """``15 runs of demo-tune (ids 3567abea; 0 diverged)``; the digest is of all ids."""
    digest = hashlib.sha256(" ".join(sorted(records)).encode()).hexdigest()[:8]
    diverged = sum(loss is None for loss in losses)
    return f"{counted(len(losses), 'run')} of {name} (ids {digest}; {diverged} diverged)"


def corpora_line(records: Mapping[str, Record]) -> str:
    """The corpora that runs were trained on, with their fingerprints."""
    found = {f"{r.data.get('name', '?')} ({r.data.get('fingerprint', '?')})" for r in records.values()}
    return ", ".join(sorted(found))


def source_line(fit: TuneFit, before: RecipeConfig, records: Mapping[str, Record]) -> str:
    """One line: which runs, which corpus, which intervals."""
    sizes = ", ".join(count(size.params) for size in fit.sizes)
    runs = runs_line(fit.name, [trial.loss for trial in fit.trials], records)
    return (
        f"isoflop tune: {runs} at N = {sizes} ({fit.count}), corpus {corpora_line(records)}, around recipe "
        f"{before.name}; rate: {_evidence(fit.rate, fit.level)}; batch: {_evidence(fit.batch, fit.level)}"
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
    if result.value_interval is None:
        return RULE_STATUSES[result.status]
    value = bounds_text(result.value_interval, lambda end: f"{end:.3g}")
    left_out = f", without {', '.join(count(n) for n, _ in result.excluded)}" if result.excluded else ""
    if result.exponent_interval is None:
        return (
            f"{result.rule.value:.3g} ({100 * level:g}%: {value}) for all sizes under the parametrization, "
            f"{counted(len(result.params), 'size')}{left_out}"
        )
    exponent = bounds_text(result.exponent_interval, lambda end: f"{end:.2g}")
    return (
        f"exponent {result.rule.params:.3g} ({100 * level:g}%: {exponent}), "
        f"{result.rule.value:.3g} ({value}) at {count(result.rule.params_at)}, "
        f"{counted(len(result.params), 'size')}{left_out}"
    )


def _default(entry: Any) -> Any:
    return entry.default_factory() if entry.default_factory is not MISSING else entry.default


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
