"""From a table whose cells hold several recipes to one loss a cell: the best recipe's, or a surface's minimum."""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit

from harness.errors import UserError
from harness.fit.best_cells import (
    LEAST_FREEDOM,
    most_optimism,
    optimism_of,
    recipes_of,
    replicate_noise,
)
from harness.fit.bootstrap import percentile_interval
from harness.fit.budgets import Cells
from harness.fit.cell_results import CellOptimum, CellsResult, RecipeRule, VariedColumn
from harness.fit.options import BEST, MEAN, SURFACE, FitOptions
from harness.fit.response_surface import UNEVEN, fit_surface
from harness.fit.results import Approach
from harness.fit.status import Flag, judge
from harness.fit.surface_design import LEAST_VALUES, ResponseSurface, Sample
from harness.fit.table import Array, Points
from harness.fit.varied import Varied, varied_columns, within
from harness.text import counted

# Mixed recipes matter where they vary in this share of the cells, and where losses within a cell are spread by this
# much in ln L: by as much as published sweeps scatter about a law. Where seeds tell the noise, only beyond it.
SHARE = 0.1
SPREAD = 0.005
BEYOND = 0.01
DRAWS = 1000
SURE = 0.9  # share of draws that must have a minimum
OFTEN = 0.5  # of the cells in which a column varies: at the edge in more, its best value is not known
ALIKE = 1.5  # numbers of recipes that are fewer times apart bias all cells alike
STREAM = 7
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
        return _best(points, varied, cells, options)
    if options.cells == SURFACE:
        return _surface(points, varied, cells, options)
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
    tried = _recipes_tried(varied)
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


def _recipes_tried(varied: Varied) -> Cells:
    """How many recipes each cell has, (cells,)."""
    return np.bincount(np.unique(np.stack((varied.cell, varied.recipe)), axis=1)[0])


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
        f"{_varying(cells)}: losses there are spread by {cells.spread:.3g} nats (standard deviation), their mean lies "
        f"{cells.mean_over_best:.3g} above the lowest, and every run is fitted as if this were luck; "
        "analysis.cells=best takes the best recipe of each cell, analysis.cells=surface the minimum of a fitted "
        "response surface"
    )


def _varying(cells: CellsResult) -> str:
    """``within a cell (one N and D) lr (12 values) and batch_size (8 values) vary in 41 of 41 cells``."""
    recipes = _listed([column for column in cells.columns if not column.is_seed])
    return f"within a cell (one N and D) {recipes} in {cells.varied_cells} of {counted(cells.cells, 'cell')}"


def _listed(columns: list[VariedColumn]) -> str:
    named = [f"{column.name} ({column.values} values)" for column in columns[:SHOWN]]
    if len(columns) > SHOWN:
        named.append(f"{len(columns) - SHOWN} more")
    said = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{said} {'varies' if len(columns) == 1 else 'vary'}"


def _seeds(points: Points, cells: CellsResult) -> str:
    seeds = [column for column in cells.columns if column.is_seed]
    most = max(column.cells for column in seeds)
    told = (
        f": runs of one recipe differ by {cells.noise:.3g} nats (standard deviation)" if cells.noise else ""
    )
    return f"within a cell {_listed(seeds)} in {most} of {counted(cells.cells, 'cell')}{told}, which is taken as luck"


def _best(points: Points, varied: Varied, cells: CellsResult, options: FitOptions) -> Chosen:
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
    chosen = _chosen(points, varied)
    edges = _at_edge(points, varied, chosen)
    optima = tuple(
        CellOptimum(
            **_place(points, run, varied, c),
            recipes=int(counts[c]),
            loss=float(loss[c]),
            loss_se=None if errors is None else float(errors[c]),
            correction=None if errors is None else float(found.of_cell[c]),
            values={column.name: _value(points, column.name, run) for column in varied.recipes},
            at_edge=tuple(name for name, (_, at) in edges.items() if at[c]),
        )
        for c, run in enumerate(chosen.tolist())
    )
    table = _table(points, varied, chosen, loss, errors)
    often, flags = _often(edges)
    notes = (
        f"{_varying(cells)}: the best recipe of each is fitted, {len(table)} losses of {len(points)} runs",
        note,
    )
    return Chosen(table, replace(cells, choice=BEST, optima=optima, notes=(*notes, *often)), tuple(flags))


def _chosen(points: Points, varied: Varied) -> Cells:
    """The lowest run of the recipe with the lowest mean, of every cell, (cells,); the order of rows decides nothing."""
    _, member = np.unique(np.stack((varied.cell, varied.recipe)), axis=1, return_inverse=True)
    member = member.reshape(-1)
    mean = points.loss - within(points.loss, member)
    names = np.unique(np.array(points.run_id), return_inverse=True)[1]
    order = np.lexsort((names, points.loss, varied.recipe, mean.round(12), varied.cell))
    return np.asarray(order[np.unique(varied.cell[order], return_index=True)[1]])


