"""The minimum of one budget's profile: the polynomial's, less its bias, with its bootstrap and its warnings."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.fit.bootstrap import Interval, percentile_interval
from harness.fit.budget_profile import BudgetProfile
from harness.fit.budgets import count_cells
from harness.fit.estimate import wide
from harness.fit.law_check import LawCheck
from harness.fit.options import FitOptions
from harness.fit.profile_draws import Redrawn, laws_at
from harness.fit.results import BudgetOptimum
from harness.fit.status import Flag, judge
from harness.fit.table import Array, Points
from harness.text import counted


@dataclass(frozen=True, eq=False)
class ProfileMinimum:
    """One budget's result, and what the power laws need of it: ln C, the point (3,) and draws (draws, 3).

    The three columns are ln N*, ln D*, L*. ``bias`` (3,) has been taken off the point; zero where nothing was.
    """

    result: BudgetOptimum
    log_c: float
    point: Array
    draws: Array
    bias: Array


def too_few_sizes(points: Points, rows: list[int], label: float, degree: int) -> ProfileMinimum:
    part = points.select(rows)
    sizes = len(np.unique(part.params))
    short = Flag(
        "too_few_points", f"{counted(sizes, 'size')}; a polynomial of degree {degree} needs {degree + 2}"
    )
    log_flops = np.log(part.flops)
    result = BudgetOptimum(
        budget=label,
        n_points=len(part),
        flops_spread=float(np.expm1(np.ptp(log_flops))),
        run_ids=part.run_id,
        **judge([short]),
    )
    return ProfileMinimum(result, float(log_flops.mean()), np.full(3, np.nan), np.empty((0, 3)), np.zeros(3))


def profile_minimum(
    profile: BudgetProfile,
    index: int,
    check: LawCheck | None,
    redrawn: Redrawn | None,
    kind: str,
    options: FitOptions,
) -> ProfileMinimum:
    """The minimum of one budget's profile, less the polynomial's bias, and its bootstrap."""
    points = profile.points
    basics: dict[str, Any] = {
        "budget": profile.label,
        "n_points": len(points),
        "flops_spread": float(np.expm1(profile.spread)),
        "run_ids": points.run_id,
    }
    for column in (0, 1):
        if problem := profile.problem(column):
            curves = _named([profile.curve(c) for c in range(column + 1)])
            result = BudgetOptimum(**basics, **curves, **judge([problem, *profile.uneven]))
            return ProfileMinimum(result, profile.log_c, np.full(3, np.nan), np.empty((0, 3)), np.zeros(3))
    raw, _ = profile.minima((points.loss[None], points.loss[None]))
    bias = np.zeros(3)
    if check is not None:
        laws, at_runs = laws_at(check, check.fit.phi[None], [profile])
        found = profile.bias(at_runs[0], laws)[0]
        bias = np.array(found) if bool(np.isfinite(found).all()) else bias
    point, draws, outside = raw[0] - bias, np.empty((0, 3)), np.zeros(0, dtype=bool)
    if redrawn is not None:
        weights = redrawn.weights[index]
        draws, outside = profile.minima(redrawn.losses[index], weights)
        if redrawn.laws is not None:
            with np.errstate(all="ignore"):
                off = profile.bias(redrawn.law_losses[index], redrawn.laws, weights)
            # A draw whose law has no optimum, or one far from the runs, takes the fit's own bias.
            reach = np.array([profile.axes[0].half, profile.axes[1].half])
            known = np.asarray((np.abs(off[:, :2] - bias[:2]) <= reach).all(axis=1) & np.isfinite(off[:, 2]))
            draws = draws - np.where(known[:, None], off, bias)
        if redrawn.shared is not None:
            draws[:, 2] *= np.exp(redrawn.shared[:, profile.rows[0]])
        # With one degree of freedom pairs draw polynomials through the runs themselves: they support no interval.
        # Turned residuals have Student's factor for it.
        if kind == "pairs" and count_cells(profile.unit) <= profile.degree + 2:
            draws, outside = draws[:0], outside[:0]
    with np.errstate(over="ignore"):
        intervals = [percentile_interval(x, options.level) for x in (*np.exp(draws[:, :2]).T, draws[:, 2])]
    corrected = bias.any()
    result = BudgetOptimum(
        **basics,
        **_named([profile.curve(0), profile.curve(1)]),
        params_opt=float(np.exp(point[0])),
        tokens_opt=float(np.exp(point[1])),
        loss_opt=float(point[2]),
        params_interval=intervals[0],
        tokens_interval=intervals[1],
        loss_interval=intervals[2],
        params_bias=float(bias[0]) if corrected else None,
        tokens_bias=float(bias[1]) if corrected else None,
        loss_bias=float(bias[2]) if corrected else None,
        **judge([*profile.uneven, *_minimum_flags(outside, intervals[0])]),
    )
    return ProfileMinimum(result, profile.log_c, point, draws, bias)


def _minimum_flags(outside: NDArray[np.bool_], interval: Interval | None) -> list[Flag]:
    flags = []
    if not len(outside):
        flags.append(Flag("no_interval", "no bootstrap draws, or one degree of freedom only"))
    elif outside.mean() > 0.1:
        flags.append(
            Flag(
                "unstable", f"{outside.mean():.0%} of the draws have their minimum outside the sampled range"
            )
        )
    return flags + wide({"N*": interval})


def _named(curves: list[Any]) -> dict[str, Any]:
    return dict(zip(("params_profile", "tokens_profile"), curves, strict=False))
