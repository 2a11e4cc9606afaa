"""What a report is made from: a sweep's folder or anyone's table, with the devices that times are given for."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from rich.console import Console

from harness.config.compose import compose_config
from harness.config.frozen import load_recipe, load_throughput
from harness.config.predict import ROOT, PredictConfig
from harness.config.run_setup import setup_of_sweep
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import Curve, Fit, Points, load_fit, read_curves, read_points
from harness.fit.tasks.store import load_all
from harness.model.counts import known_count
from harness.model.shape import FAMILIES
from harness.packaged import config_folder
from harness.plan.duration import Timing
from harness.plan.plan import Plan
from harness.plan.throughput import ThroughputConfig
from harness.predict.clock import Clock
from harness.predict.cost import DeviceConfig
from harness.predict.source import choose, from_fit
from harness.predict.trainer import TIMED_PRECISION
from harness.report.data import ReportData, other_runs, used_points
from harness.report.devices import TimeCheck, TimedDevice, check_times
from harness.report.files import Written, write_report
from harness.report.tables.recipe_cost import summary
from harness.runs.ablations import against_other_seeds, read_ablations
from harness.runs.curve import read_curves as curves_of_sweep
from harness.runs.files import SweepFolder, read_json
from harness.runs.frozen import frozen_config, frozen_plan
from harness.runs.record import Record
from harness.runs.table import check_table, whole_records
from harness.text import counted
from harness.tune.stored import Tuning, tuning_from_json
from harness.version import version_of
from harness.workflow.experiment import named_fit
from harness.workflow.fit import check_out, fit_runs
from harness.workflow.rules import sweep_folder
from harness.workflow.terminal import say, working

PACKAGES = ("isoflop", "numpy", "scipy", "matplotlib")
PUBLISHED = ("h100", "h200", "a100")
"""Devices of ``configs/device`` that every report gives times for."""


def make_report(config: Config, console: Console) -> Written:
    """Write the report of a sweep or of anyone's table, and say where it is.

    A table whose folder ``out`` has no fit yet is fitted first.

    Raises:
        UserError: a sweep has no fit yet, or there is no table of runs.
    """
    if config.points and config.out and not config.fit and not (Path(config.out) / "fit.json").exists():
        console.print(f"{config.out} has no fit yet: fitting first", highlight=False, soft_wrap=True)
        fit_runs(config, console)
    with working(console, "report …"):
        if config.fit:
            data, folder = _of_named(config, config.fit)
        elif config.points:
            folder = Path(config.out or ".")
            check_out(folder, Path(config.points))
            data = from_points(Path(config.points), folder, config.curves)
            for note in data.notes:
                say(note, console)
        else:
            sweep = sweep_folder(config)
            folder = Path(config.out) if config.out else sweep.path
            data = from_sweep(sweep, frozen_plan(sweep), folder)
        written = write_report(data, folder, style=config.style)
    for line in summary(data):
        say(line, console)
    console.print(f"report: {written.html}", highlight=False, soft_wrap=True)
    console.print(
        f"        {written.markdown}, figures in {written.figures}", highlight=False, soft_wrap=True
    )
    return written


def _of_named(config: Config, name: str) -> tuple[ReportData, Path]:
    """The data of a report of the fit that ``name`` stands for, with the table it was made from; and the page's folder.

    Raises:
        UserError: there is no such fit, or no table of its runs is known.
    """
    fitted = named_fit(name, config.runs_dir, "fit").parent
    folder = Path(config.out).expanduser() if config.out else fitted
    sweep = sweep_folder(config) if config.name else SweepFolder(fitted)
    if config.points:
        check_out(folder, Path(config.points))
        return from_points(Path(config.points), fitted, config.curves), folder
    if not sweep.table.exists():
        raise UserError(
            f"fit: {fitted} has no runs.csv beside fit.json; name the table that it was made from: points=FILE"
        )
    check_out(folder, sweep.table)
    if sweep.plan.exists():
        return from_sweep(sweep, frozen_plan(sweep), fitted), folder
    return from_points(sweep.table, fitted), folder


def from_sweep(sweep: SweepFolder, plan: Plan, fitted: Path) -> ReportData:
    """From a sweep's records, curves and table, and the fit in the folder ``fitted``; checkpoints are not needed.

    Raises:
        UserError: there is no fit yet, or no table of runs.
    """
    fit = load_fit(_require(fitted / "fit.json", "isoflop fit"))
    found = whole_records(sweep, plan)
    older = check_table(_require(sweep.table, "isoflop fit"), found)
    table = read_points(sweep.table, fit.rows, fit.columns, fit.where)
    if fitted.resolve() != sweep.path.resolve():  # of its own fit the page says so
        _refuse_other(table, sweep.table, fit, fitted, f"isoflop fit name={plan.name} out={fitted}")
    curves, left_out = curves_of_sweep(sweep, found)
    notes = (*left_out, *([older] if older else []))
    return of_sweep(
        sweep,
        plan,
        fit,
        table,
        found,
        {run_id: Curve(**columns) for run_id, columns in curves.items()},
        notes,
    )


def of_sweep(
    sweep: SweepFolder,
    plan: Plan,
    fit: Fit,
    table: Points,
    found: Mapping[str, Record],
    curves: Mapping[str, Curve],
    notes: tuple[str, ...] = (),
) -> ReportData:
    """The data of a report from a sweep that was read already.

    Args:
        table: its table of runs; ``fit`` is a fit of it, with whatever options.
        found: its records, by run id.
        notes: what the report is without.
    """
    corpora = ", ".join(dict.fromkeys(record.data.get("name", "?") for record in found.values()))
    budgets = len({cell.budget for cell in plan.cells})
    config = frozen_config(sweep.config)
    return ReportData(
        name=plan.name,
        fit=fit,
        points=used_points(table, fit),
        table=table,
        curves=curves,
        notes=notes,
        records=found,
        plan=plan,
        config=config,
        recipe=load_recipe(config) if config else None,
        source=f"{len(found)} of {counted(len(plan.cells), 'run')} at {counted(budgets, 'budget')}"
        + (f", trained on {corpora}" if corpora else ""),
        versions=_versions(),
        ablations=against_other_seeds(read_ablations(sweep.ablations), found),
        tuning=_tuning(sweep.tuned_in.tuning),
        devices=devices_of(fit, sweep.path, config, plan, found),
        tasks=tuple(load_all(sweep.tasks)),
    )


def from_points(path: Path, fitted: Path, curves: str | None = None) -> ReportData:
    """From a table of runs, their training curves where these are given, and the fit in the folder ``fitted``.

    Raises:
        UserError: there is no fit yet, or the file is no table of runs.
    """
    fit = load_fit(_require(fitted / "fit.json", f"isoflop fit points={path} out={fitted}"))
    table = read_points(path, fit.rows, fit.columns, fit.where)
    _refuse_other(table, path, fit, fitted, f"isoflop fit points={path} out={fitted}")
    along = read_curves(curves, table, fit.columns) if curves else {}
    unread = along and fit.approach_1.status == "no_curves" and fit.loss == "loss"
    again = f"isoflop fit points={path} curves={curves} out={fitted}"
    notes = (
        (f"the fit was made without the training curves; for approach 1 fit again: '{again}'",)
        if unread
        else ()
    )
    return ReportData(
        name=path.stem,
        curves=along,
        notes=notes,
        fit=fit,
        points=used_points(table, fit),
        table=table,
        source=f"{counted(len(table), 'run')} read from {path.name}",
        versions=_versions(),
        devices=devices_of(fit),
    )


def _tuning(path: Path) -> Tuning | None:
    """The tuning at ``path``; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        return read_json(path, "'isoflop tune' writes it anew; nothing is trained twice", tuning_from_json)
    except FileNotFoundError:
        return None