def _span(cells: CellsResult) -> str:
    least, most = cells.least_recipes, cells.most_recipes
    return f"{most} recipes a cell" if least == most else f"{least} to {most} recipes a cell"


def _other_noise(points: Points, varied: Varied, best: Array) -> tuple[float, str]:
    """Standard deviation of a run, nats per token, where no recipe was repeated, and what tells it."""
    try:
        sample, _, _ = _sample(points, varied)
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


def _surface(points: Points, varied: Varied, cells: CellsResult, options: FitOptions) -> Chosen:
    """One run a cell, with the loss at the minimum of the response surface."""
    rng = np.random.default_rng((options.seed, STREAM))
    sample, centre, middle = _sample(points, varied)
    found = fit_surface(sample, DRAWS, rng)
    rules = _rules(found, sample, centre, middle, options)
    usable = np.isfinite(found.level) & (found.level > 0)
    tail = float(stdtrit(found.freedom, (1 + options.level) / 2))
    counts = _recipes_tried(varied)
    lowest = _chosen(points, replace(varied, recipe=np.arange(len(points))))
    edges = {
        name: (usable & _enough(varied, points, name), found.outside[:, j])
        for j, name in enumerate(sample.names)
    }
    optima = tuple(
        CellOptimum(
            **_place(points, run, varied, c),
            recipes=int(counts[c]),
            loss=(loss := float(found.level[c])),
            loss_se=(error := float(found.error[c])),
            loss_interval=(loss - tail * error, loss + tail * error),
            values={
                name: f"{np.exp(found.best[c, j] + middle[name]):.6g}" for j, name in enumerate(sample.names)
            },
            at_edge=tuple(name for name, (_, at) in edges.items() if at[c]),
        )
        for c, run in enumerate(lowest.tolist())
        if usable[c]
    )
    table = _table(points, varied, lowest, found.level, found.error)
    table = table.without(~usable, "no run of this cell is near the minimum of the response surface")
    often, flags = _often(edges)
    gone = len(points) - int(found.used.sum())
    notes = [
        f"{_varying(cells)}: the minimum of a response surface is fitted, {len(table)} losses of {len(points)} runs; "
        f"{gone} runs further than {found.width:.2g} of the loss above it, or far off it, took no part; noise of a run "
        f"{found.noise:.2g} nats"
    ]
    notes += [_rule_said(rule, options.level) for rule in rules]
    if found.uneven is not None and found.uneven > UNEVEN**2:
        notes.append(
            f"the best values of single cells lie {found.uneven**0.5:.2g} times further from these rules than noise "
            "explains: every cell has a minimum of its own"
        )
    cells = replace(
        cells,
        choice=SURFACE,
        noise=found.noise,
        noise_from=f"residuals of the response surface ({found.freedom} degrees of freedom)",
        left_out=gone,
        uneven=None if found.uneven is None else float(np.sqrt(found.uneven)),
        rules=rules,
        optima=optima,
        notes=(*notes, *often),
    )
    return Chosen(table, cells, tuple(flags))


def _sample(points: Points, varied: Varied) -> tuple[Sample, Array, dict[str, float]]:
    """What a surface is fitted to; ln N and ln D, and ln of each hyperparameter, in the table's middle."""
    columns, middle = [], {}
    for column in varied.recipes:
        values = points.extra.get(column.name)
        if values is None or (values[np.isfinite(values)] <= 0).any():
            what = "is text" if values is None else "has values that are not positive"
            raise UserError(
                f"analysis.cells=surface: column {column.name} {what}, and a surface is one over logarithms: fit "
                "one value of it, or take analysis.cells=best"
            )
        logs = np.log(values)
        if not np.isfinite(logs).all():
            raise UserError(
                f"analysis.cells=surface: column {column.name} is empty in {int((~np.isfinite(logs)).sum())} runs: "
                "fill it in, leave these runs out, or take analysis.cells=best"
            )
        middle[column.name] = float((logs.min() + logs.max()) / 2)
        columns.append(logs - middle[column.name])
    first = np.unique(varied.cell, return_index=True)[1]
    x, y = np.log(points.params[first]), np.log(points.tokens[first])
    g = np.stack((np.ones(len(first)), x - x.mean(), y - y.mean()), axis=1)
    sample = Sample(tuple(middle), np.stack(columns, axis=1), points.loss, varied.cell, g)
    return sample, np.array((x.mean(), y.mean())), middle


