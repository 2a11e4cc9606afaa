"""The files of a validation: ``prediction.json`` and its hash, written before anything is trained and never changed
afterwards, then ``validation.json``, ``validation.md`` and ``figures/validation``.
"""

from pathlib import Path

from harness.files import json_text
from harness.fit.estimate import FrontierSource
from harness.report import markdown
from harness.report.saving import save
from harness.report.style import figure_style
from harness.report.table import Table
from harness.runs import registered
from harness.runs.files import PREDICTION, SweepFolder, write_changed
from harness.validate.figure import draw
from harness.validate.prediction import LATER, RegisteredPrediction
from harness.validate.result import ValidationResult
from harness.validate.tables import build
from harness.validate.task_tables import build as build_tasks
from harness.validate.task_tables import sentence

FILE, HASH, STEM = PREDICTION, "prediction.sha256", "validation"
ANEW = "begin another validation with name=NAME"


def register(folder: Path, now: RegisteredPrediction, trained: bool) -> RegisteredPrediction:
    """The prediction registered in ``folder``: written there now, or read and found unchanged.

    Args:
        now: what would be predicted now.
        trained: whether any candidate has a record already.

    Raises:
        UserError: the prediction was altered, is not what would be predicted now, or comes after the runs.
    """
    return registered.register(
        folder / FILE,
        folder / HASH,
        now.to_json(),
        trained,
        ANEW,
        RegisteredPrediction.from_json,
        later=LATER,
        modern=lambda stored: RegisteredPrediction.from_json(stored).to_json(),
    )


def write_validation(
    folder: SweepFolder,
    prediction: RegisteredPrediction,
    result: ValidationResult,
    losses: FrontierSource | None,
) -> tuple[tuple[Table, ...], Path]:
    """Write the three files into ``folder``; returns the tables and the path of the Markdown.

    Args:
        losses: the source whose L(N, D) the figure shows; None where the fit has none.
    """
    shown: tuple[Table, ...] = build(prediction, result)
    if prediction.tasks and result.tasks:
        shown = (*shown, build_tasks(prediction.tasks, result.tasks, prediction.level))
    write_changed(folder.path / f"{STEM}.json", json_text(result.to_json()))
    with figure_style():
        save(draw(prediction, result, losses), folder.figures, STEM)
    parts = (
        f"# {prediction.name}",
        f"**{result.verdict}**",
        *([sentence(result.tasks)] if result.tasks else []),
        f"![Loss by size, predicted and measured](figures/{STEM}.png)",
        *(markdown.table(one) for one in shown),
    )
    path = folder.path / f"{STEM}.md"
    write_changed(path, "\n\n".join(parts) + "\n")
    return shown, path
