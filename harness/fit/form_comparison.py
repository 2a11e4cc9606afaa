"""Which functional form of L(N, D) predicts best, whether the runs can tell, and the optimum that each gives."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.fit import bootstrap
from harness.fit.approach_3 import Asked
from harness.fit.budgets import Cells, count_cells, group_budgets, units_of
from harness.fit.forms import MODELS, Misfit, Model, Solved, redraw, solve
from harness.fit.forms.data import Data
from harness.fit.law_check import check_law
from harness.fit.law_flags import indeterminate, law_flags
from harness.fit.options import FitOptions
from harness.fit.results import FormComparison, FormFit
from harness.fit.status import Flag, is_void, judge
from harness.fit.table import Array, Points

Mask = NDArray[np.bool_]

LEAST_RUNS = 12
STREAM = 11
DRAWS = 200
"""Bootstrap draws behind each difference: enough for percentiles of 90% intervals."""

WORSE = 1.2
"""A form with more parameters than the standard law that ends at so many times its objective has not been fitted."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A form fitted to all runs and to those below the held-out ones.

    Attributes:
        solved: to all runs. errors: ln(predicted / measured) of the held-out runs, (n,), NaN of the others.
        drawn: the same of every bootstrap draw, (draws, n).
        left_out: of every run, predicted without its budget, (n,); NaN where there are no such folds.
    """

    model: Model
    solved: Solved
    errors: Array
    drawn: Array
    left_out: Array

    @property
    def held_out(self) -> float | None:
        """Root mean square of the held-out errors; None without any."""
        known = self.errors[np.isfinite(self.errors)]
        return float(np.sqrt(np.mean(known**2))) if len(known) else None


def compare_forms(points: Points, options: FitOptions, target: float) -> FormComparison | None:
    """Fits each form, ranks them by the prediction of held-out budgets, and says which cannot be told apart.

    The split trains on the lower budgets and predicts the higher (``holdout_above``). Two forms are told apart where
    the interval of the difference of their mean squared errors leaves out 0, over draws of runs to each of which every
    form is refitted. Returns None where the table has too few runs for any such comparison (fewer than 12).
    """
    if len(points) < LEAST_RUNS:
        return None
    data = Data.of(points.params, points.tokens, points.loss)
    misfit = options.misfit
    above = options.holdout_above or _split(points)
    test: Mask = np.zeros(len(points), dtype=bool) if above is None else points.flops > above
    if not 0 < test.sum() < len(points) - 6:
        above, test = None, np.zeros(len(points), dtype=bool)
    unit = units_of(points)
    counts = _counts(unit, min(options.draws, DRAWS), options.seed)
    folds = _folds(points)
    # Forms with exponentials of exponentials overflow on the optimizer's way; it steps back by itself.
    with np.errstate(all="ignore"):
        trials = [_trial(model, data, misfit, test, counts, folds) for model in MODELS.values()]
        standard = next(trial for trial in trials if trial.model.plain)
        fits = {
            t.model.name: _form_fit(t, points, options, target, standard.solved.objective) for t in trials
        }
    order = sorted(fits.values(), key=_key)
    first = next((fit.name for fit in order if fit.holdout_log_rmse is not None and not _unusable(fit)), None)
    by_name = {trial.model.name: trial for trial in trials}
    if first is not None:
        order = [_told(fit, by_name[fit.name], by_name[first], counts, test, options.level) for fit in order]
    return FormComparison(
        target=target,
        holdout_above=above,
        n_train=int((~test).sum()),
        n_test=int(test.sum()),
        forms=tuple(replace(fit, rank=rank + 1) for rank, fit in enumerate(order)),
        verdict=_verdict(first, order, target) + _left_aside(options),
        level=options.level,
    )


def _trial(model: Model, data: Data, misfit: Misfit, test: Mask, counts: Array, folds: list[Mask]) -> Trial:
    solved = solve(model, data, misfit)
    n = len(data.x)
    errors, drawn, left_out = np.full(n, np.nan), np.full((len(counts), n), np.nan), np.full(n, np.nan)
    if test.any():
        trained = solve(model, data.take(~test), misfit)
        whole = replace(solved, phi=trained.phi)  # a part of a table is centred where the table is
        errors[test] = (whole.fitted() - data.log_loss)[test]
        if len(counts):
            again = redraw(whole, misfit, data.log_loss[None], counts * ~test).phi
            drawn[:, test] = (_fitted(solved, again, data) - data.log_loss)[:, test]
    if len(folds) >= 3:
        kept = np.array([~fold for fold in folds], dtype=float)
        again = redraw(solved, misfit, data.log_loss[None], kept).phi
        for fold, fitted in zip(folds, _fitted(solved, again, data), strict=True):
            left_out[fold] = (fitted - data.log_loss)[fold]
    return Trial(model, solved, errors, drawn, left_out)


def _fitted(solved: Solved, phi: Array, data: Data) -> Array:
    return solved.bound.evaluate(phi, data.z, derivatives=False)[0]


def _form_fit(trial: Trial, points: Points, options: FitOptions, target: float, standard: float) -> FormFit:
    model, solved = trial.model, trial.solved
    asked = Asked.of(points, options, model)
    law = asked.frontier(asked.shown(solved.natural))
    log_n, log_d, loss = (float(value) for value in law.log_optimum(target))
    flags = law_flags(solved, law)
    if np.isnan(log_n) and not is_void(flags):
        flags.append(Flag("no_optimum", f"no minimum of the loss along C = {target:.3g}"))
    flags += check_law(points, model).misfit
    if not model.plain:
        flags += indeterminate(solved, lambda natural: asked.log_sizes(natural, target))
    if model.free > MODELS["standard"].free and solved.objective > WORSE * standard:
        note = "it ends above the standard law, which has fewer parameters: its minimum was not found"
        flags.append(Flag("not_converged", note))
    has = np.isfinite(log_n) and not is_void(flags)
    left_out = trial.left_out[np.isfinite(trial.left_out)]
    named = dict(zip(model.columns, map(float, solved.natural), strict=True))
    own = dict(MODELS[model.name].fixed)
    shown = {name: value for name, value in named.items() if name not in own}
    return FormFit(
        name=model.name,
        formula=model.formula,
        params=shown,
        objective=solved.objective,
        log_rmse=float(np.sqrt(np.mean((solved.fitted() - solved.data.log_loss) ** 2))),
        holdout_log_rmse=trial.held_out,
        budget_log_rmse=float(np.sqrt(np.mean(left_out**2))) if len(left_out) else None,
        bic=_bic(solved, options.misfit),
        params_opt=float(np.exp(log_n)) if has else None,
        tokens_opt=float(np.exp(log_d)) if has else None,
        loss_opt=loss if has else None,
        **judge(flags),
    )


def _told(fit: FormFit, trial: Trial, first: Trial, counts: Array, test: Mask, level: float) -> FormFit:
    """``fit`` with the difference of its held-out mean squared error from the first's, and whether that is one."""
    if fit.name == first.model.name or not np.isfinite(trial.errors).any():
        return fit
    heavy = counts[:, test]
    with np.errstate(all="ignore"):
        squares = trial.drawn[:, test] ** 2 - first.drawn[:, test] ** 2
        differences = np.sum(heavy * squares, axis=1) / np.sum(heavy, axis=1)
    interval = bootstrap.percentile_interval(differences, level) if len(counts) else None
    value = float(np.mean(trial.errors[test] ** 2 - first.errors[test] ** 2))
    apart = None if interval is None else bool(interval[0] > 0 or interval[1] < 0)
    return replace(fit, squared_difference=value, squared_difference_interval=interval, told_apart=apart)


