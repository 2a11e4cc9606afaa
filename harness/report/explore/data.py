"""What the page's interactive figures are drawn from: rows of runs, profiles, frontiers and training curves.

Numbers go into the page by columns and with as many digits as a screen or a tooltip shows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.fit.results import Approach, BudgetOptimum
from harness.fit.status import is_good
from harness.fit.table import Array
from harness.report.curves import smoothed_curves
from harness.report.data import ReportData, members
from harness.report.figures.residuals import law_residuals
from harness.report.line import frontier_line
from harness.report.text import (
    approach_label,
    counted,
    fixed,
    interval,
    plain_status,
    power,
    ratio,
    with_interval,
)

CURVE_POINTS = 60
PROFILE_POINTS = 50
LINE_POINTS = 60
BEYOND = 100.0  # times the largest run: as far as anybody should look
DIGITS = 5
OTHER = "other runs"
TIP = "tip"  # a column of what is said at a point, which no download has

Column = list[Any]


@dataclass(frozen=True)
class Explored:
    """The data sets of the interactive figures, each a dictionary of equally long columns.

    Attributes:
        budgets, approaches: the names that can be switched on and off, in order; the largest budget comes last.
        doubts: of budgets and approaches whose status is not ok, the status in words.
        flops: what a budget's name stands for, FLOPs; runs that belong to none are :data:`OTHER`.
        range: the smallest and the largest compute that the target can take, FLOPs.
        curves_note: a sentence on the curves that are left out; empty where none is.
    """

    budgets: tuple[str, ...]
    approaches: tuple[str, ...]
    doubts: dict[str, str]
    flops: dict[str, float]
    range: tuple[float, float]
    runs: dict[str, Column]
    profiles: dict[str, Column]
    minima: dict[str, Column]
    lines: dict[str, Column]
    curves: dict[str, Column]
    curves_note: str = ""


def explored(data: ReportData) -> Explored:
    """The data of the interactive figures."""
    budgets = data.fit.approach_2.budgets
    labels = _labels(data)
    curves, note = _curves(data, labels)
    named = tuple(power(budget.budget) for budget in budgets)
    others = (OTHER,) if OTHER in labels else ()
    lines = [(one, columns) for one in data.fit.approaches if (columns := _line(one, data)) is not None]
    return Explored(
        budgets=tuple(dict.fromkeys((*others, *named))),
        doubts=_doubts(data),
        flops={name: budget.budget for name, budget in zip(named, budgets, strict=True)},
        range=_range(data),
        approaches=tuple(approach_label(one.name) for one, _ in lines),
        runs=_runs(data, labels),
        profiles=_joined(
            [
                _profile(one, data.points.params[rows])
                for one in budgets
                if one.params_profile is not None and (rows := members(data.points, one))
            ]
        ),
        minima=_joined([_minimum(one) for one in budgets if one.params_opt is not None]),
        lines=_joined([columns for _, columns in lines]),
        curves=curves,
        curves_note=note,
    )


def _doubts(data: ReportData) -> dict[str, str]:
    of_budgets = {power(one.budget): one.status for one in data.fit.approach_2.budgets}
    of_approaches = {approach_label(one.name): one.status for one in data.fit.approaches}
    return {
        name: plain_status(code) for name, code in (of_budgets | of_approaches).items() if not is_good(code)
    }


def _range(data: ReportData) -> tuple[float, float]:
    low, high = data.range
    return low, max(high, BEYOND * data.fit.largest_flops)


def _labels(data: ReportData) -> list[str]:
    """The budget of every run of the fit, as people read it."""
    labels = [OTHER] * len(data.points)
    for budget in data.fit.approach_2.budgets:
        for i in members(data.points, budget):
            labels[i] = power(budget.budget)
    return labels


def _runs(data: ReportData, labels: list[str]) -> dict[str, Column]:
    points = data.points
    residuals = law_residuals(data)
    records = [data.records.get(run) for run in points.run_id]
    optimizers = [None if one is None else one.spec.get("optimizer", {}) for one in records]
    return {
        "run": list(points.run_id),
        "budget": labels,
        "n": _short(points.params),
        "d": _short(points.tokens),
        "c": _short(points.flops),
        "r": _short(points.tokens / points.params),
        "loss": _short(points.loss),
        "seed": [None if one is None else one.spec.get("seed") for one in records],
        "lr": [None if one is None else one.get("lr") for one in optimizers],
        "off": [None] * len(points) if residuals is None else _short(100 * residuals),
    }


def _profile(budget: BudgetOptimum, params: Array) -> dict[str, Column]:
    """A budget's fitted polynomial, a little beyond the sizes ``params`` that it was fitted to."""
    profile = budget.params_profile
    assert profile is not None
    sizes = np.geomspace(params.min() / 1.08, params.max() * 1.08, PROFILE_POINTS)
    losses = np.polynomial.polynomial.polyval(np.log(sizes) - profile.centre, profile.coefficients)
    return {
        "budget": [power(budget.budget)] * len(sizes),
        "minimum": [budget.params_opt is not None] * len(sizes),
        "n": _short(sizes),
        "loss": _short(losses),
    }


