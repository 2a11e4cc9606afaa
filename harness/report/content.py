"""What the page and the Markdown have in common: figures, tables, and what is not shown and why."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.report.data import MissingError, ReportData
from harness.report.diagnostics import diagnostics
from harness.report.figures.catalogue import FIGURES, Entry
from harness.report.style import Picture, figure_style, save
from harness.report.table import Table
from harness.report.tables import compute, conventions, fixed_time, frontier, runs
from harness.report.tables import frontier as answer_rows
from harness.report.text import typeset
from harness.report.verdict import Diagnostic, Headline, headline

TABLES: tuple[tuple[str, Callable[[ReportData], Table]], ...] = (
    ("The measured frontier", frontier.frontier_table),
    ("Exponents", frontier.exponents_table),
    ("The fitted law", frontier.law_table),
    ("Optimal compute and tokens by model size", compute.sizes_table),
    ("The best model of a fixed time", fixed_time.fixed_time_table),
    ("Functional forms", conventions.forms_table),
    ("Sensitivity to the N and C conventions", conventions.counting_table),
    ("FLOPs against 6ND", compute.flops_table),
)


@dataclass(frozen=True)
class Shown:
    """A figure as the page shows it."""

    entry: Entry
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
    answer: Table
    figures: tuple[Shown, ...]
    tables: tuple[Table, ...]
    runs: Table
    left_out: tuple[LeftOut, ...]


def make_content(data: ReportData, figures: Path, entries: tuple[Entry, ...] = FIGURES) -> Content:
    """Draw ``entries`` into the folder ``figures`` and build every table."""
    shown, left_out, tables = [], [], []
    with figure_style():
        for entry in entries:
            try:
                picture = save(entry.draw(data), figures, entry.name)
                shown.append(Shown(entry.about(data), picture))
            except MissingError as missing:
                left_out.append(LeftOut(entry.title, str(missing)))
                for ending in ("png", "pdf"):
                    (figures / f"{entry.name}.{ending}").unlink(missing_ok=True)
    for title, build in TABLES:
        try:
            tables.append(build(data))
        except MissingError as missing:
            left_out.append(LeftOut(title, str(missing)))
    return Content(
        data=data,
        here=headline(data, data.fit.largest_flops),
        target=headline(data, data.target),
        findings=tuple(replace(found, text=typeset(found.text)) for found in diagnostics(data)),
        answer=answer_rows.answer_table(data),
        figures=tuple(shown),
        tables=tuple(tables),
        runs=runs.runs_table(data),
        left_out=tuple(left_out),
    )
