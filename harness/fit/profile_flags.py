"""What approach 2 can tell against itself: budgets without a minimum, minima off their line, a bias too large."""

import numpy as np
from scipy.special import chdtri, fdtrc

from harness.fit import bootstrap
from harness.fit.bootstrap import percentile_interval
from harness.fit.budget_profile import BudgetProfile
from harness.fit.law_check import LawCheck
from harness.fit.misfit import LARGE
from harness.fit.options import FitOptions
from harness.fit.powerlaw import fit_power
from harness.fit.profile_minimum import ProfileMinimum
from harness.fit.results import FitError
from harness.fit.status import Flag
from harness.fit.table import Array
from harness.text import counted

STANDS_OUT, OUT_ALPHA = 4.0, 0.001  # times the other budgets' rms, and the share of this check
SCATTER_ALPHA = 0.003  # this check's share of the report's false alarms


def budget_flags(
    optima: list[ProfileMinimum], good: list[ProfileMinimum], ungrouped: int, approximate: bool
) -> list[Flag]:
    flags = []
    if len(good) < 2:
        flags.append(
            Flag(
                "too_few_budgets",
                f"{len(good)} of {len(optima)} budgets have a minimum; a power law needs two",
            )
        )
    elif len(good) == 2:
        flags.append(Flag("two_budgets", "two budgets: the power law passes through both, nothing checks it"))
    lost = [optimum.result for optimum in optima if optimum.result.params_opt is None]
    if lost and len(good) >= 2:
        listed = ", ".join(f"{result.budget:.3g} ({result.status})" for result in lost)
        flags.append(Flag("budgets_dropped", f"no minimum at {listed}: not part of the power laws"))
    if approximate:
        flags.append(
            Flag(
                "approximate_budgets",
                "the table names no budgets and its compute does not fall into groups: windows of 20% in C "
                f"were used, {counted(ungrouped, 'run lies', 'runs lie')} in none",
            )
        )
    return flags


def doubtful_minima(good: list[ProfileMinimum]) -> list[Flag]:
    """The warnings of single budgets as the approach's own, where at least half of the power law's points have them."""
    codes = ("unstable", "wide_interval")
    doubted = [o.result for o in good if any(code in o.result.flags for code in codes)]
    if 2 * len(doubted) < len(good):
        return []
    worst = next(code for code in codes if any(code in result.flags for result in doubted))
    listed = ", ".join(f"{result.budget:.3g}" for result in doubted)
    return [Flag(worst, f"{len(doubted)} of {len(good)} minima are themselves doubtful (at {listed})")]


def uneven(good: list[ProfileMinimum]) -> list[Flag]:
    """``not_isoflop`` as the approach's own, where at least half of the power law's points have it."""
    notes = [
        o.result.notes[o.result.flags.index("not_isoflop")] for o in good if "not_isoflop" in o.result.flags
    ]
    if not notes or 2 * len(notes) < len(good):
        return []
    return [Flag("not_isoflop", f"in {len(notes)} of {len(good)} budgets {notes[0]} (the first of them)")]


def profile_misfit(error: FitError | None, check: LawCheck | None) -> list[Flag]:
    """``misfit`` of the profiles: runs far off their polynomials, or residuals of the law with a cause in the runs."""
    flags = []
    if error is not None and error.rms_log is not None and error.rms_log > LARGE:
        flags.append(Flag("misfit", f"the profiles miss the runs by {error.rms_log:.3g} in ln L (rms)"))
    if check is not None:
        # What budgets are off together their minima are too, and so is L*.
        told = [flag for flag in check.misfit if check.causes or flag.code == "shared_noise"]
        flags += [*check.diverged, *told, *check.repeated]
    return flags