def _minimum(budget: BudgetOptimum) -> dict[str, Column]:
    quantities = {
        "n": (budget.params_opt, budget.params_interval),
        "d": (budget.tokens_opt, budget.tokens_interval),
        "loss": (budget.loss_opt, budget.loss_interval),
    }
    share = budget.tokens_opt / budget.params_opt if budget.tokens_opt and budget.params_opt else math.nan
    told = [
        f"minimum at C = {power(budget.budget)} FLOPs",
        f"N* = {with_interval(counted(budget.params_opt), interval(budget.params_interval))}",
        f"D* = {with_interval(counted(budget.tokens_opt), interval(budget.tokens_interval))}",
        f"D*/N* = {ratio(share)}",
        f"loss {with_interval(fixed(budget.loss_opt, 3), interval(budget.loss_interval, 'fixed'))}",
        *(plain_status(flag) for flag in budget.flags if not is_good(flag)),
    ]
    columns: dict[str, Column] = {
        "budget": [power(budget.budget)],
        "c": _short([budget.budget]),
        "r": _short([share]),
        TIP: ["\n".join(told)],
    }
    for name, (value, ends) in quantities.items():
        low, high = ends or (math.nan, math.nan)
        columns |= {name: _short([value]), f"{name}_low": _short([low]), f"{name}_high": _short([high])}
    return columns


def _line(approach: Approach, data: ReportData) -> dict[str, Column] | None:
    """An approach's frontier over the compute that the page's target can take; None where it has none."""
    line = frontier_line(approach, *_range(data), (data.target,), LINE_POINTS)
    if line is None:
        return None
    columns: dict[str, Column] = {
        "approach": [approach_label(approach.name)] * len(line.flops),
        "c": _short(line.flops),
        "measured": [bool(one) for one in line.measured],
    }
    for name, track in (("n", line.params), ("d", line.tokens), ("r", line.ratio), ("loss", line.loss)):
        columns |= {
            name: _short(track.value),
            f"{name}_low": _short(track.low),
            f"{name}_high": _short(track.high),
        }
    return columns


def _curves(data: ReportData, labels: list[str]) -> tuple[dict[str, Column], str]:
    """The rows of the smoothed training curves, and a sentence on those left out."""
    found = smoothed_curves(data, CURVE_POINTS)
    parts = []
    for curve in found.shown:
        same = {"run": curve.run, "budget": labels[curve.row], "n": curve.params}
        columns: dict[str, Column] = {name: [value] * len(curve.flops) for name, value in same.items()}
        parts.append(columns | {"c": _short(curve.flops), "loss": _short(curve.loss)})
    return _joined(parts), found.note


def _joined(parts: list[dict[str, Column]]) -> dict[str, Column]:
    """Data sets of the same columns, one after the other."""
    return {name: [value for part in parts for value in part[name]] for name in (parts[0] if parts else ())}


def _short(values: Sequence[float | None] | NDArray[np.floating[Any]]) -> Column:
    """Numbers of :data:`DIGITS` digits; None for one that is not finite, which JSON has no word for."""
    numbers = np.asarray(values, dtype=float).tolist()  # None becomes NaN
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in numbers]
