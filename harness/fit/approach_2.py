"""Approach 2: IsoFLOP profiles and the power laws through their minima."""

from dataclasses import replace
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.fit.bootstrap import Interval
from harness.fit.budget_profile import BudgetProfile
from harness.fit.budgets import group_budgets, units_of
from harness.fit.forms import MODELS
from harness.fit.law_check import LawCheck, check_law
from harness.fit.law_flags import RUNS_TO_SPARE, outlier_flag, too_few
from harness.fit.laws import Law
from harness.fit.misfit import constant_loss, fit_error, outliers
from harness.fit.options import FitOptions
from harness.fit.powerlaw import fit_frontier, frontier_fields, frontier_flags
from harness.fit.profile_draws import redraw
from harness.fit.profile_flags import (
    biased,
    budget_flags,
    doubtful_minima,
    profile_misfit,
    scatter,
    stands_out,
    uneven,
)
from harness.fit.profile_minimum import ProfileMinimum, profile_minimum, too_few_sizes
from harness.fit.results import Approach2, FitError
from harness.fit.run_range import run_range
from harness.fit.status import Flag, is_void, judge
from harness.fit.table import Points
from harness.fit.useless import useless_intervals


def fit_approach_2(points: Points, options: FitOptions) -> Approach2:
    """Per budget a polynomial of loss in ln N, and another in ln D; power laws through the minima.

    Hoffmann et al. 2022, section 3.2. D* has its own profile, since measured compute is not 6ND. A polynomial
    is biased where profiles are wide, asymmetric or off centre (Czech et al. 2026, arXiv 2603.22339). So its bias is
    taken off, in the fit and in every draw: the same polynomial through the losses of the fitted law at the same runs,
    without noise, has a minimum whose distance from the law's own optimum is known. Budgets without a trustworthy
    minimum take no part in the power laws. Rows of one run are resampled together, in all their budgets.

    Status: ``too_few_budgets`` (fewer than two minima), ``two_budgets``, ``budgets_dropped``, ``unstable`` and
    ``wide_interval`` (also where half of the minima are), ``misfit``, ``biased`` (the bias is more than half of the
    interval's half-width and the law misfits), ``not_isoflop`` (half of the budgets are), ``approximate_budgets``;
    each budget has its own.
    """
    kind = _kind(options)
    budgets = group_budgets(points)
    common: dict[str, Any] = {
        "level": options.level,
        "bootstrap": kind if options.draws else "none",
        "n_points": len(points) - len(budgets.ungrouped),
        "smallest_flops": float(points.flops.min()),
        "largest_flops": float(points.flops.max()),
        "runs": run_range(points),
        "extrapolation_limit": options.extrapolation_limit,
        "degree": options.degree,
        "robust": options.robust,
        "ungrouped": tuple(points.run_id[i] for i in budgets.ungrouped),
    }
    if void := constant_loss(points):
        return Approach2(**common, **judge(void))
    check, why_not = _correcting_law(points, options)
    weights = np.ones(len(points)) if check is None else check.weights
    unit = units_of(points)
    profiles = [
        BudgetProfile.of(points, list(rows), label, options.degree, options.robust, weights, unit)
        if _enough(points, rows, options.degree)
        else None
        for label, rows in zip(budgets.labels, budgets.groups, strict=True)
    ]
    usable = [profile for profile in profiles if profile is not None]
    redrawn = redraw(usable, check, points, unit, kind, options) if options.draws and usable else None
    fitted = iter(profile_minimum(p, i, check, redrawn, kind, options) for i, p in enumerate(usable))
    optima = [
        too_few_sizes(points, list(rows), label, options.degree) if profile is None else next(fitted)
        for profile, label, rows in zip(profiles, budgets.labels, budgets.groups, strict=True)
    ]
    good = [optimum for optimum in optima if optimum.result.params_opt is not None]
    error, flags = _fit_error(usable), budget_flags(optima, good, len(budgets.ungrouped), budgets.approximate)
    common |= {
        "budgets": tuple(optimum.result for optimum in optima),
        "correction": "none" if check is None else "law",
        "correction_note": why_not or _told(good, options.degree),
        "fit_error": error,
    }
    if is_void(flags):
        return Approach2(**common, **judge(flags))
    log_c = np.array([optimum.log_c for optimum in good])
    row = fit_frontier(log_c, *np.stack([optimum.point for optimum in good], axis=1)[:, None, :])[0]
    draws = None
    if options.draws and all(len(optimum.draws) for optimum in good):
        draws = fit_frontier(log_c, *np.moveaxis(np.stack([o.draws for o in good], axis=1), 2, 0))
    judging = _judging_law(points, check, options)
    flags += (
        doubtful_minima(good) + uneven(good) + frontier_flags(row, draws) + profile_misfit(error, judging)
    )
    flags += stands_out(usable, judging) + scatter(log_c, good) + biased(log_c, good, check, draws, options)
    fields = frontier_fields(row, draws, options.level)
    flags += useless_intervals(fields) + _outlier_flags(points, judging, fields.get("a_interval"), options)
    return Approach2(**common, **fields, **judge(flags))


