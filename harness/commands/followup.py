"""After the grid, as ``followup`` asks: each budget's best cell with more seeds, other rates, longer schedules."""

from dataclasses import replace

from rich.console import Console

from harness.commands.experiment import freeze
from harness.commands.training import train_missing
from harness.config.schema import Config
from harness.data import Corpus
from harness.plan.cell import Cell
from harness.plan.followup import best_cells, controls, replicates
from harness.plan.plan import Plan
from harness.runs.controls import ControlRun, against_other_seeds, write_controls
from harness.runs.folder import SweepFolder
from harness.runs.record import FAILED
from harness.runs.table import records


def grown(config: Config, plan: Plan, folder: SweepFolder) -> Plan:
    """The plan with the replicates that are already known: those of budgets whose whole column has ended."""
    best, _ = _best(plan, folder)
    known = {cell.run_id for cell in plan.cells}
    more = [cell for cell in replicates(best, config.followup.seeds) if cell.run_id not in known]
    return replace(plan, cells=(*plan.cells, *more))


def run(config: Config, yaml: str, plan: Plan, corpus: Corpus, folder: SweepFolder, console: Console) -> Plan:
    """Train the follow-ups that are missing; the plan with the replicates, which is frozen in place of the grid's.

    Controls are trained into the same ``cells/`` and listed in ``controls.json``; the fit never sees them.
    """
    asked = config.followup
    if not (asked.seeds or asked.rates or asked.horizons):
        return plan
    best, losses = _best(plan, folder)
    checks = controls(best, asked)
    plan = grown(config, plan, folder)
    freeze(folder, plan, yaml)
    train_missing(config, plan, corpus, folder, console, beside=[check.cell for check in checks])
    found = records(folder, replace(plan, cells=tuple(check.cell for check in checks)))
    made = [
        ControlRun(
            budget=check.cell.budget,
            of=check.of,
            loss_of=losses[check.of],
            rate=check.rate,
            run_id=run_id,
            loss=found[run_id].loss,
            horizon=check.horizon,
        )
        for check in checks
        if (run_id := check.cell.run_id) in found
    ]
    write_controls(folder.controls, against_other_seeds(made, records(folder, plan)))
    return plan


def _best(plan: Plan, folder: SweepFolder) -> tuple[list[Cell], dict[str, float]]:
    """The best cell of every budget that has ended, among the seeds of the grid, and the losses they were chosen by."""
    grid = replace(
        plan, cells=tuple(cell for cell in plan.cells if cell.spec.seed == plan.cells[0].spec.seed)
    )
    found = records(folder, grid)
    ended = {run_id for run_id, record in found.items() if record.status != FAILED}
    waiting = {cell.budget for cell in grid.cells if cell.run_id not in ended}
    losses = {
        run_id: record.loss
        for run_id, record in found.items()
        if record.loss is not None and record.budget not in waiting
    }
    return best_cells(grid, losses), losses
