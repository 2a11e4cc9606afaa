"""The best fit of a model to a table: from many starts together, and polished until it is a minimum."""

from dataclasses import dataclass

import numpy as np

from harness.fit import huber
from harness.fit.forms.data import Data
from harness.fit.forms.descent import TOLERANCE, Descended, Misfit, descend
from harness.fit.forms.model import MODELS, Bound, Model
from harness.fit.forms.projection import solve_by_projection, standard_starts
from harness.fit.table import Array

POLISHED = 3  # of the starts, those with the lowest objectives
SAME = 1e-6
# Relative fall of a draw's objective that ends its descent where there are many runs, or a form with long valleys: what
# is left out moves a parameter by about 1% of its standard error.
OF_DRAWS, MANY = 1e-7, 1000


@dataclass(frozen=True, eq=False)
class Solved:
    """A model fitted to some runs.

    Attributes:
        phi: the best free parameters (q,). objective: sum of Huber losses there.
        converged: whether it is a minimum.
        all_phi, all_objectives: every start's solution, (starts, q) and (starts,).
    """

    bound: Bound
    data: Data
    phi: Array
    objective: float
    converged: bool
    all_phi: Array
    all_objectives: Array

    @property
    def agreeing(self) -> int:
        """How many starts ended within 1e-6 of the best objective, relatively."""
        return int(np.sum(self.all_objectives <= self.objective * (1 + SAME) + 1e-18))

    @property
    def natural(self) -> Array:
        """Natural parameters, (k,)."""
        return self.bound.natural(self.phi)

    @property
    def theta(self) -> Array:
        """Coordinates, (k,)."""
        return self.bound.theta(self.phi)

    def fitted(self) -> Array:
        """ln L at the runs of the fit, (n,)."""
        return self.bound.evaluate(self.phi[None], self.data.z, derivatives=False)[0][0]

    def jacobian(self) -> Array:
        """d ln L / d phi at the runs of the fit, (n, q)."""
        return self.bound.evaluate(self.phi[None], self.data.z)[1][0]


def solve(
    model: Model,
    data: Data,
    misfit: Misfit,
    weights: Array | None = None,
    starts: list[Array] | None = None,
    laws: list[Array] | None = None,
    projected: bool = False,
) -> Solved:
    """The minimum of the sum of Huber losses, the best of several starts.

    Args:
        weights: one a run, (n,); default 1.
        starts: free parameters to start from, (q,) each; default: the form's own.
        laws: solutions of the standard law to make starts from, (5,) each; default: found here.
        projected: whether variable projection is what finds it.
    """
    bound = model.bind(data)
    weights = np.ones_like(data.x) if weights is None else weights
    if starts is None:
        starts = bound.starts(laws or _laws(model, data, misfit, weights))
    if projected:
        starts = [solve_by_projection(bound, data, misfit, weights, starts)]
    found = descend(bound, data.log_loss[None], weights[None], misfit, np.array(starts), data.z)
    order = np.argsort(np.where(np.isfinite(found.objective), found.objective, np.inf))
    best = huber.Solution(found.phi[order[0]], float(found.objective[order[0]]), False)
    for i in order[:POLISHED]:
        if np.isfinite(found.objective[i]):
            polished = polish(bound, data, misfit, weights, found.phi[i])
            if not best.objective <= polished.objective or (
                polished.converged and polished.objective <= best.objective * (1 + 1e-12)
            ):
                best = polished
    return Solved(bound, data, best.theta, best.objective, best.converged, found.phi, found.objective)


def _laws(model: Model, data: Data, misfit: Misfit, weights: Array) -> list[Array]:
    """Standard laws to start from: a grid's best; and for other forms the law itself."""
    grid = standard_starts(data, weights, misfit.delta)
    if model.form is MODELS["standard"].form and not model.slopes:
        return grid
    return [solve(MODELS["standard"], data, misfit, weights, laws=grid).theta[:5], *grid]


def polish(bound: Bound, data: Data, misfit: Misfit, weights: Array, start: Array) -> huber.Solution:
    """L-BFGS from free parameters (q,), in coordinates whitened there: to the minimum, and sure that it is one."""

    def objective(phi: Array) -> tuple[float, Array]:
        fitted, jacobian = bound.evaluate(phi[None], data.z)
        residual = misfit.residuals(fitted[0], data.log_loss)
        pull = weights * np.clip(residual, -misfit.delta, misfit.delta)
        pull = pull * misfit.slope(fitted[0], data.log_loss)
        value = float(huber.huber_sum(residual, misfit.delta, weights))
        return (value, pull @ jacobian[0]) if np.isfinite(value) else (np.inf, np.zeros(len(phi)))

    solution = huber.Solution(start, np.inf, False)
    with np.errstate(all="ignore"):
        for _ in range(3):
            fitted, jacobian = bound.evaluate(solution.theta[None], data.z)
            residual = misfit.residuals(fitted[0], data.log_loss)
            slope = np.asarray(misfit.slope(fitted[0], data.log_loss))
            by_phi = jacobian[0] * (slope[:, None] if slope.ndim else slope)
            if not (np.isfinite(residual).all() and np.isfinite(by_phi).all()):
                break
            scale = huber.unit(misfit.delta, residual) ** 2
            found = huber.solve(objective, solution.theta, huber.whitening(by_phi), scale, 300)
            gained = not found.objective >= solution.objective * (1 - 1e-6)
            if found.objective <= solution.objective:
                solution = found
            if not gained:
                break
    return solution


def redraw(solved: Solved, misfit: Misfit, log_loss: Array, weights: Array) -> Descended:
    """The model refitted to variants of its table, from its solution: what a bootstrap needs.

    Args:
        log_loss: ln L, (draws, n) or (1, n). weights: (draws, n) or (1, n).
    """
    quick = len(solved.data.x) > MANY or not solved.bound.model.form.separable
    tolerance = OF_DRAWS if quick else TOLERANCE
    return descend(solved.bound, log_loss, weights, misfit, solved.phi, solved.data.z, tolerance)