def _refuse_other(table: Points, path: Path, fit: Fit, fitted: Path, command: str) -> None:
    """Refuse a fit of other runs than those of ``table``, where the fit knows its own.

    Raises:
        UserError: it is one.
    """
    if fit.fingerprint and (wrong := other_runs(table, fit)):
        raise UserError(
            f"{fitted / 'fit.json'}: not a fit of {path}: {wrong}; name the table that it was made from, or fit this "
            f"one with '{command}'"
        )


def _require(path: Path, command: str) -> Path:
    if not path.exists():
        raise UserError(f"{path}: no such file; '{command}' writes it")
    return path


def _versions() -> dict[str, str]:
    found = {package: version_of(package) for package in PACKAGES}
    return {package: version for package, version in found.items() if version is not None}


def devices_of(
    fit: Fit,
    sweep: Path | None = None,
    config: str = "",
    plan: Plan | None = None,
    records: Mapping[str, Record] | None = None,
) -> tuple[TimedDevice, ...]:
    """The sweep's own device first, where its configuration has one, then :data:`PUBLISHED`.

    Without a sweep, runs are assumed to follow the rules that ``predict`` falls back on, whose ladder has large models
    only. Where it lacks the size that the fit calls optimal, the time of such runs is unknown and there is no device.
    Nor is there one where sizes and FLOPs are known only from a built model: a report builds none.

    Args:
        sweep: its folder.
        config: its frozen configuration, YAML.
    """
    questions = [_question(name) for name in PUBLISHED]
    setup = None if sweep is None else setup_of_sweep(sweep, questions[0].fallback)
    rules = questions[0].fallback if setup is None else setup.rules
    if rules.model.family not in FAMILIES or rules.model.options:
        return ()
    first = Clock(rules, Timing(ThroughputConfig()), known_count(fit.count))
    devices = []
    if setup is not None and (own := load_throughput(config)) is not None:
        check = None if plan is None else check_times(plan, records or {}, own)
        named = device_named(own.name)
        devices.append(_timed(first.on(Timing(own)), named, check, named is not None and named.timing == own))
    names = {device.throughput.name for device in devices}
    for question in questions:
        device = question.device
        assert device is not None, "the question names one"
        if device.timing is not None and device.timing.name not in names:
            devices.append(_timed(first.on(Timing(device.timing)), device))
    return tuple(devices) if setup is not None or _covered(fit, devices[0].clock) else ()


