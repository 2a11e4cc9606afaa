"""The report's files."""

from dataclasses import dataclass
from pathlib import Path

from harness.report import html, markdown
from harness.report.content import make_content
from harness.report.figures.catalogue import FIGURES, Entry
from harness.report.material import Material
from harness.runs.files import write_atomic


@dataclass(frozen=True)
class Written:
    """Where the report is."""

    html: Path
    markdown: Path
    figures: Path


def write_report(material: Material, folder: Path, entries: tuple[Entry, ...] = FIGURES) -> Written:
    """Write ``figures/``, ``report.html`` and ``report.md`` into ``folder``; same material, same bytes."""
    figures = folder / "figures"
    content = make_content(material, figures, entries)
    written = Written(folder / "report.html", folder / "report.md", figures)
    write_atomic(written.html, html.render(content))
    write_atomic(written.markdown, markdown.render(content))
    return written
