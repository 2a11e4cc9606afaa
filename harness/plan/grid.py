"""The grid: which (N, D) are trained at which budget."""

from dataclasses import dataclass

from harness.bounds import LARGEST_SEED, bounded, check_bounds, check_cells, one_of
from harness.errors import UserError
from harness.model.counts import FLOP_COUNTS
from harness.model.ladder import log_spaced


@dataclass
class GridConfig:
    """IsoFLOP columns: sizes spread evenly in log N around a guess of each budget's optimum.

    Attributes:
        budgets: training FLOPs C of each column.
        sizes: models per budget.
        span: largest over smallest N of a column.
        center_params: guessed optimal N at ``center_budget``; the guess moves as C^``center_exponent``.
        params: the same sizes for every budget instead (parameters); ``sizes`` and ``span`` are then unused.
        seeds: every cell is trained once per seed.
        seeds_flops: FLOPs that the seeds of one cell may cost together: a budget's cells get as many of ``seeds`` as it
            pays for, one at least. Runs scatter most at small budgets, where seeds cost least. null: all of them.
        flank_seeds: further seeds of the smallest and the largest size of every budget. Of a parabola's runs these say
            most about where its minimum is: the variance of its place goes as 1 over the sum of (ln N/N*)^2.
        count: what a budget counts (see ``harness.model.counts``).
        count_optimizer: a budget pays for the optimizer's own steps, too (see ``harness.plan.optimizer_flops``).
        min_tokens_per_param: cells with fewer tokens per parameter are left out of the plan.
    """

    budgets: list[float] = bounded([], 0, 1e40, above=True)
    sizes: int = bounded(7, 1, 1000)
    span: float = bounded(8.0, 1, 1e9)
    center_params: float = bounded(1e6, 0, 1e20, above=True)
    center_budget: float = bounded(1e15, 0, 1e40, above=True)
    center_exponent: float = bounded(0.5, -10, 10)
    params: list[float] = bounded([], 0, 1e20, above=True)
    seeds: list[int] = bounded([0], 0, LARGEST_SEED)
    seeds_flops: float | None = bounded(None, 0, 1e40, above=True)
    flank_seeds: list[int] = bounded([], 0, LARGEST_SEED)
    count: str = one_of("appendix_f", FLOP_COUNTS)
    count_optimizer: bool = False
    min_tokens_per_param: float = bounded(0.0, 0, 1e9)

    def __post_init__(self) -> None:
        check_bounds(self, "grid")
        sizes = len(self.params) or self.sizes
        seeds = len(self.seeds) + len(self.flank_seeds)
        check_cells("grid", budgets=len(self.budgets), sizes=sizes, seeds=seeds)
        if len(set(self.budgets)) != len(self.budgets):
            raise UserError("grid.budgets: a budget is listed twice")
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise UserError("grid.seeds: name at least one seed, and none twice")
        if len(set(self.flank_seeds)) != len(self.flank_seeds):
            raise UserError("grid.flank_seeds: a seed is named twice")
        if set(self.flank_seeds) & set(self.seeds):
            raise UserError("grid.flank_seeds: are further seeds; name none of grid.seeds")


def targets(grid: GridConfig, budget: float) -> list[float]:
    """The parameter counts aimed at for one budget, ascending."""
    if grid.params:
        return sorted(grid.params)
    center = grid.center_params * (budget / grid.center_budget) ** grid.center_exponent
    return log_spaced(center, grid.span, grid.sizes)


def seeds_at(grid: GridConfig, budget: float, sizes: int) -> list[list[int]]:
    """The seeds of each of a budget's ``sizes`` models, smallest first."""
    paid = grid.seeds[: _paid(grid, budget)]
    return [[*paid, *(grid.flank_seeds if i in (0, sizes - 1) else [])] for i in range(sizes)]


def fewer_seeds(grid: GridConfig) -> str:
    """At which budgets ``grid.seeds_flops`` pays for fewer seeds than ``grid.seeds`` names; empty where at none."""
    paid = {budget: _paid(grid, budget) for budget in sorted(grid.budgets)}
    fewer = [f"{n} at {budget:.3g}" for budget, n in paid.items() if n < len(grid.seeds)]
    if not fewer:
        return ""
    return (
        f"grid.seeds_flops={grid.seeds_flops:.3g}: of the {len(grid.seeds)} seeds a cell is trained with "
        f"{', '.join(fewer)} FLOPs; with grid.seeds_flops=null with all"
    )


def _paid(grid: GridConfig, budget: float) -> int:
    """How many of ``grid.seeds`` a budget's cells get."""
    if grid.seeds_flops is None:
        return len(grid.seeds)
    return min(len(grid.seeds), max(1, int(grid.seeds_flops / budget * (1 + 1e-9))))
