"""What the page and the Markdown have in common: figures, tables, provenance, and what is not shown and why."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.fit.status import Status
from harness.model.counts import FLOP_COUNTS, PARAM_COUNTS
from harness.plan.measured import how_far
from harness.report.alternative import alternatives
from harness.report.calculator import computable
from harness.report.data import MissingError, ReportData
from harness.report.devices import NEAR
from harness.report.diagnostics import diagnostics, occurring
from harness.report.drawing import draw_all
from harness.report.figures.catalogue import FIGURES, FigureEntry
from harness.report.saving import Picture
from harness.report.style_names import DEFAULT
from harness.report.table import Table
from harness.report.tables import (
    backtest,
    compute,
    conventions,
    fixed_time,
    frontier,
    recipe_cost,
    runs,
    tasks,
)
from harness.report.tables import frontier as answer_rows
from harness.report.text import approach_label, power, typeset
from harness.report.verdict import Diagnostic, Headline, headline
from harness.runs.record import Record
from harness.text import count, duration


def facts(data: ReportData) -> tuple[tuple[str, str], ...]:
    """Pairs (name, value) in the order to show; what is unknown is left out."""
    fit = data.fit
    records = list(data.records.values())
    pairs = [
        ("N counts", _meaning(fit.count, PARAM_COUNTS, "params", "total")),
        ("C counts", _compute(data)),
        ("runs in the fit", str(fit.n_points)),
        ("intervals", _bootstrap(data)),
    ]
    if records:
        pairs += [
            (
                "corpus",
                _each(f"{r.data.get('name', '?')} ({r.data.get('fingerprint', '?')})" for r in records),
            ),
            *_left_out(records),
            ("tokenizer", _each(r.data.get("tokenizer", "?") for r in records)),
            ("unique training tokens", _each(count(r.unique_tokens) for r in records)),
            ("device", _each(r.device for r in records)),
            ("precision", _each(r.precision for r in records)),
            ("training time", duration(sum(r.seconds for r in records)) + " in all, over all workers"),
            *_estimated(data),
            ("training compute", f"{power(sum(r.flops for r in records))} FLOPs in all"),
            ("trained with", _each(_versions(r) for r in records)),
        ]
    if data.recipe is not None and data.plan is not None:
        source = f"{data.recipe.source}; " if data.recipe.source else ""
        pairs.append(("recipe", source + how_far(data.recipe, data.plan.cells)))
    if data.versions:
        pairs.append(("report written with", ", ".join(f"{k} {v}" for k, v in data.versions.items())))
    return tuple(pairs)


def _left_out(records: Iterable[Record]) -> list[tuple[str, str]]:
    """What the corpus is without; records from before this was kept say nothing."""
    said = _each(record.data["left_out"] for record in records if "left_out" in record.data)
    return [("left out of the corpus", said)] if said else []


def _estimated(data: ReportData) -> list[tuple[str, str]]:
    """How near the time model's estimates came to the measured times."""
    if not data.devices or (check := data.devices[0].check) is None:
        return []
    name = data.devices[0].throughput.name
    ratio = f"{check.ratio:.2f} times the measured, in the median of {check.runs} runs"
    text = f"{ratio}; {check.near:.0%} within a factor of {NEAR:g} (time model {name})"
    return [("time estimated", text)]


def _meaning(column: str, meanings: dict[str, str], stem: str, default: str) -> str:
    key = default if column == stem else column.removeprefix(f"{stem}_")
    return f"{column}: {meanings[key]}" if key in meanings else column


def _compute(data: ReportData) -> str:
    column = data.fit.compute
    counts = {record.budget_count for record in data.records.values()}
    if column == "flops" and len(counts) == 1:
        name = counts.pop()
        return f"flops, as the plan counts ({name}): {FLOP_COUNTS.get(name, name)}"
    return _meaning(column, FLOP_COUNTS, "flops", "")


def _bootstrap(data: ReportData) -> str:
    asked = ", ".join(f"{key} {value}" for key, value in data.fit.bootstrap.items())
    return f"{data.fit.level:.0%}, percentiles of the bootstrap" + (f" ({asked})" if asked else "")


def _versions(record: Record) -> str:
    return ", ".join(f"{package} {version}" for package, version in record.versions.items())


def _each(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


NOT_COMPUTED = (
    "the page computes by power laws, and by the standard law with or without a power of the sum of its terms; "
    "'isoflop predict' answers by any other"
)


TABLES: tuple[tuple[str, Callable[[ReportData], Table]], ...] = (
    ("The measured frontier", frontier.frontier_table),
    ("Backtest", backtest.backtest_table),
    ("Exponents", frontier.exponents_table),
    ("The fitted law", frontier.law_table),
    ("Optimal compute and tokens by model size", compute.sizes_table),
    ("The best model of a fixed time", fixed_time.fixed_time_table),
    ("Accuracy on tasks", tasks.accuracy_table),
    ("Predicting accuracy", tasks.task_fits_table),
    ("The tasks", tasks.questions_table),
    ("Cost of the recipe", recipe_cost.recipe_cost_table),
    ("Functional forms", conventions.forms_table),
    ("Sensitivity to the N and C conventions", conventions.counting_table),
    ("FLOPs against 6ND", compute.flops_table),
)


@dataclass(frozen=True)
class Shown:
    """A figure as the page shows it."""

    entry: FigureEntry
    picture: Picture


@dataclass(frozen=True)
class LeftOut:
    """A figure or table that the report cannot show, and why."""

    title: str
    reason: str


@dataclass(frozen=True, eq=False)
class Content:
    """The report before it is HTML or Markdown."""

    data: ReportData
    here: Headline
    target: Headline
    findings: tuple[Diagnostic, ...]
    statuses: tuple[Status, ...]
    answer: Table
    figures: tuple[Shown, ...]
    tables: tuple[Table, ...]
    runs: Table
    left_out: tuple[LeftOut, ...]
    alternatives: dict[str, str]


def make_content(
    data: ReportData,
    figures: Path | None = None,
    entries: tuple[FigureEntry, ...] = FIGURES,
    style: str = DEFAULT,
) -> Content:
    """Draw ``entries`` and build every table.

    Args:
        figures: a folder where every figure is saved, too; None writes nothing.
        style: of the saved figures, one of :data:`harness.report.styles.STYLES`. The page has its own.
    """
    shown, left_out, tables = [], [], []
    for entry, drawn in zip(entries, draw_all(data, entries, figures, style), strict=True):
        if isinstance(drawn, str):
            left_out.append(LeftOut(entry.title, drawn))
        else:
            shown.append(Shown(entry.about(data), drawn))
    for title, build in TABLES:
        try:
            tables.append(build(data))
        except MissingError as missing:
            left_out.append(LeftOut(title, str(missing)))
    left_out += [
        LeftOut(f"{approach_label(one.name)} in the calculator", NOT_COMPUTED)
        for one in data.fit.approaches
        if one.theta() is not None and not computable(one)
    ]
    return Content(
        data=data,
        here=headline(data, data.fit.largest_flops),
        target=headline(data, data.target),
        findings=tuple(replace(found, text=typeset(found.text)) for found in diagnostics(data)),
        statuses=occurring(data),
        answer=answer_rows.answer_table(data),
        figures=tuple(shown),
        tables=tuple(tables),
        runs=runs.runs_table(data),
        left_out=tuple(left_out),
        alternatives=alternatives(data),
    )
