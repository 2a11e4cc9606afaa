"""Redraw the committed figures of a results folder by today's code, from the data that lies beside them.

    python -m scripts.redraw results            # says which are older than the code, and redraws these folders
    python -m scripts.redraw results --check    # only says so; exit status 1 where one is

A report's figures are redrawn with its page. A figure knows what it was drawn from by the fingerprint in its PNG.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from harness.compare import figure as comparison
from harness.compare import saving_figure
from harness.compare.arm import load_arm
from harness.compare.results import FrontierComparison
from harness.files import file_sha256
from harness.fit import load_fit
from harness.fit.encoding import decode
from harness.fit.estimate import FrontierSource
from harness.predict.source import from_fit
from harness.report.data import MissingError, ReportData
from harness.report.figures.catalogue import FIGURES
from harness.report.figures.response_surfaces import draw_tuning
from harness.report.figures.tuned_axes import draw_rounds
from harness.report.files import write_report
from harness.report.fingerprint import fingerprint, stored
from harness.report.saving import finished, save
from harness.report.style import figure_style
from harness.runs.files import SweepFolder, read_json
from harness.runs.frozen import frozen_plan
from harness.tune.results import TuneFit
from harness.tune.stored import tuning_from_json
from harness.validate import figure as validation
from harness.validate.prediction import RegisteredPrediction
from harness.validate.result import ValidationResult
from harness.workflow.report import from_sweep
from scripts import coordinate_check, transfer_check

Draw = Callable[[], Figure]

TRANSFER = ("standard", "completep")
"""The tunings whose learning rates ``parametrization/transfer`` compares."""


def folders(results: Path) -> list[Path]:
    """Every folder below ``results`` that has committed figures, whose data lie there."""
    found = {path.parent for path in results.rglob("*.png")}
    return sorted({one.parent if one.name == "figures" else one for one in found})


def report_data(folder: Path) -> ReportData | None:
    """What a report of the sweep in ``folder`` is made from; None where there is no fit of it."""
    if not ((folder / "fit.json").exists() and (folder / "plan.json").exists()):
        return None
    sweep = SweepFolder(folder)
    return from_sweep(sweep, frozen_plan(sweep), folder)


def drawings(folder: Path) -> Iterator[tuple[Path, Draw]]:
    """Every committed figure of ``folder`` that can be drawn from what is committed, and what draws it."""
    present = {path.stem: path for path in sorted([*folder.glob("*.png"), *folder.glob("figures/*.png")])}
    if present and (data := report_data(folder)) is not None:
        for entry in FIGURES:
            if entry.name in present:
                yield present.pop(entry.name), lambda entry=entry: entry.draw(data)  # type: ignore[misc]
    for name, source in OTHERS.items():
        if name in present and (draw := source(folder)) is not None:
            yield present[name], draw


def _comparison(folder: Path) -> Draw:
    found = _json(folder / "compare.json")
    sweeps = {
        arm["name"]: SweepFolder(folder.with_name(f"{folder.name}-{arm['name']}")) for arm in found["arms"]
    }
    arms = [load_arm(name, sweep, frozen_plan(sweep), None) for name, sweep in sweeps.items()]
    return lambda: comparison.draw(arms)


def _saving(folder: Path) -> Draw:
    found = decode(FrontierComparison, _json(folder / "compare.json"))
    return lambda: saving_figure.draw(found)


def _validation(folder: Path) -> Draw | None:
    """None where the fit that the prediction was made from is not kept."""
    prediction = RegisteredPrediction.from_json(_json(folder / "prediction.json"))
    result = decode(ValidationResult, _json(folder / "validation.json"))
    law = _law(folder.parent, prediction.fit.sha256)
    return None if law is None else lambda: validation.draw(prediction, result, law)


def _law(results: Path, sha256: str) -> FrontierSource | None:
    """The law of the fit with that hash."""
    paths = (path for path in sorted(results.glob("*/fit.json")) if file_sha256(path) == sha256)
    sources = (source for path in paths for source in from_fit(load_fit(path)))
    return next((source for source in sources if source.law is not None), None)


def _tuning(folder: Path) -> Draw:
    fit = read_json(folder / "tune.json", "'isoflop tune' writes it anew", tuning_from_json)
    return lambda: draw_tuning(fit) if isinstance(fit, TuneFit) else draw_rounds(fit)


def _coordinates(folder: Path) -> Draw:
    rows = coordinate_check.read(folder / "coordinates.csv")
    return lambda: coordinate_check.draw(rows, max(row.coordinate.step for row in rows))


def _transfer(folder: Path) -> Draw:
    fits = [transfer_check.read(folder.with_name(name)) for name in TRANSFER]
    return lambda: transfer_check.draw(fits, [transfer_check.rate_ratios(fit) for fit in fits])


OTHERS: dict[str, Callable[[Path], Draw | None]] = {
    "compare": _comparison,
    "saving": _saving,
    "validation": _validation,
    "bowls": _tuning,
    "coordinates": _coordinates,
    "transfer": _transfer,
}
"""Figures that belong to no report, by name: from their folder, what draws them."""


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def is_current(path: Path, draw: Draw) -> bool:
    """Whether the committed figure shows what today's code draws."""
    with figure_style():
        try:
            return stored(path) == fingerprint(finished(draw()))
        except MissingError:
            return False


def main() -> int:
    """Redraw or check; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--check", action="store_true", help="redraw nothing")
    asked = parser.parse_args()
    older = 0
    for folder in folders(asked.results):
        late = [(path, draw) for path, draw in drawings(folder) if not is_current(path, draw)]
        older += len(late)
        for path, _ in late:
            print(f"{path}: older than the code that draws it")
        if late and not asked.check:
            redraw(folder, late)
    return int(asked.check and older > 0)


def redraw(folder: Path, late: Sequence[tuple[Path, Draw]]) -> None:
    """Draw ``late`` anew; where one is a report's, all of the report, whose page stays only where it was kept."""
    with tempfile.TemporaryDirectory() as place:  # only PNGs are committed: the others are made on demand
        made = Path(place)
        if (folder / "report.md").exists() and (data := report_data(folder)) is not None:
            write_report(data, made)
            pages = ("report.md", *(["report.html"] if (folder / "report.html").exists() else []))
            for name in pages:
                shutil.copyfile(made / name, folder / name)
            for path in (made / "figures").glob("*.png"):
                shutil.copyfile(path, folder / "figures" / path.name)
        with figure_style():
            for path, draw in late:
                if not (made / "figures" / path.name).exists():
                    save(draw(), made, path.stem)
                    shutil.copyfile(made / path.name, path)


if __name__ == "__main__":
    sys.exit(main())
