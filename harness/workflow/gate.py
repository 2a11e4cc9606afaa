"""``compare … gate=true``: planned by power, registered, trained at two budgets, and judged by the rule of then."""

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from harness.compare.arm import scored_runs
from harness.compare.gate import (
    PASSED,
    SIZES,
    SPAN,
    UNKNOWN,
    GatePlan,
    GateVerdict,
    judge_gate,
    next_look,
    plan_gate,
)
from harness.compare.paired import ScoredRun, pair, pair_noise
from harness.compare.saving import FrontierCurve
from harness.config.schema import Config
from harness.errors import EXIT_FAILED, UserError
from harness.files import write_json
from harness.fit import Fit, load_fit
from harness.fit.encoding import encode
from harness.fit.results import Approach
from harness.launch.launcher import Outcome
from harness.plan.ablation import HYPERPARAMETERS
from harness.report.table import Table, terminal_table
from harness.runs.files import SweepFolder, read_json
from harness.runs.frozen import frozen_plan
from harness.runs.registered import read_registered, register
from harness.runs.table import records
from harness.text import counted
from harness.workflow.arms import ArmConfig, arm_folders, compose_arms, submitted_arms
from harness.workflow.compare import live_jobs, wait
from harness.workflow.experiment import corpus_and_plan, named_fit, training_corpus
from harness.workflow.resources import launcher_of
from harness.workflow.rules import sweep_folder
from harness.workflow.terminal import say, show_table

ANEW = "begin another gate with name=NAME"


def run_gate(
    config: Config,
    yaml: str,
    overrides: Sequence[str],
    sweep: Callable[[ArmConfig, Console], Outcome],
    console: Console,
    submission: str,
) -> Outcome:
    """Plan or read the registered plan, train its runs, judge; exits with 1 where an arm did not pass.

    Its runs and files are those of sweeps of their own: ``NAME-gate`` and ``NAME-gate-ARM``.

    Raises:
        UserError: there are no arms, no fit to plan by, the registration was altered, or runs failed.
    """
    base = replace(config, name=f"{config.name}-gate")
    folder = sweep_folder(base)
    if submission:
        plan = _stored(folder, config.look)
        arms = submitted_arms(base)
        if live := (live_jobs(arms) if launcher_of(base).available() else ()):
            return wait(base, yaml, live, console, submission)
    else:
        frontier = _frontier(config)
        plan = _planned(config, base, folder, frontier)
        arms = compose_arms([*overrides, *_grid(plan, frontier)], base)
        ids = {}
        for arm in arms:
            with arm.named():
                _, cells = corpus_and_plan(arm.config, console, training_corpus)
                ids[arm.name] = tuple(sorted(cell.run_id for cell in cells.cells))
        plan = _registered(replace(plan, runs=ids), base, folder)
    for line in described(plan):
        say(line, console)
    outcomes = []
    for arm in arms:
        console.print(f"\n{arm.config.name}", style="bold", markup=False, highlight=False)
        with arm.named():
            outcomes.append(sweep(arm, console))
    if Outcome.QUEUED in outcomes:
        return wait(base, yaml, live_jobs(arms), console, submission)
    first, *others = arms
    runs = {arm.name: _runs(sweep_folder(arm.config), plan.runs[arm.name]) for arm in arms}
    found = [_judged(plan, first.name, arm.name, runs, config.power) for arm in others]
    write_json(folder.path / f"gate-result-{plan.look}.json", {"verdicts": [asdict(one) for one in found]})
    _show(plan, first.name, found, console)
    if any(one.verdict != PASSED for one in found):
        sys.exit(EXIT_FAILED)
    return Outcome.DONE


