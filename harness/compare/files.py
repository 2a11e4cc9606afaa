"""The files of a comparison: ``compare.json``, ``compare.md``, ``figures/compare`` and ``figures/saving``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.compare import figure, saving_figure, tables
from harness.compare.arm import Arm
from harness.compare.results import FrontierComparison
from harness.files import json_text
from harness.report import markdown
from harness.report.data import MissingError
from harness.report.saving import save
from harness.report.style import figure_style
from harness.report.table import Table
from harness.runs.files import SweepFolder, write_changed


@dataclass(frozen=True)
class WrittenComparison:
    """The tables as they were written, and where.

    Attributes:
        no_figure: why there is no figure; empty where there is one.
    """

    tables: tuple[Table, ...]
    markdown: Path
    no_figure: str = ""


def write_comparison(
    folder: SweepFolder, found: FrontierComparison, arms: Sequence[Arm]
) -> WrittenComparison:
    """Write the files into ``folder``; a file whose content is unchanged keeps its time."""
    shown = tables.build(found)
    write_changed(folder.path / "compare.json", json_text(found.to_json()))
    picture = no_figure = ""
    try:
        with figure_style():
            save(figure.draw(arms), folder.figures, "compare")
        picture = "![The frontiers of the arms](figures/compare.png)"
    except MissingError as missing:
        no_figure = str(missing)
    saved = _saving_figure(folder, found)
    parts = [
        f"# {found.name}",
        *(f"Caution: {text}" for text in found.cautions),
        *(f"**{text}**" for text in found.verdict),
        picture,
        saved,
        *map(markdown.table, shown),
    ]
    path = folder.path / "compare.md"
    write_changed(path, "\n\n".join(part for part in parts if part) + "\n")
    return WrittenComparison(shown, path, no_figure)


def _saving_figure(folder: SweepFolder, found: FrontierComparison) -> str:
    """Markdown of the figure of savings; empty, and no file, where no arm has any."""
    try:
        with figure_style():
            save(saving_figure.draw(found), folder.figures, "saving")
    except MissingError:
        return ""
    return "![The compute that each arm saves](figures/saving.png)"