def stands_out(profiles: list[BudgetProfile], check: LawCheck | None) -> list[Flag]:
    """``misfit`` where one budget's runs lie far further off their polynomial than the other budgets' off theirs.

    Runs that diverge or stop early bend their profile, the exponent with it, and a law fitted to all runs too. Noise
    that differs between budgets is no such thing: four times the others' rms, beyond chance, is asked for. Nor is what
    the polynomial misses of the law's own smooth losses, which is known where there is a law: on profiles a hundred
    times wide that drift across the optimum it is many times larger at one end.
    """
    if len(profiles) < 3:
        return []
    square, freedom = [], []
    for profile in profiles:
        loss = profile.points.loss
        if check is not None:
            loss = loss - np.exp(check.fitted[profile.rows])
        off = loss - profile.smooth(0, loss[None])[0]
        square.append(float(np.sum(profile.weights * (off / profile.points.loss) ** 2)))
        freedom.append(profile.freedom)
    mean = [one / own for one, own in zip(square, freedom, strict=True)]
    worst = int(np.argmax(mean))
    others, left = sum(square) - square[worst], sum(freedom) - freedom[worst]
    ratio = mean[worst] * left / others if others > 0 else 0.0
    if ratio < STANDS_OUT**2:
        return []
    p = min(1.0, len(profiles) * float(fdtrc(freedom[worst], left, ratio)))
    if p > OUT_ALPHA:
        return []
    note = (
        f"the runs at C = {profiles[worst].label:.3g} lie {np.sqrt(ratio):.3g} times as far off their profile as those "
        f"of the other budgets (p = {p:.2g}): look for runs there that diverged or did not finish"
    )
    return [Flag("misfit", note)]


def scatter(log_c: Array, good: list[ProfileMinimum]) -> list[Flag]:
    """``misfit`` where the minima lie further off their power laws than their own uncertainty allows."""
    if len(good) < 3 or not all(len(optimum.draws) for optimum in good):
        return []
    flags = []
    for column, letter in ((0, "N*"), (1, "D*")):
        minimum = np.array([optimum.point[column] for optimum in good])
        drawn = np.stack([optimum.draws[:, column] for optimum in good], axis=1)
        drawn = drawn[np.isfinite(drawn).all(axis=1)]
        if len(drawn) < bootstrap.ENOUGH:
            continue
        spread = np.subtract(*np.quantile(drawn, (0.84, 0.16), axis=0)) / 2
        if (spread <= 1e-9).any():
            continue
        off, freedom = _off(log_c, minimum[None])[0], len(good) - 2
        typical = np.median(np.sum(((_off(log_c, drawn) - off) / spread) ** 2, axis=1))
        if not typical > 0:
            continue
        ratio = float(np.sum((off / spread) ** 2) / typical) * float(chdtri(freedom, 0.5)) / freedom
        # The spread of each minimum is itself known from a few degrees of freedom.
        p = float(fdtrc(freedom, 4 * len(good), ratio))
        if p < SCATTER_ALPHA / 2:
            note = f"{letter} of the budgets scatters about a power law of C by more than its uncertainty (p = {p:.2g})"
            flags.append(Flag("misfit", note))
    return flags[:1]


def _off(log_c: Array, log_y: Array) -> Array:
    """Distances of log_y (draws, m) from a straight line in log_c (m,)."""
    intercept, slope = fit_power(log_c, log_y)
    return np.asarray(log_y - intercept[:, None] - slope[:, None] * log_c)


def biased(
    log_c: Array, good: list[ProfileMinimum], check: LawCheck | None, draws: Array | None, options: FitOptions
) -> list[Flag]:
    """``biased``: the bias at ten times the largest budget is large beside the interval, and the law misfits."""
    if check is None or draws is None or not check.misfit:
        return []
    target = float(log_c.max() + np.log(10))
    intercept, slope = fit_power(log_c, np.array([[optimum.bias[0] for optimum in good]]))
    bias = float(intercept[0] + slope[0] * target)
    found = percentile_interval(draws[:, 0] + draws[:, 1] * target, options.level)
    if found is None or abs(bias) <= (found[1] - found[0]) / 4:
        return []
    note = (
        f"the polynomial's bias, {np.expm1(bias):+.0%} of N* at ten times the largest budget, is more than half of the "
        "interval's half-width, and the law that it was read from misfits"
    )
    return [Flag("biased", note)]
