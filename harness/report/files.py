"""What a report is made from, read from a sweep's folder or from anyone's table beside a fit.

The report's files.
"""

import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.errors import UserError
from harness.fit import Curve, load_fit, read_points
from harness.plan.plan import Plan
from harness.report import html, markdown
from harness.report.content import make_content
from harness.report.devices import devices_of
from harness.report.figures.catalogue import FIGURES, Entry
from harness.report.material import Material, used_points
from harness.runs.ablations import against_other_seeds, read_ablations
from harness.runs.curve import read_curves
from harness.runs.files import write_atomic
from harness.runs.folder import SweepFolder
from harness.runs.table import records
from harness.tune.results import TuneFit

PACKAGES = ("isoflop", "numpy", "scipy", "matplotlib")


def from_sweep(sweep: SweepFolder, plan: Plan, fitted: Path) -> Material:
    """From a sweep's records, curves and table, and the fit in the folder ``fitted``; checkpoints are not needed.

    Raises:
        UserError: there is no fit yet, or no table of runs.
    """
    fit = load_fit(_require(fitted / "fit.json", "isoflop fit"))
    table = read_points(_require(sweep.table, "isoflop fit"))
    curves = {run_id: Curve(**columns) for run_id, columns in read_curves(sweep, plan).items()}
    found = records(sweep, plan)
    corpora = ", ".join(dict.fromkeys(record.data.get("name", "?") for record in found.values()))
    budgets = len({cell.budget for cell in plan.cells})
    config = sweep.config.read_text(encoding="utf-8") if sweep.config.exists() else ""
    return Material(
        name=plan.name,
        fit=fit,
        points=used_points(table, fit),
        table=table,
        curves=curves,
        records=found,
        plan=plan,
        config=config,
        source=f"{len(found)} of {len(plan.cells)} runs at {budgets} budgets"
        + (f", trained on {corpora}" if corpora else ""),
        versions=_versions(),
        ablations=against_other_seeds(read_ablations(sweep.ablations), found),
        tuning=_tuning(sweep.tuned_in.tuning),
        devices=devices_of(fit, sweep.path, config, plan, found),
    )


def from_points(path: Path, fitted: Path) -> Material:
    """From a table of runs and the fit in the folder ``fitted``.

    Raises:
        UserError: there is no fit yet, or the file is no table of runs.
    """
    table = read_points(path)
    fit = load_fit(_require(fitted / "fit.json", f"isoflop fit points={path} out={fitted}"))
    return Material(
        name=path.stem,
        fit=fit,
        points=used_points(table, fit),
        table=table,
        source=f"{len(table)} runs read from {path.name}",
        versions=_versions(),
        devices=devices_of(fit),
    )


def _tuning(path: Path) -> TuneFit | None:
    """The tuning at ``path``; None where there is none, or one of another version."""
    try:
        return TuneFit.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _require(path: Path, command: str) -> Path:
    if not path.exists():
        raise UserError(f"{path}: no such file; '{command}' writes it")
    return path


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a checkout on PYTHONPATH that was never installed
            continue
    return found


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
