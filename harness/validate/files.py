"""The files of a validation beside ``prediction.json``: ``rematch.json``, ``rematch.md`` and ``figures/rematch``."""

from pathlib import Path

from harness.fit.estimate import FrontierSource
from harness.report import markdown
from harness.report.style import figure_style, save
from harness.report.table import Table
from harness.runs.files import json_text, write_changed
from harness.runs.folder import SweepFolder
from harness.validate.figure import draw
from harness.validate.prediction import RegisteredPrediction
from harness.validate.result import ValidationResult
from harness.validate.tables import build

STEM = "rematch"
"""The files keep the name that the command had in earlier versions."""


def write_validation(
    folder: SweepFolder,
    prediction: RegisteredPrediction,
    result: ValidationResult,
    losses: FrontierSource | None,
) -> tuple[Table, Path]:
    """Write the three files into ``folder``; returns the table and the path of the Markdown.

    Args:
        losses: the source whose L(N, D) the figure shows; None where the fit has none.
    """
    shown = build(prediction, result)
    write_changed(folder.path / f"{STEM}.json", json_text(result.to_json()))
    with figure_style():
        save(draw(prediction, result, losses), folder.figures, STEM)
    parts = (
        f"# {prediction.name}",
        f"**{result.verdict}**",
        f"![Loss by size, predicted and measured](figures/{STEM}.png)",
        markdown.table(shown),
    )
    path = folder.path / f"{STEM}.md"
    write_changed(path, "\n\n".join(parts) + "\n")
    return shown, path
