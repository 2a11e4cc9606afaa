"""``isoflop rematch``: the predicted optimum of a larger budget against rivals, registered before they are trained."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console

from harness.config.frozen import different_rule
from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.fit import Fit, load_fit, read_points
from harness.fit.encoding import encode
from harness.fit.laws import Law
from harness.model.counts import FLOP_COUNTS, PARAM_COUNTS
from harness.model.ladder import build_ladder, near
from harness.plan.cell import Cell
from harness.plan.plan import Plan, check_corpus, plan_cell
from harness.predict.source import choose, from_fit
from harness.report import markdown
from harness.report.material import used_points
from harness.report.style import figure_style, save
from harness.report.table import terminal_table
from harness.runs.files import json_text, write_changed
from harness.runs.folder import SweepFolder
from harness.runs.table import records
from harness.validate.figure import draw
from harness.validate.prediction import FitFacts, Ground, Prediction, Scatter, predict, scatter
from harness.validate.register import FILE, register, sha256
from harness.validate.result import Rematch, judge
from harness.validate.tables import build
from harness.workflow.continuation import Errand, Outcome
from harness.workflow.experiment import freeze, plan_rules, sweep_folder, training_corpus
from harness.workflow.training import train_missing

Entries = dict[float, tuple[float, list[Cell]]]


def run(config: Config, yaml: str, console: Console, behind: str = "") -> Outcome:
    """Predict and register, train what is missing, set measured against predicted once every run has ended.

    Args:
        behind: the submission that this process is the job behind of; empty by hand.

    Raises:
        UserError: there is no fit, it is of other runs than these would be, the registered prediction does not
            stand, or cells failed.
    """
    folder = sweep_folder(config)
    if not config.rematch.fit or not config.rematch.budget:
        raise UserError(
            "rematch: name a finished sweep and a larger budget: rematch.fit=runs/NAME rematch.budget=C"
        )
    fit_path = _fit_path(config)
    fit = load_fit(fit_path)
    if config.rematch.budget <= fit.largest_flops * 1.001:
        raise UserError(
            f"rematch.budget: {config.rematch.budget:.4g} is not above the fit's largest, {fit.largest_flops:.4g}: "
            "a prediction is of what was not seen"
        )
    ground = _ground(config, fit, fit_path)
    corpus = training_corpus(config, console)
    _check_same(config, fit, fit_path.parent, corpus)
    entries = _entries(config, fit, ground, corpus)
    plan = Plan(config.name, tuple(cell for _, cells in entries.values() for cell in cells))
    check_corpus(plan, corpus.name, config.data.max_epochs)
    now = predict(
        config.name, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", ground, config.rematch.budget, entries
    )
    prediction = register(folder.path, now, trained=bool(records(folder, plan)))
    digest = sha256(folder.path / FILE)
    console.print(
        f"prediction: {folder.path / FILE}, registered {prediction.written}, SHA-256 {digest}",
        highlight=False,
        soft_wrap=True,
    )
    freeze(folder, plan, yaml)
    if not config.rematch.train:
        return Outcome.DONE
    errand = Errand("rematch", yaml, behind)
    outcome = train_missing(errand, config, plan, corpus, folder, console)
    if outcome is not Outcome.DONE:
        return outcome
    losses = {run_id: record.loss for run_id, record in records(folder, plan).items()}
    _report(folder, prediction, judge(prediction, digest, losses), ground, console)
    return outcome


def _fit_path(config: Config) -> Path:
    path = Path(config.rematch.fit).expanduser()
    return path / "fit.json" if path.is_dir() or path.suffix != ".json" else path


def _ground(config: Config, fit: Fit, path: Path) -> Ground:
    """The sources that decide size and loss, the runs' scatter, and which fit this is."""
    sources = from_fit(fit)
    _, decider = choose(sources, config.rematch.approach)
    losses = next((source for source in sources if source.law is not None), None)
    draws = path.parent / "draws.npz"
    return Ground(
        decider=decider,
        losses=losses,
        scatter=_scatter(fit, path.parent / "runs.csv", None if losses is None else losses.law),
        facts=FitFacts(
            n_points=fit.n_points,
            largest_flops=fit.largest_flops,
            count=fit.count,
            sha256=sha256(path),
            draws_sha256=sha256(draws) if draws.exists() else None,
        ),
    )


