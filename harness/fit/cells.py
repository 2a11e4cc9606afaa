"""Cells of a table: runs of one size on one horizon, which differ in their seed alone."""

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from harness.fit.table import Array, Points

# A seed that at least this share of the cells has belongs to the grid; one at fewer was added to chosen cells.
GRID_SHARE = 0.5

Cells = NDArray[np.intp]


def cells_of(points: Points) -> Cells:
    """The cell of every run, shape (n,): runs share one where N, D and the budget are the same to nine digits.

    Cells are numbered in the order of their first runs, so in a table without replicates run i is cell i.
    """
    columns = [np.round(np.log(points.params), 9), np.round(np.log(points.tokens), 9)]
    if points.budget is not None:
        columns.append(np.nan_to_num(points.budget))
    return _numbered([tuple(row) for row in np.column_stack(columns).tolist()])


def count_cells(cell: Cells) -> int:
    """How many there are."""
    return len(np.unique(cell))


def grid_seeds(points: Points, cell: Cells) -> NDArray[np.bool_]:
    """One run a cell for each seed of the grid, as masks of shape (seeds, n).

    A seed belongs to the grid where at least half of the cells have it. Others were added to cells that had been
    chosen by their loss: counting them in would give these cells, and only these, the best of several draws. Without
    usable seeds the runs of a cell stand in the order of the table. A cell without any of the grid's seeds keeps its
    first run, under each of them.
    """
    seed = points.seed
    labels = _rank(cell) if seed is None or not np.isfinite(seed).all() else seed
    found = _common(labels, cell)
    if not len(found):
        labels = _rank(cell)
        found = _common(labels, cell)
    masks = np.zeros((len(found), len(cell)), dtype=bool)
    for c in np.unique(cell):
        mine = np.flatnonzero(cell == c)
        with_seed = [mine[labels[mine] == label] for label in found]
        orphan = not any(map(len, with_seed))
        for mask, runs in zip(masks, with_seed, strict=True):
            if len(runs) or orphan:
                mask[runs[0] if len(runs) else mine[0]] = True
    return masks


def _common(labels: Array, cell: Cells) -> Array:
    """The labels that at least ``GRID_SHARE`` of the cells have, ascending."""
    total = count_cells(cell)
    values = np.unique(labels)
    return values[[count_cells(cell[labels == value]) >= GRID_SHARE * total for value in values]]


def _rank(cell: Cells) -> Array:
    """How many runs of the same cell stand before each run, (n,)."""
    seen: dict[int, int] = {}
    ranks = np.zeros(len(cell))
    for i, c in enumerate(cell.tolist()):
        ranks[i] = seen[c] = seen.get(c, -1) + 1
    return ranks


def _numbered(keys: list[Hashable]) -> Cells:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)
