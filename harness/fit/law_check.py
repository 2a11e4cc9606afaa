"""The law fitted to a table for its residuals: whether it describes the runs, and how their noise is made up."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import fdtrc

from harness.fit.bootstrap import generator
from harness.fit.budgets import Cells, cells_of, count_cells, units_of
from harness.fit.covariates import Covariate, covariates
from harness.fit.directions import (
    BUDGETS,
    COLUMN,
    LARGEST,
    PROGRESS,
    REPETITION,
    SMALLEST,
    STEPS,
    budget_of,
    directions,
    place,
    steps,
)
from harness.fit.diverged import diverged_ends
from harness.fit.forms import MODELS, Misfit, Model, Solved, solve
from harness.fit.forms.data import Data
from harness.fit.forms.projection import standard_starts
from harness.fit.misfit import LARGE, ROUNDING, fit_error, repeated_data, spread
from harness.fit.noise import precision, seed_noise
from harness.fit.profiles import HUBER_WIDTH
from harness.fit.results import FitError
from harness.fit.status import Flag
from harness.fit.structure import Structure, residual_structure
from harness.fit.table import Array, Points

# The whole report may raise a false alarm in one clean sweep of twenty; these are the shares of two of its checks.
ALPHA = 0.01
LACK_ALPHA = 0.003
# From here on the noise that runs of a budget share is counted into intervals of L*, and of the law.
HINT = 0.1
# A law that explains no half of what the losses vary by says little of them.
LEAST_EXPLAINED = 0.5
# Three budgets leave one direction, which tells a variance to nothing.
SHOWN, LEAST_FREEDOM = 0.3, 2
STREAM = 8


@dataclass(frozen=True, eq=False)
class LawCheck:
    """The law fitted to a table, efficiently for normal noise, and what its residuals say.

    Attributes:
        points: the runs. data: the runs as the solver takes them.
        fit: the law by Huber's loss of 1.345 standard deviations of the residuals: nearly least squares, but a run far
            off does not bend it. objective: that loss.
        weights: of every run, (n,). unit: of every run, what is resampled together, (n,).
    """

    points: Points
    data: Data
    fit: Solved
    objective: Misfit
    weights: Array
    unit: Cells

    @cached_property
    def fitted(self) -> Array:
        """ln L of the law at the runs, (n,)."""
        return self.fit.fitted()

    @cached_property
    def tangent(self) -> Array:
        """The law's derivatives by its free parameters at the runs, (n, q)."""
        return self.fit.jacobian()

    @cached_property
    def residual(self) -> Array:
        """ln L - ln of the law, (n,)."""
        return self.data.log_loss - self.fitted

    def weights_for(self, misfit: Misfit) -> Array:
        """The weights of the runs, (n,), that a fit minimising ``misfit`` is most precise with.

        Inverse variances for squares; inverse standard deviations for sums of absolute deviations, whose variance
        is then least (that of a weighted median), and which Huber's loss nearly is with a delta below the residuals.
        """
        return np.sqrt(self.weights) if misfit.delta < spread(self.residual) else self.weights

    @cached_property
    def error(self) -> FitError:
        """The size of the residuals."""
        return fit_error(self.data.log_loss, self.fitted)

    @property
    def exact(self) -> bool:
        """Whether the residuals are rounding: there is nothing to test in them."""
        return self.error.rms_log is None or self.error.rms_log < ROUNDING

    @cached_property
    def structure(self) -> Structure:
        """The joint test of the residuals."""
        data, root = self.data, np.sqrt(self.weights)[:, None]
        return residual_structure(
            self.residual * root[:, 0],
            self.tangent * root,
            {name: columns * root for name, columns in directions(self.points).items()},
            self.unit,
            np.stack((data.x, data.y), axis=1),
            {name: columns * root for name, columns in steps(self.points).items()},
        )

    @cached_property
    def causes(self) -> str:
        """The end of a sentence: what of the table's columns and rows splits the residuals; empty where nothing does.

        These bend every approach, and not the law alone.
        """
        clear = {name for name, p in self.structure.each.items() if p <= ALPHA}
        columns = [name for name in self.structure.each if name in clear and name.startswith(COLUMN)]
        told = f"; {columns[0]} splits the residuals: fit its values apart" if columns else ""
        if PROGRESS in clear:
            told += f"; {PROGRESS} shows in the residuals: analysis.rows=last fits each run's end alone"
        if REPETITION in clear:
            told += f"; {REPETITION} shows in the residuals: leave such runs out"
        worst = self.structure.worst if self.structure.p <= ALPHA else ""
        if worst in (LARGEST, SMALLEST):
            told += f"; {worst} lie off together: their recipe (learning rate, batch) may not suit them"
        if worst in STEPS:
            told += "; what changes there (depth, recipe, data) bends every approach"
        return told

    @cached_property
    def misfit(self) -> list[Flag]:
        """``misfit`` where the residuals are too large, have structure, or differ between groups of runs."""
        error = self.error
        if self.exact or error.rms_log is None:
            return []
        told = f"the law misses the runs by {error.rms_log:.3g} in ln L (rms)"
        found = self.structure
        split = self.causes
        if error.rms_log > LARGE:
            return [Flag("misfit", told + split)]
        if error.r_squared is not None and error.r_squared < LEAST_EXPLAINED:
            return [Flag("misfit", f"{told} and explains {error.r_squared:.0%} of their variation{split}")]
        if found.p > ALPHA:
            return []
        if found.worst == BUDGETS:
            note = f"{told}, and the runs of a budget together (p = {found.p:.2g}): L* is known less well than it seems"
            return [Flag("shared_noise", note + split)]
        where = place(found.worst, self.points, found.at.get(found.worst))
        said = (
            f", correlated at {found.correlation:.2f} between neighbouring cells"
            if found.correlation > 0.3
            else ""
        )
        return [Flag("misfit", f"{told}, with structure {where} (p = {found.p:.2g}){said}{split}")]

    def shared_noise(self, draws: int, seed: int) -> Array | None:
        """Draws of what the runs of a budget are off together, (draws, n) in ln L; None where nothing hints at it.

        The between-budget variance comes from the residuals' mean squares between and within budgets, each draw with
        its own chi-square (a generalised pivot: Weerahandi 1995, Exact Statistical Methods for Data Analysis, chapter
        5), since a handful of budgets tell a variance to a factor of several.
        """
        member = budget_of(self.points)
        if member is None or self.structure.each.get(BUDGETS, 1.0) > HINT:
            return None
        tangent, _ = np.linalg.qr(self.tangent)
        dummy = np.eye(int(member.max()) + 1)[member]
        shown = dummy - tangent @ (tangent.T @ dummy)  # what the law leaves to be seen of a budget's shift
        u, size, _ = np.linalg.svd(shown, full_matrices=False)
        # Directions that the law could take up as well as a shift tell next to nothing of shifts.
        u = u[:, size > SHOWN * np.sqrt(len(member) / dummy.shape[1])]
        freedom, left = u.shape[1], len(member) - u.shape[1] - self.fit.bound.model.free
        if freedom < LEAST_FREEDOM or left < 1:
            return None
        residual = self.residual - tangent @ (tangent.T @ self.residual)
        between = float(np.sum((u.T @ residual) ** 2))
        within = float(residual @ residual) - between
        gain = float(np.sum((u.T @ dummy) ** 2)) / freedom
        rng = generator(seed, STREAM)
        total = between / rng.chisquare(freedom, draws)
        own = within / rng.chisquare(left, draws)
        spread = np.sqrt(np.maximum(total - own, 0.0) / gain)
        shift = spread[:, None] * rng.standard_normal((draws, dummy.shape[1]))
        return np.asarray(shift[:, member])

    @cached_property
    def lack_of_fit(self) -> list[Flag]:
        """``lack_of_fit`` where cells differ from the law by more than their seeds differ (the classical F test)."""
        cell = cells_of(self.points)
        cells, rows = count_cells(cell), len(cell)
        freedom, pure = cells - self.fit.bound.model.free, rows - cells
        if len(np.unique(self.unit)) < cells or freedom < 3 or pure < 3:
            return []
        noise = seed_noise(self.points)
        residual = self.residual
        if noise is not None:  # in units of its seeds' own noise, where that differs
            residual = residual / np.sqrt(noise.variance(self.points.params, self.points.tokens))
        mean = np.bincount(cell, residual) / np.bincount(cell)
        within = float(np.sum((residual - mean[cell]) ** 2))
        between = float(np.sum(mean[cell] ** 2))
        if within <= 0:
            return []
        ratio = (between / freedom) / (within / pure)
        p = float(fdtrc(freedom, pure, ratio))
        if p > LACK_ALPHA:
            return []
        note = (
            f"cells differ from the law by more than their seeds do (F = {ratio:.3g} on {freedom} and {pure} degrees "
            f"of freedom, p = {p:.2g}); intervals resample whole cells, so they count it in"
        )
        return [Flag("lack_of_fit", note)]

    @cached_property
    def diverged(self) -> list[Flag]:
        """``misfit`` of runs at an end of a budget's profile, which bend the profile as they bend the law."""
        if self.exact:
            return []
        return diverged_ends(self.points, self.residual, self.tangent, self.weights, self.unit)

    @cached_property
    def flags(self) -> list[Flag]:
        """All of them."""
        return self.diverged + self.misfit + self.lack_of_fit + self.repeated

    @cached_property
    def repeated(self) -> list[Flag]:
        """``repeated_data``."""
        return repeated_data(self.points)


def check_law(
    points: Points, model: Model = MODELS["standard"], columns: tuple[Covariate, ...] = ()
) -> LawCheck:
    """Fits the law, runs weighted by :func:`precision`, and keeps what its residuals say.

    Args:
        points: at least as many runs as the law has parameters.
        model: its form.
        columns: the covariates of the form.
    """
    return _checked(points, model, columns)


@lru_cache(maxsize=4)  # approaches 2 and 3 and the backtest ask of the same table, which does not change
def _checked(points: Points, model: Model, columns: tuple[Covariate, ...]) -> LawCheck:
    data = Data.of(points.params, points.tokens, points.loss, covariates(points, columns))
    weights = np.ones(len(points))
    squares = Misfit(np.inf)
    with np.errstate(all="ignore"):
        fit = solve(model, data, squares, laws=standard_starts(data, weights, np.inf, count=2))
        for _ in range(2):
            residual = data.log_loss - fit.fitted()
            weights = precision(points, residual)
            objective = Misfit(HUBER_WIDTH * max(spread(residual), ROUNDING))
            fit = solve(model, data, objective, weights, [fit.phi])
    return LawCheck(points, data, fit, objective, weights, units_of(points))
