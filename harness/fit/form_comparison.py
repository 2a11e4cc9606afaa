"""Which functional form of L(N, D) predicts best, and the optimum that each gives."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from harness.fit import huber, law_solver
from harness.fit.budgets import group_budgets
from harness.fit.cost_law import fit_cost_law
from harness.fit.forms import FORMS, Form, derivative
from harness.fit.laws import CostLaw
from harness.fit.options import FitOptions
from harness.fit.results import FormComparison, FormFit
from harness.fit.status import Flag, judge
from harness.fit.table import Array, Points

Mask = NDArray[np.bool_]

# A form whose solutions, alike in objective to 5%, disagree on N* by more than this factor is not pinned
# down by the runs.
SPREAD = 1.25
SAME = 1.05
CONDITION = 1e5
ITERATIONS = 300


@dataclass(frozen=True, eq=False)
class Solved:
    """A form fitted to some runs: the best theta (k,), its objective, and every start's solution."""

    theta: Array
    objective: float
    converged: bool
    all: tuple[huber.Solution, ...]


def compare_forms(points: Points, options: FitOptions, target: float) -> FormComparison | None:
    """Fits each form and ranks them by the prediction of held-out budgets, then left-out ones, then BIC.

    The split trains on the lower budgets and predicts the higher (``holdout_above``). Returns None where the
    table has too few runs for any such comparison (fewer than 12).
    """
    if len(points) < 12:
        return None
    data = law_solver.Data.of(points.params, points.tokens, points.loss)
    above = options.holdout_above or _split(points)
    test: Mask = np.zeros(len(points), dtype=bool) if above is None else points.flops > above
    if not 0 < test.sum() < len(points) - 6:
        above, test = None, np.zeros(len(points), dtype=bool)
    folds = _folds(points)
    cost = fit_cost_law(points)
    # Forms with exponentials of exponentials overflow on the optimizer's way; it steps back by itself.
    with np.errstate(all="ignore"):
        fits = [_form_fit(form, data, options.huber_delta, test, folds, target, cost) for form in FORMS]
    ranked = sorted(fits, key=_key)
    return FormComparison(
        target=target,
        holdout_above=above,
        n_train=int((~test).sum()),
        n_test=int(test.sum()),
        forms=tuple(_with_rank(fit, rank + 1) for rank, fit in enumerate(ranked)),
    )


def solve_form(form: Form, data: law_solver.Data, delta: float, starts: list[Array] | None = None) -> Solved:
    """The best of a form's starts by sum of Huber losses of the log residuals."""
    if starts is None:
        base = law_solver.fit_lbfgs(data, delta).theta
        starts = form.starts(base, data)
    solutions = [_descend(form, data, delta, start) for start in starts]
    best = min(solutions, key=lambda s: s.objective if np.isfinite(s.objective) else np.inf)
    return Solved(best.theta, best.objective, best.converged, tuple(solutions))


def log_rmse(form: Form, theta: Array, data: law_solver.Data) -> float:
    """Root mean square of ln(predicted/measured)."""
    return float(np.sqrt(np.mean((form.log_loss(theta, data.x, data.y, data) - data.log_loss) ** 2)))


def optimum(
    form: Form, theta: Array, data: law_solver.Data, flops: float, cost: CostLaw
) -> tuple[float, float, float] | None:
    """(N*, D*, L*) of a form at C = ``flops``, found numerically; None where it has no minimum near the runs.

    The search runs over ln N from a hundredth of the smallest run's to a hundred times where the largest
    run's would be if N grew as fast as C; of several minima the lowest is taken.
    """
    log_c = np.log(flops / cost.kappa)

    def loss(log_n: Array) -> Array:
        log_d = log_c - cost.power * log_n
        return form.log_loss(theta, log_n - data.mean_x, log_d - data.mean_y, data)

    reach = log_c - cost.power * (data.x + data.mean_x) - (data.y + data.mean_y)
    low = data.x.min() + data.mean_x - np.log(100)
    high = data.x.max() + data.mean_x + max(float(reach.max()), 0.0) + np.log(100)
    grid = np.linspace(low, high, 600)
    with np.errstate(all="ignore"):
        values = loss(grid)
    inner = (values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:])
    if not inner.any():
        return None
    i = 1 + int(np.argmin(np.where(inner, values[1:-1], np.inf)))
    found = minimize_scalar(
        lambda u: float(loss(np.array([u]))[0]),
        bounds=(grid[i - 1], grid[i + 1]),
        method="bounded",
        options={"xatol": 1e-9},
    )
    log_n = float(found.x)
    return float(np.exp(log_n)), float(np.exp(log_c - cost.power * log_n)), float(np.exp(found.fun))


def _descend(form: Form, data: law_solver.Data, delta: float, start: Array) -> huber.Solution:
    def residuals(theta: Array) -> Array:
        return form.log_loss(theta, data.x, data.y, data) - data.log_loss

    def objective(theta: Array) -> tuple[float, Array]:
        residual, jacobian = derivative(residuals, theta)
        return float(huber.huber_sum(residual, delta)), np.clip(residual, -delta, delta) @ jacobian

    solution = huber.Solution(start, np.inf, False)
    with np.errstate(all="ignore"):
        for _ in range(3):
            residual, jacobian = derivative(residuals, solution.theta)
            if not (np.isfinite(residual).all() and np.isfinite(jacobian).all()):
                break
            scale = huber.unit(delta, residual) ** 2
            found = huber.solve(objective, solution.theta, huber.whitening(jacobian), scale, ITERATIONS)
            if not found.objective < solution.objective * (1 - 1e-6):
                break
            solution = found
    return solution