def _scatter(fit: Fit, table: Path, law: Law | None) -> Scatter | None:
    """Of the runs that the fit used, where their table lies beside it."""
    if law is None or not table.exists():
        return None
    return scatter(used_points(read_points(table), fit), law)


def _check_same(config: Config, fit: Fit, folder: Path, corpus: Corpus) -> None:
    """Refuse a fit of runs that were trained or counted in another way, as far as its folder tells."""
    if rule := different_rule(config, folder / "config.yaml"):
        raise UserError(f"rematch.fit: the runs of {folder} were trained otherwise: {rule}")
    count = fit.compute.removeprefix("flops_")
    try:
        cells = json.loads((folder / "plan.json").read_text(encoding="utf-8"))["cells"]
        planned, trained_on = str(cells[0]["count"]), str(cells[0]["spec"]["data"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        planned, trained_on = config.grid.count, corpus.fingerprint
    count = count if count in FLOP_COUNTS else planned
    if count != config.grid.count:
        raise UserError(
            f"grid.count: {config.grid.count}, but the fit counts compute as {count}; set grid.count={count}"
        )
    if trained_on != corpus.fingerprint:
        raise UserError(
            f"rematch.fit: the runs of {folder} were trained on another corpus ({trained_on}) than this, {corpus.name} "
            f"({corpus.fingerprint}): their losses say nothing of it"
        )


def _entries(config: Config, fit: Fit, ground: Ground, corpus: Corpus) -> Entries:
    """Factor to N, as the fit counts it, and the cells, one a seed."""
    count = "total" if fit.count == "params" else fit.count.removeprefix("params_")
    if count not in PARAM_COUNTS:
        raise UserError(f"rematch.fit: counts parameters as '{fit.count}', which no planned shape has")
    frontier = ground.decider.frontier
    best = float(frontier.at_flops(config.rematch.budget).params) if frontier is not None else np.nan
    if not np.isfinite(best):
        raise UserError(f"rematch: {ground.decider.title} has no optimum at C = {config.rematch.budget:.3g}")
    shapes = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len).shapes
    entries: Entries = {}
    for factor in sorted(config.rematch.factors):
        shape = near(shapes, factor * best, count)
        cells = [
            plan_cell(shape, config.rematch.budget, seed, plan_rules(config), corpus)
            for seed in config.rematch.seeds
        ]
        for other, (_, theirs) in entries.items():
            if theirs[0].spec.shape == shape:
                raise UserError(
                    f"ladder: {other:g} and {factor:g} times N* = {best:.3g} are both {shape.label} there"
                )
        entries[factor] = (float(cells[0].params.count(count)), cells)
    return entries


def _report(
    folder: SweepFolder, prediction: Prediction, result: Rematch, ground: Ground, console: Console
) -> None:
    """Write ``rematch.json``, ``rematch.md`` and the figure; print the table and the verdict."""
    shown = build(prediction, result)
    write_changed(folder.path / "rematch.json", json_text(encode(result)))
    with figure_style():
        save(draw(prediction, result, ground.losses), folder.figures, "rematch")
    parts = (
        f"# {prediction.name}",
        f"**{result.verdict}**",
        "![Loss by size, predicted and measured](figures/rematch.png)",
        markdown.table(shown),
    )
    write_changed(folder.path / "rematch.md", "\n\n".join(parts) + "\n")
    console.print(terminal_table(shown, console.width))
    console.print(f"{shown.note}\n\n{result.verdict}", highlight=False, markup=False)
    console.print(f"rematch: {folder.path / 'rematch.md'}", highlight=False, soft_wrap=True)
