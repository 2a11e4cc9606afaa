"""Runs of one N and D with different recipes: whether there are any, and one loss a cell instead."""

from dataclasses import replace

import numpy as np
from scipy.special import fdtrc

from harness.fit.best_cells import LEAST_FREEDOM, replicate_noise
from harness.fit.best_recipes import best_recipes
from harness.fit.cell_results import CellsResult
from harness.fit.cell_tables import Chosen, listed, recipes_tried, said_to_vary
from harness.fit.options import BEST, MEAN, SURFACE, FitOptions
from harness.fit.status import Flag
from harness.fit.surface_cells import surface_minima
from harness.fit.table import Points
from harness.fit.varied import Varied, varied_columns, within
from harness.text import counted

# Mixed recipes matter where they vary in this share of the cells, and where losses within a cell are spread by this
# much in ln L: by as much as published sweeps scatter about a law. Where seeds tell the noise, only beyond it.
SHARE = 0.1
SPREAD = 0.005
BEYOND = 0.01


def choose_cells(points: Points, options: FitOptions) -> Chosen:
    """Takes the runs of each cell together as ``options.cells`` says.

    A table in which no hyperparameter varies within cells is returned as it is.

    Raises:
        UserError: a surface was asked for, and the runs do not determine it.
    """
    if not len(points):
        return Chosen(points, None)
    varied = varied_columns(points)
    if not varied.columns:
        return Chosen(points, None)
    cells = _described(points, varied)
    if not varied.recipes:
        return Chosen(points, replace(cells, notes=(_seeds(points, cells),)))
    if options.cells == BEST:
        return best_recipes(points, varied, cells, options)
    if options.cells == SURFACE:
        return surface_minima(points, varied, cells, options)
    note = _mixed(cells)
    notes = (note, *([_seeds(points, cells)] if any(c.is_seed for c in cells.columns) else []))
    flags = (Flag("mixed_recipes", note),) if _matters(points, varied, cells) else ()
    return Chosen(points, replace(cells, notes=notes), flags)


def fitted_cells(points: Points, cells: CellsResult | None) -> Points:
    """The runs of ``points`` that stand for their cells in a fit with this result, each with its cell's loss."""
    if cells is None or not cells.optima:
        return points
    taken = {(one.best_run, one.tokens): one for one in cells.optima}
    keys = zip(points.run_id, points.tokens.tolist(), strict=True)
    found = [(i, taken[key]) for i, key in enumerate(keys) if key in taken]
    table = points.select([i for i, _ in found])
    return replace(
        table,
        loss=np.array([one.loss for _, one in found]),
        loss_se=np.array([np.nan if one.loss_se is None else one.loss_se for _, one in found]),
    )


def _described(points: Points, varied: Varied) -> CellsResult:
    several = np.bincount(varied.cell)[varied.cell] > 1
    off = within(points.loss, varied.cell)
    freedom = len(points) - len(np.unique(varied.cell))
    mean = points.loss - off
    lowest = np.full(int(varied.cell.max()) + 1, np.inf)
    np.minimum.at(lowest, varied.cell, points.loss)
    first = np.unique(varied.cell[several], return_index=True)[1]
    tried = recipes_tried(varied)
    noise = replicate_noise(points.loss, varied.cell, varied.recipe)
    return CellsResult(
        choice=MEAN,
        runs=len(points),
        cells=len(lowest),
        varied_cells=int((tried > 1).sum()),
        columns=varied.columns,
        spread=float(np.sqrt(np.sum(off**2) / freedom)),
        mean_over_best=float(np.mean((mean - lowest[varied.cell])[several][first])),
        noise=noise[0] if noise else None,
        noise_from=f"runs of one recipe ({noise[1]} degrees of freedom)" if noise else "",
        least_recipes=int(tried[tried > 1].min()) if (tried > 1).any() else 1,
        most_recipes=int(tried.max()),
    )


def _matters(points: Points, varied: Varied, cells: CellsResult) -> bool:
    """Whether the recipes' differences are large enough, and beyond those of seeds where these are known."""
    off = within(np.log(points.loss), varied.cell)
    freedom = len(points) - cells.cells
    if cells.varied_cells < SHARE * cells.cells or np.sqrt(np.sum(off**2) / freedom) < SPREAD:
        return False
    _, member = np.unique(np.stack((varied.cell, varied.recipe)), axis=1, return_inverse=True)
    left = within(np.log(points.loss), member.reshape(-1))
    inner = len(points) - int(member.max()) - 1
    if inner < LEAST_FREEDOM:
        return True
    between = freedom - inner
    unexplained = float(left @ left)
    ratio = (float(off @ off) - unexplained) / between / max(unexplained / inner, 1e-300)
    return float(fdtrc(between, inner, max(ratio, 0.0))) < BEYOND


def _mixed(cells: CellsResult) -> str:
    return (
        f"{said_to_vary(cells)}: losses there are spread by {cells.spread:.3g} nats (standard deviation), their mean "
        f"lies {cells.mean_over_best:.3g} above the lowest, and every run is fitted as if this were luck; "
        "analysis.cells=best takes the best recipe of each cell, analysis.cells=surface the minimum of a fitted "
        "response surface"
    )


def _seeds(points: Points, cells: CellsResult) -> str:
    seeds = [column for column in cells.columns if column.is_seed]
    most = max(column.cells for column in seeds)
    told = (
        f": runs of one recipe differ by {cells.noise:.3g} nats (standard deviation)" if cells.noise else ""
    )
    return f"within a cell {listed(seeds)} in {most} of {counted(cells.cells, 'cell')}{told}, which is taken as luck"
