"""What approach 3 can tell against itself: too few runs, a vanished term, draws without an optimum, outliers."""

import numpy as np
from numpy.typing import NDArray

from harness.fit import law_solver
from harness.fit.bootstrap import percentile_interval
from harness.fit.budgets import group_budgets
from harness.fit.law_check import LawCheck
from harness.fit.laws import CostLaw, Law
from harness.fit.misfit import outliers
from harness.fit.options import FitOptions
from harness.fit.status import Flag
from harness.fit.table import Array, Points
from harness.text import counted

# From six or seven runs of a sweep, chosen at random, the interval of a missed the value from all runs in about half of
# the cases; from eight in few. The bootstrap draws of so few runs nearly repeat them.
MIN_RUNS = 8
RUNS_TO_SPARE = 24  # with so many, a few may be left out to see how much depends on them
ONE_COMPUTE = 0.1  # range of ln C
EDGE = 0.05  # of ln N: an optimum so close to a size that was run is within the sizes
MIN_SIZES = 3
VANISHED = 1e-3  # a term below this share of the loss has gone


def too_few(points: Points) -> list[Flag]:
    counts = {
        "runs": (len(points), MIN_RUNS),
        "sizes": (len(np.unique(points.params)), MIN_SIZES),
        "horizons": (len(np.unique(points.tokens)), MIN_SIZES),
    }
    short = [f"{have} {what} (needs {need})" for what, (have, need) in counts.items() if have < need]
    if not short:
        return []
    note = f"the law has five parameters; the table has {', '.join(short)}{rows_left(points)}"
    return [Flag("too_few_points", note)]


def rows_left(points: Points) -> str:
    """The end of a sentence: that the earlier rows of these runs, which were left out, could say more."""
    return f"; analysis.rows=all adds {points.earlier_rows} earlier rows" if points.earlier_rows else ""


def one_compute(points: Points) -> list[Flag]:
    if np.ptp(np.log(points.flops)) > ONE_COMPUTE:
        return []
    note = "all runs are of one compute: how N* and D* grow with it rests on the form of the law alone"
    return [Flag("unidentified", note + rows_left(points))]


def law_flags(fit: law_solver.LawFit, data: law_solver.Data) -> list[Flag]:
    """Warnings that the fitted law itself gives, without its draws."""
    E, _, _, alpha, beta = fit.natural
    total = np.exp(law_solver.predict(fit.theta, data))
    size = np.exp(fit.theta[1] - alpha * data.x) / total
    tokens = np.exp(fit.theta[2] - beta * data.y) / total
    flags = []
    if not fit.lawful:
        flags.append(
            Flag("no_optimum", f"loss does not fall with both N and D (alpha {alpha:.2g}, beta {beta:.2g})")
        )
    if not fit.converged:
        flags.append(Flag("not_converged", "the optimizer stopped before it reached a minimum"))
    if total.min() * VANISHED > E:
        flags.append(
            Flag("at_bound", f"E has gone to 0 ({E:.2g}): these runs do not show an irreducible loss")
        )
    for name, share, power in (("A/N^alpha", size, alpha), ("B/D^beta", tokens, beta)):
        if share.max() < VANISHED or not 0.01 < power < 5:
            flags.append(Flag("at_bound", f"the term {name} is at a bound (exponent {power:.3g})"))
    return flags


def beside_the_sizes(points: Points, fit: law_solver.LawFit, cost: CostLaw) -> list[Flag]:
    """``at_edge`` where the optimum that the law gives lies outside the sizes of its largest budget, or of a quarter.

    Such an optimum is the law's form and no measurement: with a further term in the truth, which the runs did not
    show, intervals of N* at ten times the largest budget then held it in .67 to .80 of a nominal .90.
    """
    budgets = group_budgets(points)
    if budgets.approximate or len(budgets.groups) < 2:
        return []
    outside = []
    for label, rows in zip(budgets.labels, budgets.groups, strict=True):
        log_n = np.log(points.params[list(rows)])
        best = float(Law.from_theta(fit.natural, cost).log_optimum(label)[0])
        if np.isfinite(best) and not log_n.min() - EDGE <= best <= log_n.max() + EDGE:
            outside.append(label)
    if not outside or (budgets.labels[-1] not in outside and 4 * len(outside) < len(budgets.labels)):
        return []
    listed = ", ".join(f"{label:.3g}" for label in outside)
    return [Flag("at_edge", f"its optimum lies outside the sizes that were run at C = {listed}")]


def draw_flags(draws: Array | None, points: Points, units: int) -> list[Flag]:
    if units < MIN_RUNS:
        return [Flag("no_interval", f"{units} independent runs: an interval needs {MIN_RUNS}")]
    if draws is None or not len(draws):
        return [Flag("no_interval", "no bootstrap draws were asked for")]
    with np.errstate(all="ignore"):
        usable = np.isfinite(draws).all(axis=1) & (draws > 0).all(axis=1)
    lost = 1 - usable.mean()
    flags = []
    if lost > 0.05:
        flags.append(Flag("unstable", f"{lost:.0%} of the bootstrap draws have no finite optimum"))
    floorless = float(np.mean(draws[:, 0] < VANISHED * points.loss.min()))
    if floorless > 0.05:
        note = f"E has gone to 0 in {floorless:.0%} of the bootstrap draws: these runs hardly show an irreducible loss"
        flags.append(Flag("at_bound", note + rows_left(points)))
    return flags


def outlier_flags(
    points: Points,
    check: LawCheck,
    fit: law_solver.LawFit,
    draws: Array | None,
    cost: CostLaw,
    options: FitOptions,
) -> list[Flag]:
    """``sensitive_to_outliers``: runs far off the fit, without which a lies beyond its interval.

    Both must hold. That the highest losses move a is no sign of anything: they are the edge of the design, and in clean
    normal sweeps a left its interval without them in an eighth to a third.
    """
    if draws is None or len(points) < RUNS_TO_SPARE:
        return []
    far = outliers(law_solver.predict(fit.theta, check.data) - check.data.log_loss)
    if not 0 < far.sum() <= len(points) // 4:
        return []
    keep = ~far
    refit = law_solver.fit_varpro if options.solver == "varpro" else law_solver.fit_lbfgs
    again = refit(check.data.take(keep), options.huber_delta, check.weights[keep], [fit.theta])
    a = float(Law.from_theta(again.natural, cost).exponents[0])
    interval = percentile_interval(Law.from_theta(draws, cost).exponents[0], options.level)
    if interval is None or interval[0] <= a <= interval[1]:
        return []
    return [outlier_flag(points, far, a)]


def outlier_flag(points: Points, far: NDArray[np.bool_], a: float | None) -> Flag:
    """The flag for runs ``far`` off (n,), without which the exponent is ``a``; None: there is none."""
    rows = np.flatnonzero(far)
    named = ", ".join(points.run_id[i] for i in rows[:4]) + (
        f" and {len(rows) - 4} more" if len(rows) > 4 else ""
    )
    found = "there is no a" if a is None else f"a is {a:.3f}, beyond its interval"
    return Flag(
        "sensitive_to_outliers", f"without {counted(len(rows), 'run')} far off the fit ({named}) {found}"
    )
