"""Which columns of a table vary within one (N, D): hyperparameters that were set, and seeds.

A run's loss is a matter of N and D only where its recipe suits them. Runs of one (N, D) with different seeds differ
by luck; those that differ in learning rate or batch do not, and their mean is the loss of no recipe.

What is a hyperparameter is told by a column's name. A column of another name is one where its values were set, so that
runs of other cells share them, and where the losses of a cell follow it: a measured time or a training loss has a value
of its own for every run.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from harness.fit.budgets import Cells
from harness.fit.cell_results import VariedColumn
from harness.fit.table import Array, Points

# Horizons are whole steps: with the batch they differ by a step, which a loss does not show.
SAME_TOKENS = 0.01
# Of two columns within cells: as closely related as rounding allows, one of them is the other under another name.
SAME_COLUMN = 0.9999
# A column of unknown name is set where so many of its runs share their value with a run of another cell ...
SHARED = 0.9
MOST_VALUES = 0.25  # ... its values are no more than this share of the runs, and than ...
MOST_DIFFERENT = 60
FOLLOWED = 1e-3  # ... and losses within cells would follow it as closely by chance this often at most.

HYPERPARAMETER = re.compile(
    r"((peak|max|base|initial|init|min|adam|muon|hidden|matrix|embedding|embed|head)_)?(lr|learning_rate)"
    r"(_?(max|peak|base|mult|multiplier|scale))?"
    r"|((global|micro|total|train|effective|per_device|local)_)*(batch|bs|bsz|batch_?size)"
    r"(_(size|tokens|seqs|sequences))?|tokens_per_(batch|step|update)|eta"
    r"|wd|(adam_)?weight_decay|warm_?up\w*|(adam_)?beta_?[12]|(adam_)?eps(ilon)?|momentum|dropout\w*|\w*_dropout"
    r"|(max_)?grad(ient)?_(clip\w*|norm_max)|max_grad_norm|clip\w*|init_(std|scale)|initiali[sz]er_range|z_loss_\w+"
    r"|(lr_)?(decay|cool_?down|stable)_(\w+)|ema_\w+|label_smoothing|optim(izer)?(_name)?|(lr_)?schedul(e|er)(_type)?"
    r"|mup_\w+|\w*_multiplier"
)
SEED = re.compile(r"(\w+_)?seeds?(_\w+)?|random_state|replicate|replica|repeat|repetition|trial|rep")
# Words in the name of what a run had as its result, or what it ran on.
RESULT = re.compile(
    r"(^|_)(loss(es)?|nll|ce|bpb|bits|perplexity|ppl|acc|accuracy|score|error|err|metric|r2|residual|predicted|pred"
    r"|s|sec|secs|seconds?|times?|hours?|minutes?|days?|duration|runtime|elapsed|speed|throughput|mfu|hfu|t?flops?|flop"
    r"|memory|mem|gb|gpus?|devices?|host(name)?|nodes?|norm|final|last|end|best|min_loss|date|created|started|ended"
    r"|timestamp|updated|energy|power|watts|cost|price|dollars|epochs?|steps?|iters?|iterations?|tokens|samples"
    r"|examples|sequences|index|idx|id|rank|job|path|url|hash|sha|commit|version|user|notes?|comments?|tags?|name|names"
    r"|outliers?|flags?|status|state|excluded?|converged|diverged|unnamed|level_\d|params|parameters|bits_per_byte"
    r"|gradient|gradients|grad)(_|$|\d)"
)
# What sorts runs into groups whose losses are not to be compared: a cell holds one of them.
GROUP = re.compile(
    r"data_?set(_name)?|corpus|domain|source|mixture|language|tokenizer|vocab(_size)?|eval\w*|validation\w*|benchmark"
    r"|task|(model_)?family|model(_type|_class)?|arch(itecture)?|study|paper"
)


@dataclass(frozen=True, eq=False)
class Varied:
    """What varies within the cells of a table.

    Attributes:
        cell: of every run, (n,), numbered by rising N, D, budget and group.
        recipe: of every run, (n,): runs of one have the same value of every hyperparameter that varies.
        columns: hyperparameters and seeds that vary, in the table's order.
        dropped: names of all columns that vary within cells, results among them.
    """

    cell: Cells
    recipe: Cells
    columns: tuple[VariedColumn, ...]
    dropped: frozenset[str]

    @property
    def recipes(self) -> tuple[VariedColumn, ...]:
        """The hyperparameters among the columns."""
        return tuple(column for column in self.columns if not column.is_seed)


def varied_columns(points: Points) -> Varied:
    """Finds the columns that vary within cells of ``points``."""
    cell = recipe_cells(points)
    inner = np.bincount(cell)[cell] > 1 if len(cell) else np.zeros(0, dtype=bool)
    codes = {name: _codes(values) for name, values in _columns(points)}
    varying = {name: code for name, code in codes.items() if len(_cells_varying(cell, code))}
    columns: list[VariedColumn] = []
    kept: list[str] = []
    seeds = ["seed"] if points.seed is not None and len(_cells_varying(cell, _codes(points.seed))) else []
    seeds += [name for name in varying if SEED.fullmatch(name)]
    known = [name for name in varying if HYPERPARAMETER.fullmatch(name) and name not in seeds]
    others = [
        name
        for name, code in varying.items()
        if name not in (*known, *seeds)
        and not RESULT.search(name)
        and not GROUP.fullmatch(name)
        and _was_set(code[inner], cell[inner])
        and _followed(points.loss, cell, code)
    ]
    also: dict[str, list[str]] = {}
    for name in (*known, *others):
        twin = next((one for one in kept if _same(points, cell, codes, one, name)), None)
        if twin is None:
            kept.append(name)
        else:
            also.setdefault(twin, []).append(name)
    order = {name: i for i, name in enumerate(codes)}
    for name in sorted(kept, key=order.__getitem__):
        columns.append(_described(points, name, codes[name], cell, tuple(also.get(name, ())), seed=False))
    for name in seeds:
        code = _codes(points.seed) if name == "seed" and points.seed is not None else codes[name]
        columns.append(_described(points, name, code, cell, (), seed=True))
    recipe = np.zeros(len(points), dtype=np.intp)
    if kept:
        _, recipe = np.unique(np.stack([codes[name] for name in kept]), axis=1, return_inverse=True)
    return Varied(cell, np.asarray(recipe).reshape(-1), tuple(columns), frozenset(varying))


def recipe_cells(points: Points) -> Cells:
    """The cell of every run, (n,), by rising N, D, budget and group, whatever the order of the rows.

    Runs of one N, budget and group (a data set, a family of models) share a cell where their D are within
    ``SAME_TOKENS``: with the batch a horizon in whole steps moves by a step. Rows of one run never do.
    """
    exact = len(set(points.run_id)) < len(points)
    log_n, log_d = np.round(np.log(points.params), 9), np.log(points.tokens)
    budget = np.zeros(len(points)) if points.budget is None else np.nan_to_num(points.budget)
    groups = [_codes(values) for name, values in _columns(points) if GROUP.fullmatch(name)]
    if exact:
        log_d = np.round(log_d, 9)
    order = np.lexsort((log_d, *groups, budget, log_n))
    keys = np.stack((log_n, budget, *groups), axis=1)
    cell = np.empty(len(points), dtype=np.intp)
    number, first, before = -1, -np.inf, None
    for i, key in zip(order.tolist(), map(tuple, keys[order].tolist()), strict=True):
        if key != before or log_d[i] > first + (0.0 if exact else SAME_TOKENS):
            number, first, before = number + 1, float(log_d[i]), key
        cell[i] = number
    # By rising N, then D, then the rest.
    lowest = np.full(number + 1, np.inf)
    np.minimum.at(lowest, cell, log_d)
    keys_of = np.zeros((number + 1, keys.shape[1]))
    keys_of[cell] = keys
    rank = np.empty(number + 1, dtype=np.intp)
    rank[np.lexsort((*keys_of.T[1:], lowest, keys_of[:, 0]))] = np.arange(number + 1)
    return np.asarray(rank[cell])


def within(values: Array, cell: Cells) -> Array:
    """Values (n,) less the mean of their cell."""
    return np.asarray(values - (np.bincount(cell, values) / np.maximum(np.bincount(cell), 1))[cell])


def _columns(points: Points) -> Iterator[tuple[str, Array | Sequence[str]]]:
    yield from points.extra.items()
    yield from points.text.items()


def _codes(values: Array | Sequence[str]) -> Cells:
    """Numbers the different values of a column, (n,), in their order: numbers to nine digits, an empty cell as one."""
    if isinstance(values, np.ndarray):
        with np.errstate(all="ignore"):
            digits = 9 - np.ceil(np.log10(np.maximum(np.abs(values), 1e-300)))
            rounded = np.where(values == 0, 0.0, np.round(values * 10.0**digits)) * 10.0**-digits
        return np.unique(np.where(np.isfinite(values), rounded, np.nan), return_inverse=True)[1].astype(
            np.intp
        )
    return np.unique(np.array(values, dtype=object).astype(str), return_inverse=True)[1].astype(np.intp)


def _cells_varying(cell: Cells, code: Cells) -> Cells:
    """The cells of whose runs (n,) two have different codes."""
    if not len(cell):
        return np.zeros(0, dtype=np.intp)
    cells = int(cell.max()) + 1
    low, high = np.full(cells, np.iinfo(np.intp).max), np.full(cells, -1)
    np.minimum.at(low, cell, code)
    np.maximum.at(high, cell, code)
    return np.flatnonzero(high > low)


def _was_set(code: Cells, cell: Cells) -> bool:
    """Whether the values of a column (n,) were chosen, not measured."""
    values, counts = np.unique(code, return_counts=True)
    if len(values) < 2 or len(values) > min(max(2.0, MOST_VALUES * len(code)), MOST_DIFFERENT):
        return False
    pairs = np.unique(np.stack((code, cell)), axis=1)[0]
    places = dict(zip(*np.unique(pairs, return_counts=True), strict=True))
    elsewhere = np.array([places[value] > 1 for value in values])
    # in a table of a single cell there is no other
    return len(np.unique(cell)) == 1 or float(counts[elsewhere].sum()) >= SHARED * len(code)


def _followed(loss: Array, cell: Cells, code: Cells) -> bool:
    """Whether losses within cells (n,) differ by a column's values: F test of its values' effects, cells apart."""
    y = within(np.log(loss), cell)
    columns = (code[:, None] == np.unique(code)[1:]).astype(float)
    columns = np.stack([within(column, cell) for column in columns.T], axis=1)
    cells, rank = len(np.unique(cell)), int(np.linalg.matrix_rank(columns))
    freedom = len(y) - cells - rank
    if rank == 0 or freedom < 1:
        return False
    left = y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]
    total, unexplained = float(y @ y), float(left @ left)
    if total <= 0:
        return False
    ratio = (total - unexplained) / rank / max(unexplained / freedom, 1e-300)
    return float(fdtrc(rank, freedom, ratio)) < FOLLOWED


def _same(points: Points, cell: Cells, codes: dict[str, Cells], one: str, other: str) -> bool:
    """Whether one column says within cells what another says."""
    columns = [points.extra.get(name) for name in (one, other)]
    if all(column is not None and np.isfinite(column).all() and (column > 0).all() for column in columns):
        x, y = (within(np.log(column), cell) for column in columns if column is not None)
        size = float(np.linalg.norm(x) * np.linalg.norm(y))
        return size > 0 and abs(float(x @ y)) > SAME_COLUMN * size
    pairs = [len(np.unique(np.stack((cell, codes[name])), axis=1)[0]) for name in (one, other)]
    both = len(np.unique(np.stack((cell, codes[one], codes[other])), axis=1)[0])
    return pairs[0] == pairs[1] == both


def _described(
    points: Points, name: str, code: Cells, cell: Cells, also: tuple[str, ...], seed: bool
) -> VariedColumn:
    values = points.extra.get(name)
    numbers = None if values is None or not np.isfinite(values).any() else values[np.isfinite(values)]
    cells = _cells_varying(cell, code)
    return VariedColumn(
        name=name,
        is_seed=seed,
        values=len(np.unique(code[np.isin(cell, cells)])),
        cells=len(cells),
        low=None if numbers is None or seed else float(numbers.min()),
        high=None if numbers is None or seed else float(numbers.max()),
        also=also,
    )
