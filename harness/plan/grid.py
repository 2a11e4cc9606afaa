"""The grid: which (N, D) are trained at which budget."""

from dataclasses import dataclass, field

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
        count: what a budget counts (see ``harness.model.counts``).
        min_tokens_per_param: cells with fewer tokens per parameter are left out of the plan.
    """

    budgets: list[float] = field(default_factory=list)
    sizes: int = 7
    span: float = 8.0
    center_params: float = 1e6
    center_budget: float = 1e15
    center_exponent: float = 0.5
    params: list[float] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    count: str = "appendix_f"
    min_tokens_per_param: float = 0.0

    def __post_init__(self) -> None:
        if any(c <= 0 for c in self.budgets):
            raise UserError("grid.budgets: every budget must be positive")
        if len(set(self.budgets)) != len(self.budgets):
            raise UserError("grid.budgets: a budget is listed twice")
        if len(set(self.seeds)) != len(self.seeds) or not self.seeds:
            raise UserError("grid.seeds: name at least one seed, and none twice")
        if any(s < 0 for s in self.seeds):
            raise UserError("grid.seeds: must not be negative")
        if self.sizes < 1:
            raise UserError(f"grid.sizes: must be at least 1, got {self.sizes}")
        if self.span < 1:
            raise UserError(
                f"grid.span: is the largest over the smallest N, so at least 1; got {self.span:g}"
            )
        if self.center_params <= 0 or self.center_budget <= 0:
            raise UserError("grid: center_params and center_budget must be positive")
        if self.count not in FLOP_COUNTS:
            raise UserError(f"grid.count: '{self.count}' is none of {', '.join(FLOP_COUNTS)}")
        if any(n <= 0 for n in self.params):
            raise UserError("grid.params: every size must be positive")


def targets(grid: GridConfig, budget: float) -> list[float]:
    """The parameter counts aimed at for one budget, ascending."""
    if grid.params:
        return sorted(grid.params)
    center = grid.center_params * (budget / grid.center_budget) ** grid.center_exponent
    return log_spaced(center, grid.span, grid.sizes)
