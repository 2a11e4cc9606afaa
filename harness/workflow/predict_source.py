"""What ``isoflop predict`` answers from: a fit, a table that is fitted first, a published law, or the fit of a task."""

from dataclasses import replace
from pathlib import Path

from harness.config.compose import compose_config
from harness.config.predict import ROOT, PredictConfig
from harness.errors import UserError
from harness.fit import fit_points, load_fit, read_curves, read_points
from harness.fit.estimate import FrontierSource
from harness.fit.fitted import Fit
from harness.fit.laws import CostLaw
from harness.fit.results import Approach3
from harness.fit.store import close_fit, find_fit
from harness.fit.summary import moved_by
from harness.fit.tasks.store import FILE, StoredTask, load_fitted
from harness.model.counts import FLOP_COUNTS
from harness.packaged import config_folder
from harness.predict.result import PredictResult
from harness.predict.source import LawConfig, from_fit, from_law
from harness.runs.files import SweepFolder
from harness.text import counted


def read_source(config: PredictConfig) -> tuple[PredictResult, tuple[FrontierSource, ...]]:
    """The empty report, which says what is predicted from, and the sources."""
    if config.law is not None:
        return _published(config.law)
    if config.points is not None:
        points = read_points(
            config.points, config.analysis.rows, config.columns, config.where, config.analysis
        )
        curves = read_curves(config.curves, points, config.columns) if config.curves else None
        fit, name = fit_points(points, config.analysis, curves), config.points
    else:
        name = str(config.fit)
        if find_fit(name) is None and len(Path(name).parts) == 1 and not Path(name).suffix:
            return _published(_law_by_name(name))
        fit = load_fit(name)
    return of_fit(fit, name)


def of_fit(fit: Fit, name: str) -> tuple[PredictResult, tuple[FrontierSource, ...]]:
    report = PredictResult(
        source=f"{name}: {counted(fit.n_points, 'run')}",
        count=fit.count,
        compute=_compute(fit),
        largest_flops=fit.largest_flops,
        decides="",
        notes=(*fit.notes, *law_notes(fit.approach_3)),
    )
    return report, from_fit(fit)


def law_notes(approach: Approach3) -> tuple[str, ...]:
    """What a reader must know of a law that is not the standard one."""
    said = moved_by(approach)
    told = (f"approach 3 is L = {approach.formula}",) if approach.formula != Approach3().formula else ()
    shared = (f"approach 3: {approach.shared}",) if approach.shared else ()
    return (*told, *shared, *([said] if said else []))


def _published(law: LawConfig) -> tuple[PredictResult, tuple[FrontierSource, ...]]:
    report = PredictResult(
        source=law.source or law.name,
        count=law.count,
        compute=law.compute,
        largest_flops=law.largest_flops,
        decides="",
        notes=(law.note,) if law.note else (),
    )
    return report, from_law(law)


def _law_by_name(name: str) -> LawConfig:
    """The law called ``name``; a fit of that name does not exist."""
    try:
        law = compose_config([f"law={name}", "budget=1"], ROOT, PredictConfig)[0].law
    except UserError:
        law = None
    if law is None:
        known = sorted(path.stem for path in (config_folder() / "law").glob("*.yaml"))
        close = close_fit(name, others=known)
        hint = f"did you mean fit={close}?" if close else f"there are {', '.join(known)}"
        raise UserError(f"fit: '{name}' is neither a fit's file or folder nor a law by name; {hint}")
    return law


def _compute(fit: Fit) -> str:
    """How a fit's compute was counted, as far as its table says."""
    if fit.compute.removeprefix("flops_") in FLOP_COUNTS:
        return fit.compute.removeprefix("flops_")
    cost = fit.approach_3.cost
    return "6nd" if abs(cost.kappa - CostLaw().kappa) < 1e-2 and cost.power == 1 else ""


def of_task(config: PredictConfig, task: str) -> tuple[PredictConfig, StoredTask]:
    """The question to the fit of the task's loss, and what is known of its accuracy.

    Raises:
        UserError: the sweep was not scored on it, or a file is damaged.
    """
    path = Path(str(config.fit)).expanduser()
    sweep = SweepFolder(path if path.is_dir() else path.parent)
    folder = sweep.tasks / task
    if "/" in task or not (folder / FILE).exists():
        there = sorted(one.parent.name for one in sweep.tasks.glob(f"*/{FILE}"))
        hint = f"there are {', '.join(there)}" if there else "'isoflop evaluate' scores its models"
        raise UserError(f"task: {sweep.path} has no fit of '{task}'; {hint}")
    stored = load_fitted(folder).stored
    if config.level is not None:
        stored = replace(stored, fit=replace(stored.fit, level=config.level))
    return replace(config, fit=str(folder / "fit.json")), stored