def _frontier(config: Config) -> Approach:
    """The frontier that says how fast loss falls with compute, and where N* is: of ``fit``, the experiment or an arm.

    Raises:
        UserError: there is none.
    """
    if config.fit is not None:
        path = named_fit(config.fit, config.runs_dir, "fit")
    else:
        folders = [sweep_folder(config), *arm_folders(config).values()]
        known = [folder.fit for folder in folders if folder.fit.exists()]
        if not known:
            raise UserError(
                "gate: how fast loss falls with compute is not known yet; name a fit of such models with fit=runs/NAME "
                f"or make one with 'isoflop reproduce experiment={config.name}'"
            )
        path = known[0]
    fit: Fit = load_fit(path)
    for one in (fit.approach_3, fit.approach_2):
        theta = one.theta()
        if theta is not None and one.a is not None and np.isfinite(one.optimum(theta, fit.largest_flops)[2]):
            return one
    raise UserError(f"gate: {path} has no frontier with a loss; name another fit with fit=runs/NAME")


def _noise(config: Config, frontier: Approach) -> tuple[float, str]:
    """Of the difference of a pair, nats, and what says so: seeds that arms share, else residuals about the profiles."""
    folders = [folder for folder in arm_folders(config).values() if folder.plan.exists()]
    if len(folders) > 1:
        first, second = (_runs(folder) for folder in folders[:2])
        shown = pair_noise(pair(first, second, lambda run: run.loss), 0.9)
        if shown is not None and shown.variance > 0:
            return float(np.sqrt(shown.variance)), "seeds that the arms share"
    error = frontier.fit_error.rms_nats if frontier.fit_error is not None else None
    if not error:
        raise UserError("gate: the noise of a run is not known; name a fit with residuals with fit=runs/NAME")
    return float(np.sqrt(2) * error), "residuals of the fit, as if arms shared no noise"


def _planned(config: Config, base: Config, folder: SweepFolder, frontier: Approach) -> GatePlan:
    """The plan of this look, as it would be made now; its runs are not known yet."""
    if config.look > 1:
        before = _stored(folder, config.look - 1)
        result = _result(folder, before.look)
        if all(one.verdict != UNKNOWN for one in result):
            raise UserError(f"look={config.look}: look {before.look} has told; {ANEW}")
        now = next_look(before, max(one.noise for one in result), config.power)
        if now is None:
            raise UserError(
                f"look={config.look}: no number of seeds would tell at this noise; ask for a larger speedup="
            )
    else:
        noise, source = _noise(config, frontier)
        curve = FrontierCurve(frontier)
        slopes = {budget: curve.fall(budget) for budget in base.grid.budgets}
        usable = {budget: slope for budget, slope in slopes.items() if slope > 0}
        now = plan_gate(usable, noise, source, config.speedup, config.power, len(base.arms))
    return now


