"""What the ways to take a cell's runs together share: the table that is left, and what is said of its cells."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.fit.budgets import Cells
from harness.fit.cell_results import CellsResult, VariedColumn
from harness.fit.results import Approach
from harness.fit.status import Flag, judge
from harness.fit.surface_design import LEAST_VALUES
from harness.fit.table import Array, Points
from harness.fit.varied import Varied, within
from harness.text import counted

OFTEN = 0.5  # of the cells in which a column varies: at the edge in more, its best value is not known
SHOWN = 4

Mask = NDArray[np.bool_]
AnyApproach = TypeVar("AnyApproach", bound=Approach)


@dataclass(frozen=True, eq=False)
class Chosen:
    """A table with what was made of its cells.

    Attributes:
        table: to be fitted. cells: None where nothing varies within its cells. flags: of the fit to the table.
    """

    table: Points
    cells: CellsResult | None
    flags: tuple[Flag, ...] = ()

    def flagged(self, approach: AnyApproach) -> AnyApproach:
        """The approach with the flags."""
        if not self.flags:
            return approach
        return replace(approach, **judge([*approach.warnings, *self.flags]))


def recipes_tried(varied: Varied) -> Cells:
    """How many recipes each cell has, (cells,)."""
    return np.bincount(np.unique(np.stack((varied.cell, varied.recipe)), axis=1)[0])


def said_to_vary(cells: CellsResult) -> str:
    """``within a cell (one N and D) lr (12 values) and batch_size (8 values) vary in 41 of 41 cells``."""
    recipes = listed([column for column in cells.columns if not column.is_seed])
    return f"within a cell (one N and D) {recipes} in {cells.varied_cells} of {counted(cells.cells, 'cell')}"


def listed(columns: list[VariedColumn]) -> str:
    """``lr (12 values) and batch_size (8 values) vary``."""
    named = [f"{column.name} ({column.values} values)" for column in columns[:SHOWN]]
    if len(columns) > SHOWN:
        named.append(f"{len(columns) - SHOWN} more")
    said = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{said} {'varies' if len(columns) == 1 else 'vary'}"


def best_runs(points: Points, varied: Varied) -> Cells:
    """The lowest run of the recipe with the lowest mean, of every cell, (cells,); the order of rows decides nothing."""
    _, member = np.unique(np.stack((varied.cell, varied.recipe)), axis=1, return_inverse=True)
    member = member.reshape(-1)
    mean = points.loss - within(points.loss, member)
    names = np.unique(np.array(points.run_id), return_inverse=True)[1]
    order = np.lexsort((names, points.loss, varied.recipe, mean.round(12), varied.cell))
    return np.asarray(order[np.unique(varied.cell[order], return_index=True)[1]])


def enough_values(varied: Varied, points: Points, name: str) -> Mask:
    """Which cells have enough values of a column for one to lie between others, (cells,)."""
    values = np.unique(np.round(np.log(np.abs(points.extra[name]) + 1e-300), 6), return_inverse=True)[1]
    pairs = np.unique(np.stack((varied.cell, values.reshape(-1))), axis=1)[0]
    return np.asarray(np.bincount(pairs, minlength=int(varied.cell.max()) + 1) >= LEAST_VALUES)


def said_at_edge(edges: dict[str, tuple[Mask, Mask]]) -> tuple[tuple[str, ...], list[Flag]]:
    """What to say of columns whose best value lies at the edge of what was tried, and flags where mostly it does."""
    notes, flags = [], []
    for name, (enough, at) in edges.items():
        of, cells = int((at & enough).sum()), int(enough.sum())
        if not of:
            continue
        note = (
            f"the best {name} is the least or the largest that was tried in {of} of {counted(cells, 'cell')}"
        )
        if of > OFTEN * cells:
            note += ": with others the losses would be lower"
            flags.append(Flag("recipe_at_edge", note))
        notes.append(note)
    return tuple(notes), flags


def place_of(points: Points, run: int, varied: Varied, cell: int) -> dict[str, Any]:
    """Where a cell lies and how many runs it has, as fields of :class:`CellOptimum`."""
    return {
        "params": float(points.params[run]),
        "tokens": float(points.tokens[run]),
        "budget": None if points.budget is None else float(points.budget[run]),
        "runs": int((varied.cell == cell).sum()),
        "best_run": points.run_id[run],
    }


def one_a_cell(points: Points, varied: Varied, runs: Cells, loss: Array, error: Array | None) -> Points:
    """The cells' chosen runs with these losses, by N, D and budget, without the columns that vary within cells."""
    table = points.select(runs)
    return replace(
        table,
        loss=loss,
        loss_se=table.loss_se if error is None else error,
        extra={name: column for name, column in table.extra.items() if name not in varied.dropped},
        text={name: column for name, column in table.text.items() if name not in varied.dropped},
    )
