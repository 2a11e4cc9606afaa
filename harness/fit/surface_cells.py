"""``analysis.cells=surface``: the minima of a response surface as a table, and the best values as rules."""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import stdtrit

from harness.errors import UserError
from harness.fit.bootstrap import percentile_interval
from harness.fit.cell_results import CellOptimum, CellsResult, RecipeRule
from harness.fit.cell_tables import (
    Chosen,
    best_runs,
    enough_values,
    one_a_cell,
    place_of,
    recipes_tried,
    said_at_edge,
    said_to_vary,
)
from harness.fit.options import SURFACE, FitOptions
from harness.fit.response_surface import UNEVEN, fit_surface
from harness.fit.surface_design import ResponseSurface, Sample
from harness.fit.table import Array, Points
from harness.fit.varied import Varied

DRAWS = 1000
SURE = 0.9  # share of draws that must have a minimum
STREAM = 7


def surface_minima(points: Points, varied: Varied, cells: CellsResult, options: FitOptions) -> Chosen:
    """One run a cell, with the loss at the minimum of the response surface."""
    rng = np.random.default_rng((options.seed, STREAM))
    sample, centre, middle = sample_of(points, varied)
    found = fit_surface(sample, DRAWS, rng)
    rules = _rules(found, sample, centre, middle, options)
    usable = np.isfinite(found.level) & (found.level > 0)
    tail = float(stdtrit(found.freedom, (1 + options.level) / 2))
    counts = recipes_tried(varied)
    lowest = best_runs(points, replace(varied, recipe=np.arange(len(points))))
    edges = {
        name: (usable & enough_values(varied, points, name), found.outside[:, j])
        for j, name in enumerate(sample.names)
    }
    optima = tuple(
        CellOptimum(
            **place_of(points, run, varied, c),
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
    table = one_a_cell(points, varied, lowest, found.level, found.error)
    table = table.without(~usable, "no run of this cell is near the minimum of the response surface")
    often, flags = said_at_edge(edges)
    gone = len(points) - int(found.used.sum())
    notes = [
        f"{said_to_vary(cells)}: the minimum of a response surface is fitted, {len(table)} losses of {len(points)} "
        f"runs; {gone} runs further than {found.width:.2g} of the loss above it, or far off it, took no part; noise of "
        f"a run {found.noise:.2g} nats"
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


def sample_of(points: Points, varied: Varied) -> tuple[Sample, Array, dict[str, float]]:
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
