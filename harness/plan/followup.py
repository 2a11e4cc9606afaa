"""What is trained once a grid is finished: more seeds at each budget's best cell, and ablations of the rules."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.bounds import LARGEST_SEED, bounded, check_bounds
from harness.errors import UserError
from harness.plan.cell import Cell
from harness.plan.plan import Plan
from harness.plan.recipe_rules import significant


@dataclass
class FollowupConfig:
    """Runs around the best cell of each budget.

    Attributes:
        seeds: further seeds of the best cell; they join the fit as replicates.
        rates: multiples of the best cell's peak learning rate; these runs measure the excess loss of the recipe
            and never join the fit, which would otherwise pick the luckiest of several rates at one size only.
        horizons: lengths of the schedule as multiples of the best cell's run, which is cut before the cooldown
            ends (Hoffmann et al. 2022, Fig. A1: 1.1, 1.25, 1.5, 2, 5); these runs never join the fit either.
    """

    seeds: list[int] = bounded([], 0, LARGEST_SEED)
    rates: list[float] = bounded([], 0, 1e6, above=True)
    horizons: list[float] = bounded([], 1, 1e6, above=True)

    def __post_init__(self) -> None:
        check_bounds(self, "followup")
        if 1 in self.rates:
            raise UserError("followup.rates: 1 is the run itself; name others")
        for name in ("seeds", "rates", "horizons"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise UserError(f"followup.{name}: none may be named twice")


def described(config: FollowupConfig) -> str:
    """``seeds 1, 2; peak learning rate × 0.5, 2; schedule × 1.5``: what is trained at each budget's best cell."""
    asked: tuple[tuple[str, Sequence[float]], ...] = (
        ("seed" if len(config.seeds) == 1 else "seeds", config.seeds),
        ("peak learning rate ×", config.rates),
        ("schedule ×", config.horizons),
    )
    return "; ".join(
        f"{name} {', '.join(f'{value:g}' for value in values)}" for name, values in asked if values
    )


@dataclass(frozen=True)
class Ablation:
    """The cell ``of`` (a run id) at ``rate`` times its peak learning rate, its schedule ``horizon`` times its run."""

    of: str
    cell: Cell
    rate: float = 1.0
    horizon: float = 1.0


def best_cells(plan: Plan, losses: Mapping[str, float]) -> list[Cell]:
    """The cell of the lowest loss at each budget, budgets ascending; budgets without a loss are left out."""
    best: dict[float, Cell] = {}
    for cell in plan.cells:
        if cell.run_id not in losses:
            continue
        leader = best.get(cell.budget)
        if leader is None or losses[cell.run_id] < losses[leader.run_id]:
            best[cell.budget] = cell
    return [best[budget] for budget in sorted(best)]


def replicates(best: Sequence[Cell], seeds: Sequence[int]) -> list[Cell]:
    """Each best cell under further seeds."""
    return [
        replace(cell, spec=replace(cell.spec, seed=seed))
        for cell in best
        for seed in seeds
        if seed != cell.spec.seed
    ]


def ablations(best: Sequence[Cell], config: FollowupConfig) -> list[Ablation]:
    """Each best cell at other peak learning rates and with longer schedules, one thing changed at a time."""
    return [
        ablation
        for cell in best
        for ablation in (
            *(_at_rate(cell, rate) for rate in config.rates),
            *(_at_horizon(cell, horizon) for horizon in config.horizons),
        )
    ]


def expected(grid: Plan, config: FollowupConfig, known: Collection[float]) -> list[Cell]:
    """Placeholders of the follow-ups of the budgets that are not among ``known``: their best cell is not found yet.

    As many as there will be, of the same FLOPs, at the middle size of each budget, where the grid was centred.
    """
    first = grid.cells[0].spec.seed
    columns: dict[float, list[Cell]] = {}
    for cell in grid.cells:
        if cell.budget not in known:
            columns.setdefault(cell.budget, []).append(cell)
    found: list[Cell] = []
    for column in columns.values():
        sizes = sorted((cell for cell in column if cell.spec.seed == first), key=lambda c: c.params.total)
        middle = [sizes[len(sizes) // 2]]
        # another budget, whose best cell is known, may have more of them
        planned = {cell.spec.seed for cell in column}
        found += replicates(middle, [seed for seed in config.seeds if seed not in planned])
        found += [ablation.cell for ablation in ablations(middle, config)]
    return found


def _at_rate(cell: Cell, rate: float) -> Ablation:
    optimizer = replace(cell.spec.optimizer, lr=significant(rate * cell.spec.optimizer.lr))
    return Ablation(cell.run_id, replace(cell, spec=replace(cell.spec, optimizer=optimizer)), rate=rate)


def _at_horizon(cell: Cell, horizon: float) -> Ablation:
    schedule = replace(cell.spec.schedule, steps=round(horizon * cell.spec.steps))
    return Ablation(cell.run_id, replace(cell, spec=replace(cell.spec, schedule=schedule)), horizon=horizon)
