"""``isoflop fit``: the frontier from finished runs, from W&B's copy of them, or from anyone's table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from harness.commands.experiment import frozen_plan, sweep_folder
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import Curve, Fit, fit_points, read_points, write_fit
from harness.runs.curve import read_curves
from harness.runs.table import records, write_table
from harness.runs.wandb_source import from_files, from_server


@dataclass(frozen=True, eq=False)
class Source:
    """What is fitted, and the folder for the fit; ``curves`` as :func:`harness.runs.curve.read_curves` has them."""

    table: Path
    folder: Path
    curves: Mapping[str, Mapping[str, np.ndarray]]


def run(config: Config, yaml: str, console: Console) -> Fit:
    """Fit, write ``fit.json`` and ``draws.npz``, print the summary."""
    source = _source(config, console)
    curves = {run_id: Curve(**columns) for run_id, columns in source.curves.items()}
    fit = fit_points(read_points(source.table), config.analysis, curves or None)
    written = write_fit(fit, source.folder)
    console.print(fit.summary(), highlight=False, soft_wrap=True, markup=False)
    console.print(f"fit: {written}", highlight=False, soft_wrap=True)
    return fit


def _source(config: Config, console: Console) -> Source:
    if config.source == "wandb":
        return _wandb(config, console)
    if config.points:
        if not config.out:
            raise UserError("out: name the folder for fit.json, e.g. out=fits/mine")
        source = Source(Path(config.points), Path(config.out), {})
    else:
        sweep = sweep_folder(config)
        plan = frozen_plan(sweep)
        write_table(sweep.table, records(sweep, plan).values())
        folder = Path(config.out) if config.out else sweep.path
        source = Source(sweep.table, folder, read_curves(sweep, plan))
    if not source.table.exists():
        raise UserError(f"points: no file {source.table}")
    return source


def _wandb(config: Config, console: Console) -> Source:
    """From a W&B project, or without one from W&B's files; the table goes beside the fit."""
    group = config.group or config.name
    if config.project:
        if not group:
            raise UserError("group: name the sweep, which is its runs' group in W&B, e.g. group=demo")
        gathered = from_server(config.project, group)
    else:
        where = Path(config.path).expanduser() if config.path else sweep_folder(config).path
        gathered = from_files(where, group)
    # not the sweep's own folder: its table has all that was trained, W&B's what was sent
    folder = Path(config.out or Path(config.runs_dir).expanduser() / f"{gathered.group}-wandb")
    table = folder / "runs.csv"
    write_table(table, gathered.records)
    unfinished = gathered.unfinished
    more = f", {len(unfinished)} unfinished: {', '.join(unfinished)}" if unfinished else ""
    console.print(f"W&B: {len(gathered.records)} runs{more}", highlight=False, soft_wrap=True)
    return Source(table, folder, gathered.curves)
