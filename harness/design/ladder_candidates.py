"""Candidates of an experiment: runs of its ladder at its budgets, as its recipe trains them."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from harness.design.candidates import SIZES, Candidates, further
from harness.design.config import DesignConfig
from harness.design.first import SPAN, first_sizes
from harness.errors import UserError
from harness.fit.options import FitOptions
from harness.fit.table import Array
from harness.model.counts import PARAM_COUNTS, count_params, known_count
from harness.model.ladder import log_spaced, nearest, spread
from harness.model.shape import Shape
from harness.plan.cell import Cell
from harness.plan.grid import targets
from harness.plan.plan import CorpusFacts, Rules, plan_cell, unfit
from harness.runs.convention import flops_of

LEAST_REACH = 1.5
"""Where a grid has one size only."""

Column = tuple[Shape, float]
"""A shape and the budget that it is trained at."""


@dataclass(frozen=True, eq=False)
class CellMaker:
    """All that makes runs of an experiment.

    Attributes:
        shapes: of its ladder, smallest first.
        cost: of a run, in the unit of what may be spent.
        max_epochs: runs that repeat the corpus more often are no candidates.
        options: of the fit, which say how N and C are counted.
    """

    shapes: Sequence[Shape]
    rules: Rules
    corpus: CorpusFacts
    design: DesignConfig
    options: FitOptions
    cost: Callable[[Cell], float]
    max_epochs: float

    @property
    def reach(self) -> float:
        """How many times larger or smaller than N* a candidate may be."""
        sizes = self.rules.grid.params
        span = max(sizes) / min(sizes) if sizes else self.rules.grid.span
        return max(self.design.reach or span**0.5, LEAST_REACH)

    @property
    def budgets(self) -> list[float]:
        """Those of the grid, and further ones."""
        own = sorted(self.rules.grid.budgets)
        return [*own, *further(own, self.design.extend)]

    def cell(self, shape: Shape, budget: float, seed: int) -> Cell:
        """The run of ``shape`` at ``budget``."""
        return plan_cell(shape, budget, seed, self.rules, self.corpus)

    def can_train(self, cell: Cell) -> bool:
        """Whether a plan would have ``cell``, and the corpus holds it."""
        return not unfit(cell, self.rules) and cell.epochs <= self.max_epochs

    def again(self, cell: Cell) -> bool:
        """Whether ``cell`` is what this experiment would train there: else it belongs to another."""
        return self.cell(cell.spec.shape, cell.budget, cell.spec.seed).run_id == cell.run_id

    def next_seed(self, used: Collection[int]) -> int:
        """The first seed of the grid, then the least number, that is not in ``used``."""
        own = [seed for seed in self.rules.grid.seeds if seed not in used]
        return own[0] if own else next(seed for seed in range(len(used) + 1) if seed not in used)

    def first(self, spend: float) -> list[Cell]:
        """The initial design: few sizes about the grid's guess at its lowest budgets.

        Args:
            spend: what all runs may cost, in the unit of ``cost``.

        Raises:
            UserError: the grid has one budget, or its ladder too few shapes.
        """
        budgets = sorted(self.rules.grid.budgets)
        if len(budgets) < 2:
            raise UserError(
                "design=active: needs two budgets or more to begin with, e.g. grid.budgets=[1e11,2.5e11,6e11]"
            )
        seed = self.rules.grid.seeds[0]
        made = []
        shape = nearest(self.shapes, middle(targets(self.rules.grid, budgets[0])))
        price = self.cost(self.cell(shape, budgets[0], seed)) / budgets[0]  # of a FLOP
        for budget, sizes in first_sizes(budgets, spend / price).items():
            aims = targets(self.rules.grid, budget)
            span = min(SPAN, max(aims) / min(aims)) if len(aims) > 1 else SPAN
            for shape in spread(self.shapes, log_spaced(middle(aims), span, sizes)):
                cell = self.cell(shape, budget, seed)
                if self.can_train(cell):
                    made.append(cell)
        return made

    def candidates(
        self, optimum: Callable[[Array], Array], planned: Sequence[Cell], barred: Collection[Column] = ()
    ) -> tuple[Candidates, list[Cell]]:
        """What could be trained about the predicted optimum, and where runs are already; each with its cell.

        Args:
            optimum: ln N* at each C of an array, as the fit counts both.
            planned: what is trained already, or will be.
            barred: what diverged.
        """
        count = known_count(self.options.count)
        seed = self.rules.grid.seeds[0]
        made: dict[Column, Cell] = {}
        for budget in self.budgets:
            typical = self.cell(self.shapes[len(self.shapes) // 2], budget, seed)
            best = float(np.exp(optimum(np.array([counted_flops(typical, self.options.compute)]))[0]))
            if not np.isfinite(best):
                continue
            within = [
                shape
                for shape in self.shapes
                if 1 / self.reach <= count_params(shape).count(count) / best <= self.reach
            ]
            sizes = log_spaced(best, self.reach**2, min(SIZES, max(len(within), 1)))
            chosen = spread(within, sizes, count) if within else []
            there = [
                cell.spec.shape for cell in planned if cell.budget == budget and cell.spec.shape in within
            ]
            for shape in dict.fromkeys((*chosen, *there)):
                cell = self.cell(shape, budget, seed)
                if (shape, budget) not in barred and self.can_train(cell):
                    made[shape, budget] = cell
        return candidates_of(list(made.values()), self.options, self.cost), list(made.values())

    def chosen(self, cells: Sequence[Cell], planned: Sequence[Cell]) -> list[Cell]:
        """``cells``, of which some may stand there more than once, each with a seed that nothing has yet."""
        used: dict[Column, set[int]] = {}
        for cell in planned:
            used.setdefault((cell.spec.shape, cell.budget), set()).add(cell.spec.seed)
        made = []
        for cell in cells:
            seeds = used.setdefault((cell.spec.shape, cell.budget), set())
            seed = self.next_seed(seeds)
            seeds.add(seed)
            made.append(self.cell(cell.spec.shape, cell.budget, seed))
        return made


def middle(aims: Sequence[float]) -> float:
    """Of the sizes aimed at: their geometric mean."""
    return float(np.exp(np.mean(np.log(aims))))


def candidates_of(cells: Sequence[Cell], options: FitOptions, cost: Callable[[Cell], float]) -> Candidates:
    """``cells`` as candidates, N and C counted as the fit does."""
    return Candidates(
        params=np.array([counted_params(cell, options.count) for cell in cells], dtype=float),
        tokens=np.array([cell.tokens for cell in cells], dtype=float),
        flops=np.array([counted_flops(cell, options.compute) for cell in cells], dtype=float),
        budget=np.array([cell.budget for cell in cells], dtype=float),
        cost=np.array([cost(cell) for cell in cells], dtype=float),
    )


def counted_params(cell: Cell, column: str) -> float:
    """N of a run as the column ``column`` of the table of runs will have it.

    Raises:
        UserError: only runs that were trained have that column.
    """
    if column != "params" and column.removeprefix("params_") not in PARAM_COUNTS:
        raise UserError(f"analysis.count={column}: of a run that is not trained yet this count is not known")
    return float(cell.params.count(known_count(column)))


def counted_flops(cell: Cell, column: str) -> float:
    """The same of C."""
    flops = flops_of(cell, column)
    if flops is None:
        raise UserError(
            f"analysis.compute={column}: of a run that is not trained yet this count is not known"
        )
    return flops