def _rules(
    found: ResponseSurface, sample: Sample, centre: Array, middle: dict[str, float], options: FitOptions
) -> tuple[RecipeRule, ...]:
    """The best value of each hyperparameter as a power law of N and D.

    Raises:
        UserError: too many draws of the surface have no minimum.
    """
    estimate = found.coefficients.rules()
    sure = np.isfinite(found.rules).all(axis=(1, 2))
    if sure.mean() < SURE:
        raise UserError(
            f"analysis.cells=surface: these runs do not determine a minimum over {', '.join(sample.names)} "
            f"({1 - sure.mean():.0%} of the surface's draws have none): take analysis.cells=best"
        )
    drawn = found.rules[sure] if options.draws else None

    def interval(j: int, term: int) -> tuple[float, float] | None:
        return None if drawn is None else percentile_interval(drawn[:, j, term], options.level)

    def value(j: int, name: str) -> tuple[float, tuple[float, float] | None]:
        ends = interval(j, 0)
        there = None if ends is None else tuple(float(np.exp(end + middle[name])) for end in ends)
        return float(np.exp(estimate[j, 0] + middle[name])), None if there is None else (there[0], there[1])

    rules = []
    for j, name in enumerate(sample.names):
        at, ends = value(j, name)
        by: dict[str, Any] = {}
        for term, field in ((1, "params_exponent"), (2, "tokens_exponent")):
            if term in found.coefficients.terms:
                by |= {field: float(estimate[j, term]), f"{field}_interval": interval(j, term)}
        rules.append(
            RecipeRule(
                column=name,
                value=at,
                value_interval=ends,
                params=float(np.exp(centre[0])),
                tokens=float(np.exp(centre[1])),
                outside=int(found.outside[:, j].sum()),
                **by,
            )
        )
    return tuple(rules)


def _rule_said(rule: RecipeRule, level: float) -> str:
    """``best lr = 0.0021 (0.0020 to 0.0022) x (N/3.1e+08)^-0.71 (-0.74 to -0.68) x (D/...)^...``."""
    text = f"best {rule.column} = {rule.value:.3g}{_ends(rule.value_interval, '.3g')}"
    for symbol, at, exponent, ends in (
        ("N", rule.params, rule.params_exponent, rule.params_exponent_interval),
        ("D", rule.tokens, rule.tokens_exponent, rule.tokens_exponent_interval),
    ):
        if exponent is not None:
            text += f" x ({symbol}/{at:.3g})^{exponent:.3f}{_ends(ends, '.3f')}"
    if rule.params_exponent is None and rule.tokens_exponent is None:
        text += " in every cell, for they do not show how it changes with N or D"
    elif rule.params_exponent is None or rule.tokens_exponent is None:
        text += ", where N and D change together, for the cells do not tell their effects apart"
    return text + ("" if rule.value_interval is None else f"; intervals {level:.0%}")


def _ends(interval: tuple[float, float] | None, form: str) -> str:
    return "" if interval is None else f" ({interval[0]:{form}} to {interval[1]:{form}})"


def _enough(varied: Varied, points: Points, name: str) -> Mask:
    """Which cells have enough values of a column for one to lie between others, (cells,)."""
    values = np.unique(np.round(np.log(np.abs(points.extra[name]) + 1e-300), 6), return_inverse=True)[1]
    pairs = np.unique(np.stack((varied.cell, values.reshape(-1))), axis=1)[0]
    return np.asarray(np.bincount(pairs, minlength=int(varied.cell.max()) + 1) >= LEAST_VALUES)


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
        enough, best = _enough(varied, points, column.name), values[chosen]
        found[column.name] = (enough, enough & ((best <= low) | (best >= high)))
    return found


def _often(edges: dict[str, tuple[Mask, Mask]]) -> tuple[tuple[str, ...], list[Flag]]:
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


def _place(points: Points, run: int, varied: Varied, cell: int) -> dict[str, Any]:
    return {
        "params": float(points.params[run]),
        "tokens": float(points.tokens[run]),
        "budget": None if points.budget is None else float(points.budget[run]),
        "runs": int((varied.cell == cell).sum()),
        "best_run": points.run_id[run],
    }


def _value(points: Points, name: str, run: int) -> str:
    return f"{points.extra[name][run]:.6g}" if name in points.extra else points.text[name][run]


def _table(points: Points, varied: Varied, runs: Cells, loss: Array, error: Array | None) -> Points:
    """The cells' chosen runs with these losses, by N, D and budget, without the columns that vary within cells."""
    table = points.select(runs)
    return replace(
        table,
        loss=loss,
        loss_se=table.loss_se if error is None else error,
        extra={name: column for name, column in table.extra.items() if name not in varied.dropped},
        text={name: column for name, column in table.text.items() if name not in varied.dropped},
    )