def _covered(fit: Fit, clock: Clock) -> bool:
    """Whether the ladder has the optimal size of the largest budget that was run."""
    try:
        frontier = choose(from_fit(fit), "auto")[1].frontier
    except UserError:
        return False
    return frontier is not None and clock.covers(float(frontier.at_flops(fit.largest_flops).params))


@cache
def _question(device: str) -> PredictConfig:
    """The configuration of ``isoflop predict device=NAME``; its source and its budget are placeholders."""
    return compose_config(["fit=.", "budget=1", f"device={device}"], ROOT, PredictConfig)[0]


def _timed(
    clock: Clock, device: DeviceConfig | None, check: TimeCheck | None = None, asked: bool = True
) -> TimedDevice:
    """A device with what is known of it beside its clock."""
    if device is None:
        return TimedDevice(clock, check=check)
    return TimedDevice(clock, device.dollars_per_hour, device.peak_flops.get(TIMED_PRECISION), asked, check)


def device_named(name: str) -> DeviceConfig | None:
    """The device whose time model is called ``name``; ``calibrate`` writes both files."""
    folders = (config_folder(), Path("configs"))
    if not any((folder / "device" / f"{name}.yaml").is_file() for folder in folders):
        return None
    try:
        return compose_config(["fit=.", "budget=1", f"device={name}"], ROOT, PredictConfig)[0].device
    except UserError:  # in a user's own file, which this command was not asked to read
        return None