def _registered(now: GatePlan, base: Config, folder: SweepFolder) -> GatePlan:
    """The plan of a new look written down, that of one that has begun read and checked."""
    path, hash_path = _paths(folder, now.look)
    folders = arm_folders(base)
    if now.look == 1:
        trained = any(_runs(one) for one in folders.values())
    else:
        before = _stored(folder, now.look - 1).runs
        trained = any(
            folders[arm].cell(one).record.exists()
            for arm, ids in now.runs.items()
            for one in set(ids) - set(before[arm])
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    return register(path, hash_path, encode(now), trained, ANEW, _plan)


def _judged(
    plan: GatePlan, first: str, arm: str, runs: Mapping[str, tuple[ScoredRun, ...]], power: float
) -> GateVerdict:
    missing = sum(len(plan.runs[one]) - len(runs[one]) for one in (first, arm))
    return judge_gate(plan, arm, pair(runs[first], runs[arm], lambda run: run.loss), power, missing)


def _paths(folder: SweepFolder, look: int) -> tuple[Path, Path]:
    return folder.path / f"gate-{look}.json", folder.path / f"gate-{look}.sha256"


def _plan(data: dict[str, Any]) -> GatePlan:
    runs = {arm: tuple(ids) for arm, ids in data["runs"].items()}
    return GatePlan(
        **{**data, "budgets": tuple(data["budgets"]), "slopes": tuple(data["slopes"]), "runs": runs}
    )


def _stored(folder: SweepFolder, look: int) -> GatePlan:
    try:
        return read_registered(*_paths(folder, look), ANEW, _plan)
    except FileNotFoundError:
        raise UserError(
            f"look={look + 1}: look {look} of this gate was not registered; give look={look}"
        ) from None


def _result(folder: SweepFolder, look: int) -> list[GateVerdict]:
    try:
        return read_json(
            folder.path / f"gate-result-{look}.json",
            "the same command without look= writes it anew",
            lambda data: [GateVerdict(**one) for one in data["verdicts"]],
        )
    except FileNotFoundError:
        raise UserError(f"look={look + 1}: look {look} of this gate has not been judged yet") from None


def _grid(plan: GatePlan, frontier: Approach) -> list[str]:
    """The overrides that make an arm's sweep the gate's runs: sizes about N* at both budgets, and no follow-ups."""
    theta = frontier.theta()
    assert theta is not None, "it was chosen for it"
    sizes = [float(frontier.optimum(theta, budget)[0]) for budget in plan.budgets]
    exponent = (sizes[1] - sizes[0]) / np.log(plan.budgets[1] / plan.budgets[0])
    return [
        f"grid.budgets=[{plan.budgets[0]!r},{plan.budgets[1]!r}]",
        f"grid.sizes={SIZES}",
        f"grid.span={SPAN}",
        "grid.params=[]",
        f"grid.center_params={float(np.exp(sizes[0]))!r}",
        f"grid.center_budget={plan.budgets[0]!r}",
        f"grid.center_exponent={float(exponent)!r}",
        f"grid.seeds={list(range(plan.seeds))}",
        "grid.seeds_flops=null",
        "grid.flank_seeds=[]",
        *(f"followup.{name}=[]" for name in ("seeds", *HYPERPARAMETERS)),
        "followup.neighbours=false",
    ]


def _runs(folder: SweepFolder, ids: Collection[str] | None = None) -> tuple[ScoredRun, ...]:
    """The finished runs of a sweep, those of ``ids`` where given; none where it has not begun."""
    if not folder.plan.exists():
        return ()
    found = records(folder, frozen_plan(folder))
    return scored_runs(one for run, one in found.items() if ids is None or run in ids)


def described(plan: GatePlan) -> list[str]:
    """What was registered, in lines for people."""
    low, high = plan.budgets
    return [
        f"gate, look {plan.look}: does an arm save {plan.speedup:g} times the compute? {plan.sizes} sizes and "
        f"{counted(plan.seeds, 'seed')} at {low:.3g} and {high:.3g} FLOPs, {plan.flops:.3g} FLOPs in {plan.arms} arms",
        f"power {plan.power:.2f} at a noise of {plan.noise:.2g} nats a pair ({plan.noise_from}), one-sided test at "
        f"{plan.alpha:.3g}: {plan.level:g} over all looks and arms",
        "passed: the lower bound of the ratio is above 1; failed: it is not, and the upper bound is below "
        f"{plan.speedup:g}; a smaller saving, and what happens beyond {high:.3g} FLOPs, it cannot see",
    ]


def _show(plan: GatePlan, first: str, found: Sequence[GateVerdict], console: Console) -> None:
    rows = tuple(
        (
            one.arm,
            f"{one.ratio:.2f}",
            f"{one.lower:.2f}",
            f"{one.upper:.2f}",
            f"{one.p:.2g}",
            f"{one.noise:.2g}",
            one.verdict,
        )
        for one in found
    )
    table = Table(
        name="gate",
        title=f"Gate: compute that {first} needs for the loss of an arm, over that of the arm",
        headings=("arm", "ratio", "lower", "upper", "p", "noise", "verdict"),
        rows=rows,
        left=("arm", "verdict"),
        note="One-sided bounds. p: of no saving. noise: of the difference of a pair, nats.",
    )
    show_table(terminal_table(table, console.width), console)
    say(table.note, console)
    for one in found:
        if one.verdict == UNKNOWN:
            more = (
                f"{counted(one.missing, 'registered run')} of it or of {first} diverged or did not finish, and without "
                "all of them no arm passes"
                if one.missing
                else "no number of seeds would tell"
                if one.seeds is None
                else f"look={plan.look + 1} with {counted(one.seeds - plan.seeds, 'more seed')} would"
            )
            say(f"{one.arm}: cannot be told; {more}", console)
