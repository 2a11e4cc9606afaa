"""How the runs of a table belong together: by compute budget, and by cell.

A cell holds the runs of one size on one horizon, which differ in their seed alone.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.fit.table import Array, Points

# A seed that at least this share of the cells has belongs to the grid; one at fewer was added to chosen cells.
GRID_SHARE = 0.5
# Runs of one planned budget differ by whole steps, well under 2%; budgets of a grid differ by more.
SAME_BUDGET = 0.02
# Where the runs do not fall into such groups (points read off a figure), a budget is this wide in ln C.
WINDOW = 0.2
MIN_SIZES = 4
MIN_WINDOW_SIZES = 6

Cells = NDArray[np.intp]


def cells_of(points: Points) -> Cells:
    """The cell of every run, shape (n,): runs share one where N, D and the budget are the same to nine digits.

    Cells are numbered in the order of their first runs, so in a table without replicates run i is cell i.
    """
    columns = [np.round(np.log(points.params), 9), np.round(np.log(points.tokens), 9)]
    if points.budget is not None:
        columns.append(np.nan_to_num(points.budget))
    return _numbered([tuple(row) for row in np.column_stack(columns).tolist()])


def units_of(points: Points) -> Cells:
    """The unit of every row, shape (n,), that a bootstrap draws whole: rows in one share what moves them together.

    The rows of one ``run_id`` (checkpoints of a run share its luck), and the runs of one cell (their seeds share what
    the fitted form misses there). A run's cell is that of its last row. In a table with one row a run units are cells.
    """
    rows: dict[str, list[int]] = {}
    for i, run in enumerate(points.run_id):
        rows.setdefault(run, []).append(i)
    if len(rows) == len(points):
        return cells_of(points)
    last = [max(mine, key=lambda i: points.tokens[i]) for mine in rows.values()]
    units = np.empty(len(points), dtype=np.intp)
    for mine, cell in zip(rows.values(), cells_of(points.select(last)), strict=True):
        units[mine] = cell
    return units


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


@dataclass(frozen=True)
class Budgets:
    """Groups of run indices by rising budget.

    Attributes:
        labels: the budget of each group in FLOPs: the planned one, or the geometric mean of its runs.
        groups: indices of each group's runs.
        ungrouped: runs that belong to no budget.
        approximate: whether the groups are windows in C rather than planned budgets.
    """

    labels: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...]
    ungrouped: tuple[int, ...] = ()
    approximate: bool = False


def group_budgets(points: Points) -> Budgets:
    """Groups runs by the table's ``budget`` column, else by C: first by gaps, then by windows.

    Gaps: runs whose sorted ln C are within 2% of the next are one budget; taken if that leaves most runs in
    groups of four sizes or more. Windows: the fullest window of 20% in C becomes a budget, then the fullest
    among the runs left, until none holds six sizes.
    """
    if points.budget is not None and np.isfinite(points.budget).all() and (points.budget > 0).all():
        labels, member = np.unique(np.round(np.log(points.budget), 6), return_inverse=True)
        groups = tuple(tuple(np.flatnonzero(member == i).tolist()) for i in range(len(labels)))
        return Budgets(tuple(float(points.budget[g[0]]) for g in groups), groups)
    log_c = np.log(points.flops)
    by_gap = _by_gap(log_c)
    full = [g for g in by_gap if _sizes(points, g) >= MIN_SIZES and np.ptp(log_c[list(g)]) <= WINDOW]
    if sum(map(len, full)) >= 0.75 * len(points):
        return Budgets(_means(log_c, by_gap), tuple(by_gap))
    windows = _by_window(points, log_c)
    held = {i for g in windows for i in g}
    return Budgets(
        _means(log_c, windows),
        tuple(windows),
        tuple(i for i in range(len(points)) if i not in held),
        approximate=True,
    )


def pairs_kind(points: Points, kind: str) -> tuple[str, list[list[int]] | None]:
    """What ``bootstrap=kind`` means for approach 1: its full name, and the groups to draw runs within.

    By default (``auto``) runs are drawn within their budget, because how many each budget has was planned, not
    drawn; plain pairs overstate the spread (approach 1: .063 for a true .056). Without clear budgets of four
    cells or more, and for any other kind, there are no groups.
    """
    if kind != "auto":
        return kind, None
    budgets = group_budgets(points)
    unit = units_of(points)
    counts = [count_cells(unit[list(group)]) for group in budgets.groups]
    # Rows of one run in several budgets come and go together, which drawing within budgets would undo.
    if budgets.approximate or min(counts) < MIN_SIZES or sum(counts) > count_cells(unit):
        return "pairs", None
    return "pairs within budgets", [list(group) for group in budgets.groups]


def _by_gap(log_c: Array) -> list[tuple[int, ...]]:
    order = np.argsort(log_c, kind="stable")
    cuts = np.flatnonzero(np.diff(log_c[order]) > SAME_BUDGET) + 1
    return [tuple(sorted(part.tolist())) for part in np.split(order, cuts)]


def _by_window(points: Points, log_c: Array) -> list[tuple[int, ...]]:
    left = np.argsort(log_c, kind="stable")
    windows: list[tuple[int, ...]] = []
    while len(left):
        values = log_c[left]
        ends = np.searchsorted(values, values + WINDOW, side="right")
        first = int(np.argmax(ends - np.arange(len(left))))
        chosen = left[first : ends[first]]
        if _sizes(points, tuple(chosen.tolist())) < MIN_WINDOW_SIZES:
            break
        windows.append(tuple(sorted(chosen.tolist())))
        # The runs beside a window are its edge, not a budget of their own.
        middle = values[first] + WINDOW / 2
        left = left[np.abs(values - middle) > WINDOW]
    return sorted(windows, key=lambda g: float(log_c[list(g)].mean()))


def _sizes(points: Points, group: tuple[int, ...]) -> int:
    return len(np.unique(points.params[list(group)]))


def _means(log_c: Array, groups: list[tuple[int, ...]]) -> tuple[float, ...]:
    return tuple(float(np.exp(log_c[list(g)].mean())) for g in groups)