def _form_fit(
    form: Form,
    data: law_solver.Data,
    delta: float,
    test: Mask,
    folds: list[Mask],
    target: float,
    cost: CostLaw,
) -> FormFit:
    solved = solve_form(form, data, delta)
    best = optimum(form, solved.theta, data, target, cost)
    held_out = None
    if test.any():
        trained = solve_form(form, data.take(~test), delta)
        held_out = log_rmse(form, trained.theta, data.take(test))
    left_out = None
    if len(folds) >= 3:
        errors = np.zeros(len(data.x))
        for fold in folds:
            trained = solve_form(form, data.take(~fold), delta, [solved.theta])
            part = data.take(fold)
            errors[fold] = form.log_loss(trained.theta, part.x, part.y, part) - part.log_loss
        left_out = float(np.sqrt(np.mean(errors[np.any(folds, axis=0)] ** 2)))
    return FormFit(
        name=form.name,
        formula=form.formula,
        params=form.natural(solved.theta, data),
        objective=solved.objective,
        log_rmse=log_rmse(form, solved.theta, data),
        holdout_log_rmse=held_out,
        budget_log_rmse=left_out,
        bic=_bic(form, solved.theta, data, delta),
        params_opt=best[0] if best else None,
        tokens_opt=best[1] if best else None,
        loss_opt=best[2] if best else None,
        **judge(_flags(form, solved, data, target, cost, best is not None)),
    )


def _flags(
    form: Form, solved: Solved, data: law_solver.Data, target: float, cost: CostLaw, has_optimum: bool
) -> list[Flag]:
    flags = []
    if not has_optimum:
        flags.append(Flag("no_optimum", f"no minimum of the loss along C = {target:.3g}"))
    if not solved.converged:
        flags.append(Flag("not_converged", "the optimizer stopped before it reached a minimum"))
    terms = form.terms(solved.theta, data)
    total = sum(terms.values())
    for name, term in terms.items():
        if float(np.max(term / total)) < 2e-3:
            flags.append(Flag("at_bound", f"{name} has gone to 0: these runs do not show it"))
    _, jacobian = derivative(lambda t: form.log_loss(t, data.x, data.y, data), solved.theta)
    norms = np.linalg.norm(jacobian, axis=0)
    condition = np.linalg.cond(jacobian / np.where(norms > 0, norms, 1)) if (norms > 0).all() else np.inf
    if condition > CONDITION:
        flags.append(
            Flag("unidentified", f"its parameters trade off against each other (condition {condition:.0e})")
        )
    alternatives = [s.theta for s in solved.all if s.objective <= SAME * solved.objective]
    found = [o[0] for o in (optimum(form, theta, data, target, cost) for theta in alternatives) if o]
    if len(found) > 1 and max(found) > SPREAD * min(found):
        flags.append(
            Flag(
                "unidentified",
                f"solutions as good within 5% put N* anywhere from {min(found):.3g} to {max(found):.3g}",
            )
        )
    return flags


def _bic(form: Form, theta: Array, data: law_solver.Data, delta: float) -> float:
    """-2 ln likelihood + k ln n: Laplace where delta clips the residuals, normal where it does not."""
    residual = form.log_loss(theta, data.x, data.y, data) - data.log_loss
    n, rms = len(residual), max(float(np.sqrt(np.mean(residual**2))), 1e-15)
    if delta < rms:
        deviance = 2 * n * (np.log(2 * max(float(np.mean(np.abs(residual))), 1e-15)) + 1)
    else:
        deviance = n * (np.log(2 * np.pi * rms**2) + 1)
    return float(deviance + len(theta) * np.log(n))


def _split(points: Points) -> float | None:
    """The compute above which the highest whole budgets hold at least a sixth of the runs."""
    order = np.sort(points.flops)
    budgets = group_budgets(points)
    if not budgets.approximate and len(budgets.groups) >= 3:
        tops = [float(points.flops[list(group)].max()) for group in budgets.groups]
        for top in reversed(tops[:-1]):
            if (points.flops > top).sum() >= len(points) / 6:
                return top
    return float(order[len(order) - len(order) // 6 - 1]) if len(order) >= 12 else None


def _folds(points: Points) -> list[Mask]:
    folds: list[Mask] = []
    for group in group_budgets(points).groups:
        mask = np.zeros(len(points), dtype=bool)
        mask[list(group)] = True
        if (~mask).sum() > 9:
            folds.append(mask)
    return folds


def _key(fit: FormFit) -> tuple[float, float]:
    first = fit.holdout_log_rmse if fit.holdout_log_rmse is not None else fit.budget_log_rmse
    return (first if first is not None else 0.0, fit.bic)


def _with_rank(fit: FormFit, rank: int) -> FormFit:
    return replace(fit, rank=rank)
