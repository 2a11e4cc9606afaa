"""One budget's runs and the polynomials through them, in ln N and in ln D: their minima for many tables of losses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.fit import bootstrap
from harness.fit.budgets import Cells, count_cells
from harness.fit.cost_law import fit_cost_law
from harness.fit.laws import Law
from harness.fit.profiles import Axis, fit_polynomials, minima, value
from harness.fit.results import Profile
from harness.fit.status import Flag
from harness.fit.table import Array, Points

# Runs of one budget whose compute differs by more than this (in ln C) get a regressor for it.
SPREAD = 0.02
# Of the leverage, in what residuals are inflated by. HC2's 1/2 gives a draw the right variance, but that is known from
# few runs, at the ends of the profile; HC3's 1 gives more. Between them intervals of N* held the truth about as often
# as they say (nominal .90, five budgets of seven: by HC2 .85 to .88, by HC3 .93 to .97).
LEVERAGE_POWER = 0.75


@dataclass(frozen=True, eq=False)
class BudgetProfile:
    """The runs of one budget, n of them.

    Attributes:
        points: the runs. label: the budget's name in FLOPs. rows: their places in the whole table, (n,).
        log_c: mean ln C, which the minimum is of. spread: range of ln C.
        axes: ln N and ln D as polynomials take them. degree, robust: of the polynomials.
        weights: of every run, (n,). unit: what is resampled together, (n,).
        uneven: the warning where compute follows N within the budget.
    """

    points: Points
    label: float
    rows: Cells
    log_c: float
    spread: float
    axes: tuple[Axis, Axis]
    degree: int
    robust: bool
    weights: Array
    unit: Cells
    uneven: tuple[Flag, ...] = ()

    @classmethod
    def of(
        cls,
        table: Points,
        rows: list[int],
        label: float,
        degree: int,
        robust: bool,
        weights: Array,
        unit: Cells,
    ) -> "BudgetProfile":
        """Of the ``rows`` of a table; ``weights`` and ``unit`` are the whole table's."""
        points, place = table.select(rows), np.array(rows, dtype=np.intp)
        log_flops, mine = np.log(points.flops), unit[place]
        log_c = float(log_flops.mean())
        nuisance, uneven = _compute_regressor(log_flops - log_c, np.log(points.params), degree, mine)
        axes = (Axis.of(np.log(points.params), nuisance), Axis.of(np.log(points.tokens), nuisance))
        spread = float(np.ptp(log_flops))
        return cls(
            points, label, place, log_c, spread, axes, degree, robust, weights[place], mine, tuple(uneven)
        )

    def coefficients(self, column: int, losses: Array, weights: Array | None = None) -> Array:
        """Of the polynomial in ln N (``column`` 0) or ln D (1), (draws, k), through losses (draws, n)."""
        weights = self.weights[None] if weights is None else weights * self.weights
        return fit_polynomials(self.axes[column].design(self.degree), losses, weights, self.robust)

    def minima(
        self, losses: tuple[Array, Array], weights: Array | None = None
    ) -> tuple[Array, NDArray[np.bool_]]:
        """ln N*, ln D* and L*, (draws, 3), and whether one lies outside the sampled range, (draws,).

        Args:
            losses: (draws, n), for the polynomial in ln N and for that in ln D.
            weights: counts of every run, (draws, n); default 1.
        """
        draws = max(len(losses[0]), 1 if weights is None else len(weights))
        found, outside = [], np.zeros(draws, dtype=bool)
        for column, axis in enumerate(self.axes):
            fitted = self.coefficients(column, losses[column], weights)
            u = minima(fitted, self.degree)
            outside |= ~(np.abs(u) <= 1)
            found.append(axis.centre + axis.half * u)
            if column == 0:
                lowest = value(fitted, u, self.degree)
        return np.stack((*found, lowest), axis=1), outside

    def smooth(self, column: int, losses: Array) -> Array:
        """The polynomial's values at the runs, (draws, n)."""
        return self.coefficients(column, losses) @ self.axes[column].design(self.degree).T

    def perturbation(self, column: int, losses: Array, departure: Array) -> Array:
        """Residuals (n,) of the losses (n,) about the polynomial, of the size that their noise has.

        Args:
            departure: what the polynomial misses of a smooth curve, (n,): structure, which is no noise.
        """
        root = np.sqrt(self.weights)
        left = losses - self.smooth(column, losses[None])[0] - departure
        design = self.axes[column].design(self.degree) * root[:, None]
        return np.asarray(bootstrap.inflated(left * root, design, self.unit, LEVERAGE_POWER) / root)

    def bias(self, losses: Array, laws: Law, weights: Array | None = None) -> Array:
        """The polynomial's minima of the laws' own losses (draws, n) less the laws' optima, (draws, 3).

        The optimum is along this budget's own N and D, for which a local cost law stands: whatever its compute does.
        """
        smoothed, _ = self.minima((losses, losses), weights)
        local = Law.from_theta(laws.theta, fit_cost_law(self.points))
        log_n, log_d, lowest = local.log_optimum(np.exp(self.log_c))
        return np.asarray(smoothed - np.stack((log_n, log_d, lowest), axis=-1))

    @property
    def freedom(self) -> int:
        """Degrees of freedom of a residual: further seeds of a cell are no further ones."""
        return max(count_cells(self.unit) - self.axes[0].design(self.degree).shape[1], 1)

    def curve(self, column: int) -> Profile:
        """The polynomial as a result."""
        axis = self.axes[column]
        fitted = self.coefficients(column, self.points.loss[None])[0]
        powers = axis.half ** np.arange(self.degree + 1)
        return Profile(centre=axis.centre, coefficients=tuple((fitted[: self.degree + 1] / powers).tolist()))

    def problem(self, column: int) -> Flag | None:
        """Why the polynomial has no minimum among the sizes that were run; None where it has one."""
        letter = "ND"[column]
        fitted = self.coefficients(column, self.points.loss[None])
        u = float(minima(fitted, self.degree)[0])
        if self.degree == 2 and fitted[0, 2] <= 0:
            return Flag("negative_curvature", f"the profile in ln {letter} has no minimum: it opens downward")
        if not np.isfinite(u):
            note = f"the profile in ln {letter} has no minimum within the sampled range"
            return Flag("vertex_outside_range", note)
        if abs(u) > 1:
            side = "below the smallest" if u < 0 else "above the largest"
            return Flag(
                "vertex_outside_range", f"the minimum in ln {letter} lies {side} {letter} that was run"
            )
        return None


def _compute_regressor(off: Array, log_n: Array, degree: int, unit: Cells) -> tuple[Array | None, list[Flag]]:
    """ln C about its mean as a regressor, where runs of a budget differ in compute by more than whole steps.

    Where compute follows N (budgets planned under another convention of compute than the fit's) the regressor
    would be the profile itself: it is left out, and the budget marked ``not_isoflop``.
    """
    if np.ptp(off) <= SPREAD:
        return None, []
    design = Axis.of(log_n).design(degree)
    if count_cells(unit) < degree + 3:
        explained = 1.0
    else:
        line = design @ np.linalg.lstsq(design, off, rcond=None)[0]
        explained = 1 - np.sum((off - line) ** 2) / np.sum((off - off.mean()) ** 2)
    if explained < 0.9:
        return off, []
    note = f"compute differs by {np.expm1(np.ptp(off)):.0%} within the budget, along with N"
    return None, [Flag("not_isoflop", note)]
