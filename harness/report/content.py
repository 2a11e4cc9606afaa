"""What the page and the Markdown have in common: figures, tables, and what is left out and why."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.report.figures.catalogue import FIGURES, Entry
from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.style import Picture, figure_style, save
from harness.report.tables import answer as answer_table
from harness.report.tables import counting, exponents, fixed_time, flops, forms, frontier, law, runs, sizes
from harness.report.tables.table import Table
from harness.report.text import typeset
from harness.report.verdict import Answer, Finding, answer, findings

TABLES: tuple[tuple[str, Callable[[Material], Table]], ...] = (
    ("The measured frontier", frontier.build),
    ("Exponents", exponents.build),
    ("The fitted law", law.build),
    ("Optimal compute and tokens by model size", sizes.build),
    ("The best model of a fixed time", fixed_time.build),
    ("Functional forms", forms.build),
    ("Counting", counting.build),
    ("FLOPs against 6ND", flops.build),
)


@dataclass(frozen=True)
class Shown:
    """A figure as the page shows it."""

    entry: Entry
    picture: Picture


@dataclass(frozen=True)
class LeftOut:
    """Something the report would show had it the ingredients."""

    title: str
    reason: str


@dataclass(frozen=True, eq=False)
class Content:
    """The report before it is HTML or Markdown."""

    material: Material
    here: Answer
    target: Answer
    findings: tuple[Finding, ...]
    answer: Table
    figures: tuple[Shown, ...]
    tables: tuple[Table, ...]
    runs: Table
    left_out: tuple[LeftOut, ...]


def make_content(material: Material, figures: Path, entries: tuple[Entry, ...] = FIGURES) -> Content:
    """Draw ``entries`` into the folder ``figures`` and build every table."""
    shown, left_out, tables = [], [], []
    with figure_style():
        for entry in entries:
            try:
                picture = save(entry.draw(material), figures, entry.name)
                shown.append(Shown(entry.about(material), picture))
            except MissingError as missing:
                left_out.append(LeftOut(entry.title, str(missing)))
                for ending in ("png", "pdf"):
                    (figures / f"{entry.name}.{ending}").unlink(missing_ok=True)
    for title, build in TABLES:
        try:
            tables.append(build(material))
        except MissingError as missing:
            left_out.append(LeftOut(title, str(missing)))
    return Content(
        material=material,
        here=answer(material, material.fit.largest_flops),
        target=answer(material, material.target),
        findings=tuple(replace(found, text=typeset(found.text)) for found in findings(material)),
        answer=answer_table.build(material),
        figures=tuple(shown),
        tables=tuple(tables),
        runs=runs.build(material),
        left_out=tuple(left_out),
    )
