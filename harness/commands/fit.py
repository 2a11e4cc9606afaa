"""``isoflop fit``: the frontier from finished runs, or from anyone's table."""

from pathlib import Path

from rich.console import Console

from harness.commands.experiment import frozen_plan, sweep_folder
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import Curve, Fit, fit_points, read_points, write_fit
from harness.runs.curve import read_curves
from harness.runs.table import records, write_table


def run(config: Config, yaml: str, console: Console) -> Fit:
    """Fit, write ``fit.json`` and ``draws.npz``, print the summary."""
    if config.points:
        if not config.out:
            raise UserError("out: name the folder for fit.json, e.g. out=fits/mine")
        table, folder, curves = Path(config.points), Path(config.out), {}
    else:
        sweep = sweep_folder(config)
        plan = frozen_plan(sweep)
        write_table(sweep.table, records(sweep, plan).values())
        table, folder = sweep.table, Path(config.out) if config.out else sweep.path
        curves = {run_id: Curve(**columns) for run_id, columns in read_curves(sweep, plan).items()}
    if not table.exists():
        raise UserError(f"points: no file {table}")
    fit = fit_points(read_points(table), config.analysis, curves or None)
    written = write_fit(fit, folder)
    console.print(fit.summary(), highlight=False, soft_wrap=True, markup=False)
    console.print(f"fit: {written}", highlight=False, soft_wrap=True)
    return fit