def _outlier_flags(
    points: Points, check: LawCheck | None, interval: Interval | None, options: FitOptions
) -> list[Flag]:
    """``sensitive_to_outliers``: without the runs far off the law the exponent lies beyond its interval."""
    if check is None or interval is None or len(points) < RUNS_TO_SPARE:
        return []
    far = outliers(check.residual * np.sqrt(check.weights))
    if not 0 < far.sum() <= len(points) // 4:
        return []
    again = fit_approach_2(points.select(~far), replace(options, draws=0)).a
    if again is not None and interval[0] <= again <= interval[1]:
        return []
    return [outlier_flag(points, far, again)]


def _correcting_law(points: Points, options: FitOptions) -> tuple[LawCheck | None, str]:
    """The law that the bias is read from; None, and why, where there is none."""
    if not options.correct_bias:
        return None, "the polynomial's bias is left in, as analysis.correct_bias=false asks"
    if too_few(points):
        return None, "too few runs for the law that the polynomial's bias would be read from: it is left in"
    check = check_law(points)
    if not Law.from_theta(check.fit.natural[:5]).usable:
        return None, "the law has no optimum, so the polynomial's bias cannot be read from it: it is left in"
    return check, ""


def _judging_law(points: Points, check: LawCheck | None, options: FitOptions) -> LawCheck | None:
    """The law that runs are held to: the standard one, or that of ``form=kappa`` where it was chosen.

    Runs that follow such a form lie off the standard law in a pattern, which hides what is wrong with some and may look
    like a fault of others. In 40 tables of 96 runs with kappa = .63 and noise of .9%, the three largest models of one
    budget ending 2% high, their own law finds ``misfit`` in 82%, the standard one in 28%; in clean ones in 5 and 8%.
    Other forms were not measured, and those of many parameters could take up what is wrong with the runs.
    """
    model = MODELS[options.form]
    if check is None or options.form != "kappa" or too_few(points, model):
        return check
    return check_law(points, model)


def _enough(points: Points, rows: tuple[int, ...], degree: int) -> bool:
    mine = list(rows)
    return min(len(np.unique(points.params[mine])), len(np.unique(points.tokens[mine]))) >= degree + 2


def _kind(options: FitOptions) -> str:
    """Least squares takes the wild bootstrap: with six or seven runs a budget, pairs often lose a flank."""
    if options.bootstrap == "wild" and options.robust:
        raise UserError(
            "fit: the wild bootstrap is not valid for robust profiles; use bootstrap=pairs or auto"
        )
    if options.bootstrap == "auto":
        return "pairs" if options.robust else "wild"
    return options.bootstrap


def _told(good: list[ProfileMinimum], degree: int) -> str:
    """What was taken off, for people."""
    if not good:
        return ""
    bias = np.array([optimum.bias for optimum in good])
    shape = {2: "parabola", 3: "cubic", 4: "quartic"}[degree]
    low, high = np.expm1(bias[:, 0].min()), np.expm1(bias[:, 0].max())
    return (
        f"the {shape}'s own bias, {low:+.1%} to {high:+.1%} of N*, is taken off the minima in every draw: it is how "
        "far the same polynomial misses the optimum of the fitted law"
    )


def _fit_error(profiles: list[BudgetProfile]) -> FitError | None:
    """Of the runs about their budgets' polynomials."""
    if not profiles:
        return None
    loss = np.concatenate([p.points.loss for p in profiles])
    smooth = np.concatenate([p.smooth(0, p.points.loss[None])[0] for p in profiles])
    group = np.repeat(np.arange(len(profiles)), [len(p.points) for p in profiles])
    return fit_error(np.log(loss), np.log(np.maximum(smooth, 1e-300)), group)
