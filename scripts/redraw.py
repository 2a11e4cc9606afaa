"""Redraw the committed figures of a results folder by today's code, from the data that lies beside them.

    python -m scripts.redraw results            # says which are older than the code, and redraws these folders
    python -m scripts.redraw results --check    # only says so; exit status 1 where one is

A report's figures are redrawn with its page. A figure knows what it was drawn from by the fingerprint in its PNG.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from matplotlib.figure import Figure

from harness.compare import figure as comparison
from harness.compare.arm import load_arm
from harness.report.data import MissingError, ReportData
from harness.report.figures.catalogue import FIGURES
from harness.report.files import write_report
from harness.report.fingerprint import fingerprint, stored
from harness.report.style import figure_style, save
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep

Draw = Callable[[], Figure]


def report_data(folder: Path) -> ReportData | None:
    """What a report of the sweep in ``folder`` is made from; None where there is no fit of it."""
    if not ((folder / "fit.json").exists() and (folder / "plan.json").exists()):
        return None
    sweep = SweepFolder(folder)
    return from_sweep(sweep, frozen_plan(sweep), folder)


def drawings(folder: Path) -> Iterator[tuple[Path, Draw]]:
    """Every committed figure of ``folder`` that can be drawn from what lies there, and what draws it."""
    present = {path.stem: path for path in sorted((folder / "figures").glob("*.png"))}
    if present and (data := report_data(folder)) is not None:
        for entry in FIGURES:
            if entry.name in present:
                yield present[entry.name], lambda entry=entry: entry.draw(data)  # type: ignore[misc]
    if (folder / "compare.json").exists():
        found = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
        sweeps = {
            arm["name"]: SweepFolder(folder.with_name(f"{folder.name}-{arm['name']}"))
            for arm in found["arms"]
        }
        arms = [load_arm(name, sweep, frozen_plan(sweep), None) for name, sweep in sweeps.items()]
        yield present["compare"], lambda: comparison.draw(arms)


def is_current(path: Path, draw: Draw) -> bool:
    """Whether the committed figure shows what today's code draws."""
    with figure_style():
        try:
            figure = draw()
        except MissingError:
            return False
        figure.dress()  # type: ignore[attr-defined]
        figure.lay_out()  # type: ignore[attr-defined]
        return stored(path) == fingerprint(figure)


def main() -> int:
    """Redraw or check; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--check", action="store_true", help="redraw nothing")
    asked = parser.parse_args()
    older = 0
    for folder in sorted(one for one in asked.results.iterdir() if one.is_dir()):
        late = [(path, draw) for path, draw in drawings(folder) if not is_current(path, draw)]
        older += len(late)
        for path, draw in late:
            print(f"{path}: older than the code that draws it")
            if not asked.check and not (folder / "report.md").exists():
                with figure_style():
                    save(draw(), path.parent, path.stem)
        if late and not asked.check and (folder / "report.md").exists():
            data = report_data(folder)
            assert data is not None
            kept = (folder / "report.html").exists()
            written = write_report(data, folder)
            if not kept:  # one page is kept as an example: each carries the library that draws it
                written.html.unlink()
        if late and not asked.check:
            for path in (folder / "figures").iterdir():
                if path.suffix != ".png":  # the others are made on demand
                    path.unlink()
    return int(asked.check and older > 0)


if __name__ == "__main__":
    sys.exit(main())
