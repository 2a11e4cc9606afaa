"""What approach 3 can tell against itself: too few runs, a vanished term, draws without an optimum, outliers."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from harness.fit.bootstrap import Interval
from harness.fit.budgets import cells_of, count_cells, group_budgets
from harness.fit.forms import MODELS, Misfit, Model, Solved, solve
from harness.fit.law_check import LawCheck, check_law
from harness.fit.laws import Law
from harness.fit.misfit import outliers
from harness.fit.status import Flag
from harness.fit.surface import Surface
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
LAW_PARAMETERS = 5  # of the standard law
# Solutions alike in objective to 5% that disagree on N* by more than this factor: the runs do not tell them apart.
SAME, SPREAD = 1.05, 1.25
CONDITION = 1e5
REJECTED = 0.01  # p of a constraint that the runs speak against


def least_runs(model: Model) -> int:
    """How many runs a form needs: three more than it has free parameters, or one where it is a constrained law.

    The five of the standard law are many for six runs; a law with a tied or a fixed exponent is not. Its interval then
    rests on the scatter about it, of which one more run than parameters tells little: it is as wide as that.
    """
    return model.free + (3 if model.free >= LAW_PARAMETERS else 1)


def too_few(points: Points, model: Model = MODELS["standard"]) -> list[Flag]:
    """``too_few_points`` where the table has hardly more runs, sizes or horizons than the form has parameters."""
    held = {name for name, _ in model.fixed} - {name for name, _ in MODELS[model.name].fixed}
    counts = {
        "runs": (len(points), least_runs(model)),
        "sizes": (len(np.unique(points.params)), MIN_SIZES - len(held & {"A", "alpha"})),
        "horizons": (len(np.unique(points.tokens)), MIN_SIZES - len(held & {"B", "beta"})),
    }
    short = [f"{have} {what} (needs {need})" for what, (have, need) in counts.items() if have < need]
    if not short:
        return []
    number = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 8: "eight", 9: "nine"}
    written = f"{number.get(model.free, model.free)} parameter{'s' * (model.free > 1)}"
    note = f"the law has {written}; the table has {', '.join(short)}{rows_left(points)}"
    return [Flag("too_few_points", note)]


def rows_left(points: Points) -> str:
    """The end of a sentence: that the earlier rows of these runs, which were left out, could say more."""
    return f"; analysis.rows=all adds {points.earlier_rows} earlier rows" if points.earlier_rows else ""


def one_compute(points: Points) -> list[Flag]:
    if np.ptp(np.log(points.flops)) > ONE_COMPUTE:
        return []
    note = "all runs are of one compute: how N* and D* grow with it rests on the form of the law alone"
    return [Flag("unidentified", note + rows_left(points))]


def law_flags(fit: Solved, law: Law | Surface) -> list[Flag]:
    """Warnings that the fitted law itself gives, without its draws.

    Args:
        law: the frontier of ``fit``, of which nobody yet knows whether it has an optimum.
    """
    model, natural = fit.bound.model, dict(zip(fit.bound.model.columns, fit.natural.tolist(), strict=True))
    total = np.exp(fit.fitted())
    flags = []
    if not law.usable:
        powers = ", ".join(f"{name} {natural[name]:.2g}" for name in ("alpha", "beta") if name in natural)
        told = f" ({powers})" if powers else ""
        flags.append(Flag("no_optimum", f"loss does not fall with both N and D{told}"))
    if not fit.converged:
        flags.append(Flag("not_converged", "the optimizer stopped before it reached a minimum"))
    fixed = dict(model.fixed)
    terms = model.form.terms(fit.theta[: len(model.form.columns)], fit.bound.place)
    if "E" not in fixed and "E" in natural and total.min() * VANISHED > natural["E"]:
        flags.append(
            Flag(
                "at_bound",
                f"E has gone to 0 ({natural['E']:.2g}): these runs do not show an irreducible loss",
            )
        )
    whole = sum(terms.values())
    for name, term in terms.items():
        power = {"A/N^alpha": "alpha", "B/D^beta": "beta"}.get(name)
        held = power in fixed
        small = name != "E" and float(np.max(term / whole)) < VANISHED
        steep = power is not None and not held and not 0.01 < natural[power] < 5
        if small or steep:
            said = f"exponent {natural[power]:.3g}" if power is not None else "it has gone to 0"
            flags.append(Flag("at_bound", f"the term {name} is at a bound ({said})"))
    return flags


def constraint(points: Points, check: LawCheck, model: Model) -> list[Flag]:
    """What a law with fixed or tied parameters rests on: untested by few runs, or rejected by an F test of more.

    Args:
        check: of ``model``. The test is against the standard law, fitted in the same way.
    """
    if model.name not in ("standard", "tied") or model.slopes or model.plain:
        return []
    said = model.formula.split(" with ")[-1] if " with " in model.formula else "alpha = beta"
    cells = count_cells(cells_of(points))
    if cells < least_runs(MODELS["standard"]) or too_few(points):
        note = f"the law rests on {said}, which {counted(cells, 'cell')} cannot test: its intervals take it for true"
        return [Flag("untested_constraint", note)]
    free = check_law(points)
    if free.exact:
        return []
    held, left = (float(np.sum(check.weights * one.residual**2)) for one in (check, free))
    more, freedom = LAW_PARAMETERS - model.free, cells - LAW_PARAMETERS
    ratio = max(held - left, 0.0) / more / (left / freedom)
    p = float(fdtrc(more, freedom, ratio))
    if p > REJECTED:
        return []
    E, _, _, alpha, beta = map(float, free.fit.natural[:5])
    note = (
        f"the runs speak against {said} (F = {ratio:.3g}, p = {p:.2g}); the standard law has E = {E:.3g}, "
        f"alpha = {alpha:.3g}, beta = {beta:.3g}"
    )
    return [Flag("constraint_rejected", note)]


def indeterminate(fit: Solved, log_sizes: Callable[[Array], Array]) -> list[Flag]:
    """``unidentified`` where parameters trade off against each other, or solutions as good have another N*.

    Args:
        log_sizes: ln N* at the largest budget of natural parameters (solutions, k), (solutions,).
    """
    flags = []
    jacobian = fit.jacobian()
    norms = np.linalg.norm(jacobian, axis=0)
    condition = np.linalg.cond(jacobian / np.where(norms > 0, norms, 1)) if (norms > 0).all() else np.inf
    if condition > CONDITION:
        note = f"its parameters trade off against each other (condition {condition:.0e})"
        flags.append(Flag("unidentified", note))
    alike = fit.all_objectives <= SAME * fit.objective
    with np.errstate(all="ignore"):
        found = np.exp(log_sizes(fit.bound.natural(fit.all_phi[alike]))) if alike.any() else np.empty(0)
    found = found[np.isfinite(found)]
    if len(found) > 1 and found.max() > SPREAD * found.min():
        note = f"solutions as good within 5% put N* anywhere from {found.min():.3g} to {found.max():.3g}"
        flags.append(Flag("unidentified", note))
    return flags


def beside_the_sizes(points: Points, law: Law | Surface) -> list[Flag]:
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
        best = float(law.log_optimum(label)[0])
        if np.isfinite(best) and not log_n.min() - EDGE <= best <= log_n.max() + EDGE:
            outside.append(label)
    if not outside or (budgets.labels[-1] not in outside and 4 * len(outside) < len(budgets.labels)):
        return []
    listed = ", ".join(f"{label:.3g}" for label in outside)
    return [Flag("at_edge", f"its optimum lies outside the sizes that were run at C = {listed}")]


def draw_flags(
    draws: Array | None, laws: Law | Surface | None, points: Points, model: Model, units: int
) -> list[Flag]:
    """Warnings of the bootstrap.

    Args:
        draws: natural parameters, (draws, columns); ``laws`` are their frontiers.
        units: how many independent runs there are.
    """
    if draws is None or laws is None or not len(draws):
        if units < MIN_RUNS and model.free >= LAW_PARAMETERS:
            return [Flag("no_interval", f"{units} independent runs: an interval needs {MIN_RUNS}")]
        return [Flag("no_interval", "no bootstrap draws were asked for")]
    with np.errstate(all="ignore"):
        usable = np.asarray(np.isfinite(laws.log_optimum(float(points.flops.max()))[0]))
        if isinstance(laws, Law):
            own = laws.theta if laws.plain else laws.theta[..., [1, 2, 3, 4]]
            held = "E" in dict(model.fixed) and laws.plain
            usable = np.asarray(np.isfinite(own).all(axis=1) & (own[:, int(held) :] > 0).all(axis=1))
    lost = 1 - usable.mean()
    flags = []
    if lost > 0.05:
        flags.append(Flag("unstable", f"{lost:.0%} of the bootstrap draws have no finite optimum"))
    if "E" in model.columns and "E" not in dict(model.fixed):
        floorless = float(np.mean(draws[:, 0] < VANISHED * points.loss.min()))
        if floorless > 0.05:
            said = f"E has gone to 0 in {floorless:.0%} of the bootstrap draws"
            note = f"{said}: these runs hardly show an irreducible loss"
            flags.append(Flag("at_bound", note + rows_left(points)))
    return flags


def outlier_flags(
    points: Points,
    check: LawCheck,
    fit: Solved,
    misfit: Misfit,
    exponent: Callable[[Array], Array],
    interval: Interval | None,
) -> list[Flag]:
    """``sensitive_to_outliers``: runs far off the fit, without which a lies beyond its interval.

    Both must hold. That the highest losses move a is no sign of anything: they are the edge of the design, and in clean
    normal sweeps a left its interval without them in an eighth to a third.

    Args:
        exponent: a of natural parameters (k,). interval: that of a.
    """
    if interval is None or len(points) < RUNS_TO_SPARE:
        return []
    far = outliers((fit.fitted() - check.data.log_loss) * np.sqrt(check.weights))
    if not 0 < far.sum() <= len(points) // 4:
        return []
    keep = ~far
    again = solve(fit.bound.model, check.data.take(keep), misfit, check.weights_for(misfit)[keep], [fit.phi])
    a = float(exponent(again.natural))
    if interval[0] <= a <= interval[1]:
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
