"""``analysis.cells=best``: the best recipe of each cell as a table, with what is said of having chosen it."""

from dataclasses import replace

import numpy as np

from harness.errors import UserError
from harness.fit.best_cells import LEAST_FREEDOM, most_optimism, optimism_of, recipes_of, replicate_noise
from harness.fit.budgets import Cells
from harness.fit.cell_results import CellOptimum, CellsResult
from harness.fit.cell_tables import (
    Chosen,
    Mask,
    best_runs,
    enough_values,
    one_a_cell,
    place_of,
    said_at_edge,
    said_to_vary,
)
from harness.fit.options import BEST, FitOptions
from harness.fit.response_surface import fit_surface
from harness.fit.surface_cells import sample_of
from harness.fit.table import Array, Points
from harness.fit.varied import Varied, within

ALIKE = 1.5  # numbers of recipes that are fewer times apart bias all cells alike
STREAM = 7


def best_recipes(points: Points, varied: Varied, cells: CellsResult, options: FitOptions) -> Chosen:
    """One run a cell: of the recipe with the lowest mean loss, with that loss, corrected where seeds allow."""
    tried = recipes_of(points.loss, varied.cell, varied.recipe)
    rng = np.random.default_rng((options.seed, STREAM))
    counts = np.array([len(one.mean) for one in tried])
    loss = np.array([one.mean.min() for one in tried])
    errors: Array | None = None
    noise = replicate_noise(points.loss, varied.cell, varied.recipe)
    if noise is not None:
        found = optimism_of(tried, *noise, options.level, rng)
        loss, errors = loss + found.of_cell, found.error
        cells = replace(cells, optimism=found.mean, optimism_interval=found.interval)
        note = (
            f"the best of {_span(cells)} is too low by {found.mean:.2g} nats ({found.interval[0]:.2g} to "
            f"{found.interval[1]:.2g}) for having been chosen, as {cells.noise_from} tell, which differ "
            f"by {noise[0]:.2g} nats: each cell's is corrected"
        )
    else:
        value, source = _other_noise(points, varied, loss)
        most = float(most_optimism(counts, value)[counts > 1].mean())
        cells = replace(cells, noise=value, noise_from=source, optimism_at_most=most)
        note = (
            f"the best of {_span(cells)} is too low for having been chosen, by at most {most:.2g} nats (if all were "
            f"equally good; noise of {value:.2g} nats from {source}); without runs of one recipe and other seeds it is "
            "not corrected"
        )
        note += (
            ": numbers of recipes differ, so cells with many seem better than those with few, which moves N* as well"
            if cells.most_recipes > ALIKE * int(counts.min())
            else ": about as many were tried in every cell, so this moves E and hardly N*"
        )
    chosen = best_runs(points, varied)
    edges = _at_edge(points, varied, chosen)
    optima = tuple(
        CellOptimum(
            **place_of(points, run, varied, c),
            recipes=int(counts[c]),
            loss=float(loss[c]),
            loss_se=None if errors is None else float(errors[c]),
            correction=None if errors is None else float(found.of_cell[c]),
            values={column.name: _value(points, column.name, run) for column in varied.recipes},
            at_edge=tuple(name for name, (_, at) in edges.items() if at[c]),
        )
        for c, run in enumerate(chosen.tolist())
    )
    table = one_a_cell(points, varied, chosen, loss, errors)
    often, flags = said_at_edge(edges)
    notes = (
        f"{said_to_vary(cells)}: the best recipe of each is fitted, {len(table)} losses of {len(points)} runs",
        note,
    )
    return Chosen(table, replace(cells, choice=BEST, optima=optima, notes=(*notes, *often)), tuple(flags))


def _span(cells: CellsResult) -> str:
    least, most = cells.least_recipes, cells.most_recipes
    return f"{most} recipes a cell" if least == most else f"{least} to {most} recipes a cell"


def _other_noise(points: Points, varied: Varied, best: Array) -> tuple[float, str]:
    """Standard deviation of a run, nats per token, where no recipe was repeated, and what tells it."""
    try:
        sample, _, _ = sample_of(points, varied)
        return fit_surface(sample, 0, np.random.default_rng(0)).noise, "the residuals of a response surface"
    except UserError:
        pass
    order = np.unique(varied.cell, return_index=True)[1]
    x, y = np.log(points.params[order]), np.log(points.tokens[order])
    x, y = x - x.mean(), y - y.mean()
    columns = np.stack((np.ones(len(x)), x, y, x**2, x * y, y**2), axis=1)
    rank = int(np.linalg.matrix_rank(columns))
    if len(x) < rank + LEAST_FREEDOM:
        own = within(points.loss, varied.cell)
        return float(np.sqrt(own @ own / max(len(own) - len(order), 1))), "the spread in cells"
    left = best - columns @ np.linalg.lstsq(columns, best, rcond=None)[0]
    return float(
        np.sqrt(left @ left / (len(x) - rank))
    ), "the cells' best losses about a smooth surface in N and D"


def _at_edge(points: Points, varied: Varied, chosen: Cells) -> dict[str, tuple[Mask, Mask]]:
    """By column of numbers: which cells have enough values of it, and in which of these the best is the last one."""
    found = {}
    for column in varied.recipes:
        values = points.extra.get(column.name)
        if values is None or not np.isfinite(values).all():
            continue
        low, high = (np.full(len(chosen), end) for end in (np.inf, -np.inf))
        np.minimum.at(low, varied.cell, values)
        np.maximum.at(high, varied.cell, values)
        enough, best = enough_values(varied, points, column.name), values[chosen]
        found[column.name] = (enough, enough & ((best <= low) | (best >= high)))
    return found


def _value(points: Points, name: str, run: int) -> str:
    return f"{points.extra[name][run]:.6g}" if name in points.extra else points.text[name][run]
