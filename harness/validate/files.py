"""The files of a validation: ``prediction.json`` and its hash, written before anything is trained and never changed
afterwards, then ``rematch.json``, ``rematch.md`` and ``figures/rematch``.
"""

import math
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.files import file_sha256, json_text, write_atomic
from harness.fit.estimate import FrontierSource
from harness.report import markdown
from harness.report.style import figure_style, save
from harness.report.table import Table
from harness.runs.files import PREDICTION, SweepFolder, read_json, write_changed
from harness.validate.figure import draw
from harness.validate.prediction import RegisteredPrediction
from harness.validate.result import ValidationResult
from harness.validate.tables import build

FILE, HASH = PREDICTION, "prediction.sha256"
ANEW = "begin another validation with name=NAME"


def register(folder: Path, now: RegisteredPrediction, trained: bool) -> RegisteredPrediction:
    """The prediction registered in ``folder``: written there now, or read and found unchanged.

    ``prediction.sha256`` has the form of sha256sum, so ``sha256sum -c`` checks it too.

    Args:
        now: what would be predicted now.
        trained: whether any candidate has a record already.

    Raises:
        UserError: the prediction was altered, is not what would be predicted now, or comes after the runs.
    """
    path, hash_path = folder / FILE, folder / HASH
    if not path.exists():
        if hash_path.exists():
            raise UserError(f"{path}: gone, but its hash is there; restore it, or {ANEW}")
        if trained:
            raise UserError(
                f"{folder}: has runs of this validation but no prediction from before them; {ANEW}"
            )
        write_atomic(path, json_text(now.to_json()))
    elif hash_path.exists():
        _check_hash(path, hash_path)
    elif trained:
        raise UserError(
            f"{hash_path}: gone, so nothing shows that the prediction is older than the runs; {ANEW}"
        )
    stored = _read(path)
    if found := first_difference(_timeless(stored), _timeless(now)):
        key, before, after = found
        raise UserError(
            f"{path}: {key} was registered as {before} and would now be {after}: the fit or the configuration has "
            f"changed since; undo that, or {ANEW}"
        )
    if not hash_path.exists():
        write_atomic(hash_path, f"{file_sha256(path)}  {FILE}\n")
    return stored


def first_difference(before: Any, after: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """Where two JSON values differ first, and how; numbers may differ by rounding, as between two machines."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            inner = f"{key}.{name}" if key else name
            if found := first_difference(before.get(name), after.get(name), inner):
                return found
        return None
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (one, two) in enumerate(zip(before, after, strict=True)):
            if found := first_difference(one, two, f"{key}[{i}]"):
                return found
        return None
    if isinstance(before, float | int) and isinstance(after, float | int):
        return None if math.isclose(before, after, rel_tol=1e-6) else (key, before, after)
    return None if before == after else (key, before, after)


def _check_hash(path: Path, hash_path: Path) -> None:
    registered = hash_path.read_text(encoding="utf-8", errors="replace").split()[:1]
    found = file_sha256(path)
    if registered != [found]:
        raise UserError(
            f"{path}: altered after it was registered (its SHA-256 is {found[:12]}…, {hash_path.name} says "
            f"{''.join(registered)[:12]}…); restore it, or {ANEW}"
        )


def _read(path: Path) -> RegisteredPrediction:
    return read_json(path, ANEW, RegisteredPrediction.from_json)


def _timeless(prediction: RegisteredPrediction) -> dict[str, Any]:
    """All of it but the time of writing."""
    return {name: value for name, value in prediction.to_json().items() if name != "written"}


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
