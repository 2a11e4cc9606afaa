"""After the grid, as ``followup`` asks: each budget's best cell with more seeds, and its ablations."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.config.frozen import config_at
from harness.config.schema import Config
from harness.errors import UserError
from harness.plan.ablation import Ablation
from harness.plan.cell import Cell
from harness.plan.followup import (
    FollowupConfig,
    ablations,
    best_cells,
    expected,
    replicates,
)
from harness.plan.plan import Plan
from harness.runs.ablations import AblationRun, against_other_seeds, write_ablations
from harness.runs.files import PREDICTION, SweepFolder
from harness.runs.record import FAILED
from harness.runs.table import records


@dataclass(frozen=True)
class PlanWithFollowups:
    """A grid and its follow-ups, as far as they are known.

    Attributes:
        plan: the grid with the replicates; this is what is frozen and fitted.
        ablations: trained into the same ``cells/``; the fit never sees them.
        losses: of the grid's runs, by run id: what best cells were chosen by.
        later: placeholders, for estimates, of the follow-ups whose best cell is not known yet.
    """

    plan: Plan
    ablations: tuple[Ablation, ...]
    losses: Mapping[str, float]
    later: tuple[Cell, ...] = ()

    @property
    def beside(self) -> tuple[Cell, ...]:
        """The ablations' cells."""
        return tuple(ablation.cell for ablation in self.ablations)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All that is to be trained."""
        return (*self.plan.cells, *self.beside)


def with_followups(config: Config, grid: Plan, folder: SweepFolder) -> PlanWithFollowups:
    """``grid`` with the follow-ups of the budgets whose whole column has ended: before, the best cell is not known.

    An active design has none: it chooses its own seeds.
    """
    if config.design.active:
        return PlanWithFollowups(grid, (), {})
    best, losses = _best(grid, folder)
    known = {cell.run_id for cell in grid.cells}
    more = [cell for cell in replicates(best, config.followup.seeds) if cell.run_id not in known]
    plan = replace(grid, cells=(*grid.cells, *more))
    later = expected(grid, config.followup, {cell.budget for cell in best})
    ended = [cell for cell in grid.cells if cell.run_id in losses]
    return PlanWithFollowups(plan, tuple(ablations(best, config.followup, ended)), losses, tuple(later))


def of_frozen(folder: SweepFolder, plan: Plan) -> tuple[PlanWithFollowups, Config | None]:
    """The ``plan`` that is frozen in ``folder`` with its follow-ups, and the configuration that asks for them.

    None where the folder has none that can be read. A tuning and a validation keep the configuration of an experiment
    and follow nothing up.
    """
    try:
        config = config_at(folder.config)[0]
    except UserError:
        return PlanWithFollowups(plan, (), {}), None
    if not is_experiments_own(config, plan, folder) or not plan.cells:
        return PlanWithFollowups(plan, (), {}), replace(config, followup=FollowupConfig())
    return with_followups(config, plan, folder), config


def is_experiments_own(config: Config, plan: Plan, folder: SweepFolder) -> bool:
    """Whether ``plan`` is the experiment's; a tuning's or a validation's is made of other runs than a fit's."""
    return config.name == plan.name and not (folder.path / PREDICTION).exists()


def list_ablations(config: Config, extended: PlanWithFollowups, folder: SweepFolder) -> None:
    """Write ``controls.json``, where follow-ups are asked for: the ablations that have ended, beside their runs."""
    if not config.followup.asks:
        return
    found = records(folder, replace(extended.plan, cells=extended.beside))
    made = [
        AblationRun(
            budget=ablation.cell.budget,
            of=ablation.of,
            loss_of=extended.losses[ablation.of],
            changed=ablation.changed,
            factor=ablation.factor,
            run_id=run_id,
            loss=found[run_id].loss,
            neighbour=ablation.neighbour,
        )
        for ablation in extended.ablations
        if (run_id := ablation.cell.run_id) in found
    ]
    write_ablations(folder.ablations, against_other_seeds(made, records(folder, extended.plan)))


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