def _verdict(first: str | None, order: list[FormFit], target: float) -> str:
    """Which forms the runs tell apart, in a sentence."""
    if first is None:
        return "no budget was held out, so which form predicts best cannot be told"
    if all(fit.told_apart is None for fit in order):
        return f"{first} has the lowest error; without draws it cannot be told whether by more than chance"
    alike = [fit for fit in order if fit.told_apart is False or fit.name == first]
    worse = [fit.name for fit in order if fit.told_apart]
    said = f"{first} predicts the held-out runs best"
    if len(alike) > 1:
        said = f"{', '.join(fit.name for fit in alike)} cannot be told apart by the held-out runs"
        sizes = [fit.params_opt for fit in alike if fit.params_opt is not None]
        if sizes:
            said += f", and put N* at C = {target:.3g} between {min(sizes):.3g} and {max(sizes):.3g}"
    return said + (f"; worse: {', '.join(worse)}" if worse else "")


def _left_aside(options: FitOptions) -> str:
    """What the options ask of approach 3's law that the forms are compared without."""
    named = [name for name in ("fix", "tie", "covariates") if getattr(options, name)]
    return f"; compared without analysis.{', analysis.'.join(named)}" if named else ""


def _unusable(fit: FormFit) -> bool:
    return "not_converged" in fit.flags


def _counts(unit: Cells, draws: int, seed: int) -> Array:
    """How often each run is in each draw, (draws, n)."""
    return bootstrap.pair_counts(bootstrap.generator(seed, STREAM), count_cells(unit), draws)[:, unit]


def _bic(solved: Solved, misfit: Misfit) -> float:
    """-2 ln likelihood + k ln n: Laplace where delta clips the residuals, normal where it does not."""
    residual = solved.fitted() - solved.data.log_loss
    n, rms = len(residual), max(float(np.sqrt(np.mean(residual**2))), 1e-15)
    if misfit.delta < rms:
        deviance = 2 * n * (np.log(2 * max(float(np.mean(np.abs(residual))), 1e-15)) + 1)
    else:
        deviance = n * (np.log(2 * np.pi * rms**2) + 1)
    return float(deviance + len(solved.phi) * np.log(n))


def _split(points: Points) -> float | None:
    """The compute above which the highest whole budgets hold at least a sixth of the runs."""
    order = np.sort(points.flops)
    budgets = group_budgets(points)
    if not budgets.approximate and len(budgets.groups) >= 3:
        tops = [float(points.flops[list(group)].max()) for group in budgets.groups]
        for top in reversed(tops[:-1]):
            if (points.flops > top).sum() >= len(points) / 6:
                return top
    return float(order[len(order) - len(order) // 6 - 1]) if len(order) >= LEAST_RUNS else None


def _folds(points: Points) -> list[Mask]:
    folds: list[Mask] = []
    for group in group_budgets(points).groups:
        mask = np.zeros(len(points), dtype=bool)
        mask[list(group)] = True
        if (~mask).sum() > 9:
            folds.append(mask)
    return folds


def _key(fit: FormFit) -> tuple[bool, float, float]:
    first = fit.holdout_log_rmse if fit.holdout_log_rmse is not None else fit.budget_log_rmse
    return (_unusable(fit), first if first is not None else 0.0, fit.bic)
