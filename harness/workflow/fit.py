"""Fitting the frontier to finished runs, to W&B's copy of them, or to anyone's table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console

from harness.config.frozen import different_analysis
from harness.config.schema import Config
from harness.errors import UserError
from harness.files import write_json
from harness.fit import Curve, Fit, Points, fit_points, read_curves, read_points, write_fit
from harness.fit.by_group import GroupedFit, fit_by
from harness.plan.plan import Plan
from harness.runs.curve import read_curves as curves_of_sweep
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import FAILED, Record
from harness.runs.table import whole_records, write_table
from harness.text import counted
from harness.tracking.source import from_files, from_server
from harness.workflow.experiment import has_runs
from harness.workflow.rules import sweep_folder
from harness.workflow.terminal import say, working


@dataclass(frozen=True, eq=False)
class FitInput:
    """What is fitted, and the folder for the fit; ``curves`` as :func:`harness.runs.curve.read_curves` has them.

    ``notes`` say what else the fit would be made of and is without.
    """

    table: Path
    folder: Path
    curves: Mapping[str, Mapping[str, np.ndarray]]
    notes: tuple[str, ...] = ()


def fit_runs(config: Config, console: Console) -> Fit:
    """Fit, write ``fit.json`` and ``draws.npz``, print the summary.

    Raises:
        UserError: there are no runs, or the table cannot be read.
    """
    if config.by is not None:
        raise UserError("by: fits groups, which is 'isoflop fit' alone")
    source = _source(config, console)
    points, curves = _read(source, config)
    with working(console, "fitting …"):
        fit = fit_points(points, config.analysis, curves)
    written = write_fit(fit, source.folder)
    say(fit.summary(), console)
    console.print(f"fit: {written}", highlight=False, soft_wrap=True)
    return fit


def fit_groups(config: Config, console: Console) -> GroupedFit:
    """Fit every group of the column ``by``, each into a folder of its own, and set them side by side.

    Raises:
        UserError: as :func:`fit_runs`; or there are no such groups.
    """
    assert config.by is not None, "the command asks"
    source = _source(config, console)
    points, curves = _read(source, config)
    with working(console, "fitting …"):
        grouped = fit_by(points, config.by, config.analysis, config.joint, curves)
    for name, folder in grouped.folders().items():
        write_fit(grouped.fits[name], source.folder / folder)
    written = source.folder / "groups.json"
    write_json(written, grouped.to_json())
    for name, fit in grouped.fits.items():
        say(f"{config.by} = {name}\n\n{fit.summary()}\n", console)
    say(grouped.summary(), console)
    console.print(f"fits: {written}, and a folder beside it for each group", highlight=False, soft_wrap=True)
    return grouped


def _read(source: FitInput, config: Config) -> tuple[Points, Mapping[str, Curve] | None]:
    """The table and the curves of its runs, if there are any."""
    points = read_points(source.table, config.analysis.rows, config.columns, config.where, config.analysis)
    points = replace(points, notes=(*points.notes, *source.notes))
    if config.curves:
        return points, read_curves(config.curves, points, config.columns)
    return points, {run_id: Curve(**columns) for run_id, columns in source.curves.items()} or None


def _source(config: Config, console: Console) -> FitInput:
    if config.source == "wandb":
        return _wandb(config, console)
    if config.points:
        if not config.out:
            raise UserError("out: name the folder for fit.json, e.g. out=fits/mine")
        source = FitInput(Path(config.points), Path(config.out), {})
        check_out(source.folder, source.table)
    else:
        sweep = sweep_folder(config)
        plan = frozen_plan(sweep)
        if other := different_analysis(config, sweep.config):
            say(f"the sweep was begun with other options of the fit: {other}", console)
        found = whole_records(sweep, plan)
        if lost := write_table(sweep.table, found.values()):
            say(lost, console)
        folder = Path(config.out) if config.out else sweep.path
        curves, left_out = curves_of_sweep(sweep, found)
        source = FitInput(sweep.table, folder, curves, left_out)
        _say_missing(plan, found, console)
    if not source.table.exists():
        raise UserError(f"points: no file {source.table}")
    return source


def check_out(folder: Path, table: Path) -> None:
    """Refuse to write what comes from ``table`` over the results of a sweep's folder.

    Raises:
        UserError: ``folder`` is that of a sweep with runs of its own.
    """
    sweep = SweepFolder(folder)
    if sweep.plan.exists() and has_runs(sweep) and table.resolve() != sweep.table.resolve():
        raise UserError(f"out: {folder} has a sweep's own runs and results; name another folder")


def _say_missing(plan: Plan, found: Mapping[str, Record], console: Console) -> None:
    """A line where runs of the plan have not ended."""
    ended = sum(record.status != FAILED for record in found.values())
    if ended < len(plan.cells):
        console.print(
            f"{ended} of {counted(len(plan.cells), 'planned run')} {'has' if ended == 1 else 'have'} ended; "
            "the fit is of these",
            highlight=False,
        )


def _wandb(config: Config, console: Console) -> FitInput:
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
    if SweepFolder(folder).plan.exists():
        raise UserError(f"out: {folder} has a sweep's own runs and results; name another folder")
    if lost := write_table(table, gathered.records):
        say(lost, console)
    unfinished = gathered.unfinished
    more = f", {len(unfinished)} unfinished: {', '.join(unfinished)}" if unfinished else ""
    console.print(f"W&B: {counted(len(gathered.records), 'run')}{more}", highlight=False, soft_wrap=True)
    return FitInput(table, folder, gathered.curves, gathered.notes)
