"""One synthetic sweep, fitted and reported once for all tests that only look."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.fit import Fit, FitOptions
from harness.report.figures.catalogue import FIGURES
from harness.report.files import Written, write_report
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.workflow import report as workflow
from harness.workflow.report import from_sweep
from tests.report.synthetic import fit_sweep, make_sweep

OPTIONS = FitOptions(draws=120)


# One that needs everything, and the cheapest: drawing takes most of a report's time.
FEW = tuple(entry for entry in FIGURES if entry.name in ("isoflop", "curvature"))


@dataclass(frozen=True)
class Reported:
    """A sweep with its fit and report."""

    folder: SweepFolder
    fit: Fit
    written: Written
    html: str
    markdown: str


def report_on(folder: Path) -> Written:
    """``isoflop report`` on the sweep in ``folder``, as the command runs it."""
    config, _ = compose_config(["experiment=demo", f"runs_dir={folder.parent}", f"name={folder.name}"])
    return workflow.make_report(config, Console(quiet=True))


def report_few(folder: Path) -> Written:
    """The same with few figures."""
    sweep = SweepFolder(folder)
    return write_report(from_sweep(sweep, frozen_plan(sweep), folder), folder, FEW)


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    folder = make_sweep(tmp_path_factory.mktemp("runs") / "synthetic")
    fit = fit_sweep(folder, OPTIONS)
    written = report_few(folder.path)
    return Reported(
        folder,
        fit,
        written,
        written.html.read_text(encoding="utf-8"),
        written.markdown.read_text(encoding="utf-8"),
    )
