"""``isoflop report``: figures, tables and the page, from a sweep's folder or a table. Trains nothing."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from harness.commands.experiment import frozen_plan, sweep_folder
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import Curve, load_fit, read_points
from harness.report.material import Material, used_points
from harness.report.write import Written, write_report
from harness.runs.curve import read_curve
from harness.runs.table import records

PACKAGES = ("isoflop", "numpy", "scipy", "matplotlib")


def run(config: Config, yaml: str, console: Console) -> Written:
    """Write the report and say where it is.

    Raises:
        UserError: there is no fit yet, or no table of runs.
    """
    with console.status("report …"):
        material, folder = _points(config) if config.points else _sweep(config)
        written = write_report(material, folder)
    console.print(f"report: {written.html}", highlight=False, soft_wrap=True)
    console.print(
        f"        {written.markdown}, figures in {written.figures}", highlight=False, soft_wrap=True
    )
    return written


def _sweep(config: Config) -> tuple[Material, Path]:
    sweep = sweep_folder(config)
    plan = frozen_plan(sweep)
    folder = Path(config.out) if config.out else sweep.path
    _require(sweep.table, "isoflop fit")
    fit, table = load_fit(_require(folder / "fit.json", "isoflop fit")), read_points(sweep.table)
    curves = {
        cell.run_id: Curve(**columns)
        for cell in plan.cells
        if (columns := read_curve(sweep.cell(cell.run_id).curve)) is not None
    }
    found = records(sweep, plan)
    corpora = ", ".join(dict.fromkeys(record.data.get("name", "?") for record in found.values()))
    budgets = len({cell.budget for cell in plan.cells})
    material = Material(
        name=plan.name,
        fit=fit,
        points=used_points(table, fit),
        table=table,
        curves=curves,
        records=found,
        plan=plan,
        config=sweep.config.read_text(encoding="utf-8") if sweep.config.exists() else "",
        source=f"{len(found)} of {len(plan.cells)} runs at {budgets} budgets"
        + (f", trained on {corpora}" if corpora else ""),
        versions=_versions(),
    )
    return material, folder


def _points(config: Config) -> tuple[Material, Path]:
    path, folder = Path(config.points or ""), Path(config.out or ".")
    table = read_points(path)
    fit = load_fit(_require(folder / "fit.json", f"isoflop fit points={path} out={folder}"))
    material = Material(
        name=path.stem,
        fit=fit,
        points=used_points(table, fit),
        table=table,
        source=f"{len(table)} runs read from {path.name}",
        versions=_versions(),
    )
    return material, folder


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
