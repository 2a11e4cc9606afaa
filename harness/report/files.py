"""The report's files: the figures, the page and the Markdown."""

from dataclasses import dataclass
from pathlib import Path

from harness.files import write_atomic
from harness.report import html, markdown
from harness.report.content import make_content
from harness.report.data import ReportData
from harness.report.figures.catalogue import FIGURES, FigureEntry
from harness.report.saving import ENDINGS
from harness.report.style_names import DEFAULT


@dataclass(frozen=True)
class Written:
    """Where the report is."""

    html: Path
    markdown: Path
    figures: Path


def write_report(
    data: ReportData, folder: Path, entries: tuple[FigureEntry, ...] = FIGURES, style: str = DEFAULT
) -> Written:
    """Write ``figures/``, ``report.html`` and ``report.md`` into ``folder``; same data, same bytes.

    Args:
        style: of the files in ``figures/``, one of :data:`harness.report.styles.STYLES`. The page has its own.
    """
    figures = folder / "figures"
    content = make_content(data, figures, entries, style)
    shown = {one.picture.name for one in content.figures}
    for gone in {entry.name for entry in entries} - shown:  # those of an earlier report
        for ending in ENDINGS:
            (figures / f"{gone}{ending}").unlink(missing_ok=True)
    written = Written(folder / "report.html", folder / "report.md", figures)
    write_atomic(written.html, html.render(content))
    write_atomic(written.markdown, markdown.render(content))
    return written
