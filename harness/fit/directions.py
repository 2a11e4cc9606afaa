"""What the residuals of a table may follow, by name: N, D, C, steps, ends of profiles, budgets, columns, repetition."""

import re

import numpy as np

from harness.fit.budgets import Cells, cells_of, group_budgets
from harness.fit.diverged import WIDTHS, profile_ends
from harness.fit.misfit import epochs_of
from harness.fit.structure import NEIGHBOURING, indicators, powers
from harness.fit.table import Array, Points

BUDGETS = "budgets"
PROGRESS = "the progress of runs"
REPETITION = "how often data are repeated"
LARGEST, SMALLEST = "the largest models of every budget", "the smallest models of every budget"
STEPS = {"a step in N": "params", "a step in D": "tokens"}
COLUMN = "the column "
MIXED = 0.2  # share of runs that differ from their cell in a number of the recipe
MOST_VALUES = 3  # of a numeric column (``outlier``, a variant's number); one with more is a quantity
# Numbers that a recipe sets, of which the runs of one cell may have several: they are no seeds of each other then.
# Others (a training loss, a time) follow the loss without being a cause of it.
RECIPE = re.compile(
    r"((peak|max|base)_)?(lr|learning_rate)(_max|_peak)?|(global_)?batch(_size|_tokens)?|weight_decay|warmup\w*",
    re.IGNORECASE,
)
CUTS, BESIDE = 40, 4  # of a step: places that are tried, and rows on either side


def directions(points: Points) -> dict[str, Array]:
    """Regressors (n, q) by name, which residuals are not to follow."""
    x, y = np.log(points.params), np.log(points.tokens)
    x, y = x - x.mean(), y - y.mean()
    size, tokens = x / max(x.std(), 1e-300), y / max(y.std(), 1e-300)
    return {
        "N": powers(x),
        "D": powers(y),
        "C": powers(np.log(points.flops)),
        "N and D together": (size * tokens)[:, None],
        "N, D and their products": np.stack(
            (size**2, size * tokens, tokens**2, size**3, size**2 * tokens, size * tokens**2, tokens**3),
            axis=1,
        ),
        **_ends(points),
        **_groupings(points),
    }


def steps(points: Points) -> dict[str, Array]:
    """Of every cut in N, and of every one in D, whether a row lies above it, (n, cuts)."""
    found = {}
    for name, column in STEPS.items():
        values = getattr(points, column)
        found[name] = np.asarray(values[:, None] > cuts(values), dtype=float)
    return found


def cuts(values: Array) -> Array:
    """Up to ``CUTS`` places between positive values (n,), with ``BESIDE`` of them and more on either side."""
    ordered = np.sort(values)
    low, high = ordered[BESIDE - 1 : -BESIDE], ordered[BESIDE : len(values) - BESIDE + 1]
    between = np.sqrt(low * high)[high > low * (1 + 1e-9)]
    return between if len(between) <= CUTS else between[np.linspace(0, len(between) - 1, CUTS).astype(int)]


def place(name: str, points: Points, at: int | None) -> str:
    """Where a direction or a step lies, as the end of "structure ...".

    Args:
        at: of a step, which of its cuts shows it.
    """
    if name in STEPS:
        column = STEPS[name]
        symbol = {"params": "N", "tokens": "D"}[column]
        return f"by a step at {symbol} = {cuts(getattr(points, column))[at or 0]:.3g}"
    if name in (LARGEST, SMALLEST):
        return f"in {name}"
    if name.startswith(COLUMN):
        return f"between the values of {name}"
    return f"between {name}" if name == NEIGHBOURING else f"along {name}"


def _ends(points: Points) -> dict[str, Array]:
    """The two and the three largest models of every budget, and the smallest, (n, 2) each."""
    ends = profile_ends(points)
    wide = {end.budget for end in ends if len(end.sizes) == WIDTHS[-1]}
    if len(wide) < 3:
        return {}
    found = {LARGEST: np.zeros((len(points), 2)), SMALLEST: np.zeros((len(points), 2))}
    for end in (end for end in ends if end.budget in wide):
        found[LARGEST if end.largest else SMALLEST][end.rows, WIDTHS.index(len(end.sizes))] = 1
    return found


def _within(column: Array, points: Points) -> Array:
    """How far ln of a column (n,) is from the mean of its cell, and the square of that, (n, 2); (0,) if nowhere."""
    if not (np.isfinite(column) & (column > 0)).all():
        return np.empty(0)
    cell, value = cells_of(points), np.log(column)
    off = value - (np.bincount(cell, value) / np.bincount(cell))[cell]
    if np.mean(np.abs(off) > 1e-6) < MIXED:
        return np.empty(0)
    square = off**2 - (np.bincount(cell, off**2) / np.bincount(cell))[cell]
    return np.stack((off, square), axis=1)


def budget_of(points: Points) -> Cells | None:
    """The number of each run's budget, (n,); None where there are fewer than three clear ones."""
    budgets = group_budgets(points)
    if budgets.approximate or len(budgets.groups) < 3:
        return None
    member = np.zeros(len(points), dtype=np.intp)
    for i, group in enumerate(budgets.groups):
        member[list(group)] = i
    return member


def _follows(values: tuple[object, ...], points: Points) -> bool:
    """Whether a column is another name of N, D or the budget (``shape``): then it is no grouping of its own."""
    columns = [points.params, points.tokens, *([] if points.budget is None else [points.budget])]
    kinds = len(set(values))
    return any(len(set(zip(c, values, strict=True))) == len(set(c.tolist())) == kinds for c in columns)


def _progress(points: Points) -> Array:
    """ln of the share of its run's tokens that a row has seen, (n,), at most 0: earlier rows have not cooled down."""
    last: dict[str, float] = {}
    for run, tokens in zip(points.run_id, points.tokens.tolist(), strict=True):
        last[run] = max(tokens, last.get(run, 0.0))
    return np.asarray(np.log(points.tokens / np.array([last[run] for run in points.run_id])))


def _groupings(points: Points) -> dict[str, Array]:
    """What else may split the residuals: rows before a run's end, budgets, columns of text, repetition of data."""
    found: dict[str, Array] = {}
    progress = _progress(points)
    if (progress < 0).any():
        found[PROGRESS] = np.stack((progress, progress**2), axis=1)
    member = budget_of(points)
    if member is not None:
        found[BUDGETS] = indicators(member)
    few = {name: tuple(column) for name, column in points.extra.items() if np.isfinite(column).all()}
    for name, values in {**few, **points.text}.items():
        most = len(points) // 3 if name in points.text else min(MOST_VALUES, len(points) // 3)
        if 2 <= len(set(values)) <= most and not _follows(values, points):
            found[f"{COLUMN}{name}"] = indicators(values)
    for name, column in points.extra.items():
        if (
            RECIPE.fullmatch(name)
            and f"{COLUMN}{name}" not in found
            and len(within := _within(column, points))
        ):
            found[f"{COLUMN}{name}"] = within
    epochs = epochs_of(points)
    if epochs is not None and np.isfinite(epochs).all() and (epochs > 1.001).any():
        found[REPETITION] = np.log(np.maximum(epochs, 1.0))[:, None]
    return found
