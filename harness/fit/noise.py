"""How much the runs of a table vary, and so how much each counts: by ``loss_se``, and by N and D where seeds tell.

Short runs scatter more than long ones: when a model of few steps learns to copy from its context is a matter of luck.
A fit of equal weights is then as wide as its shortest runs are noisy, and so is what it says of a single long one.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from harness.fit.budgets import cells_of, units_of
from harness.fit.table import Array, Points

# Standard errors of the loss that differ by fewer times than this between runs are of one validation set.
DIFFERENT = 2.0
# That seeds scatter by N or D must be this sure: unequal weights for equal noise would cost precision.
ALPHA = 0.01
# Degrees of freedom between seeds, of which fewer tell no slope.
LEAST_FREEDOM = 8
MOST_STEPS = 50
LEAST_RANGE = 0.1  # of ln N or ln D over the cells with seeds, for a slope in it
MEDIAN_OF_SQUARES = 0.455  # of a standard normal variable


@dataclass(frozen=True, eq=False)
class SeedNoise:
    """Variance of ln L between seeds: exp(level + slopes . (ln N, ln D)), within the N and D of cells with several.

    Attributes:
        slopes: of ln variance in ln N and in ln D, (2,). middle, lowest, highest: (ln N, ln D), (2,), of these cells;
            beyond the lowest and highest the variance is taken to stay. level: at the middle.
        freedom: degrees of freedom it was fitted to. p: of its being the same for all N and D.
    """

    level: float
    slopes: Array
    middle: Array
    lowest: Array
    highest: Array
    freedom: int
    p: float

    def variance(self, params: Array | float, tokens: Array | float) -> Array:
        """Of ln L of single runs of N = ``params`` on D = ``tokens``, of their shape."""
        at = np.clip(np.stack((np.log(params), np.log(tokens)), axis=-1), self.lowest, self.highest)
        return np.asarray(np.exp(self.level + (at - self.middle) @ self.slopes))


@dataclass(frozen=True, eq=False)
class Variances:
    """What the variance of ln L is made of: ``between`` of every run, and ``own`` (n,) of each."""

    between: float
    own: Array

    @property
    def weights(self) -> Array:
        """The inverse variances (n,), the largest 1."""
        weights = 1 / (self.between + self.own)
        return np.asarray(weights / weights.max())


def precision(points: Points, residual: Array) -> Array:
    """Weights of the runs, (n,), at most 1: the inverse of each one's variance where that is known to differ.

    ln L of a run varies by tau^2 + v: from cell to cell, which is tau^2, and by v = (loss_se / L)^2, the evaluation's
    own error, or where seeds scatter by N or D (:func:`seed_noise`) by their variance there. tau^2 is what the squared
    residuals (n,) of an unweighted fit leave (DerSimonian & Laird 1986, equation 8, for a regression). Where the errors
    are alike, within a factor of two, every weight is 1: they are then of one validation set, whose error all runs
    share, and say nothing of their differences.
    """
    parts = variances(points, residual)
    return np.ones(len(points)) if parts is None else parts.weights


def variances(points: Points, residual: Array) -> Variances | None:
    """The parts of the runs' variance about a law that leaves ``residual`` (n,); None where all are to weigh alike."""
    own = _of_evaluation(points)
    if (noise := seed_noise(points)) is not None:
        of_seed = noise.variance(points.params, points.tokens)
        own = (
            of_seed if own is None else np.maximum(own, of_seed)
        )  # seeds differ by the evaluation's error, too
    if own is None:
        return None
    low, high = np.quantile(own, (0.1, 0.9))
    if high < DIFFERENT**2 * low:
        return None
    # by the median, where a few are far off
    total = max(float(np.median(residual**2)) / MEDIAN_OF_SQUARES, 1e-300)
    return Variances(max(total - float(np.median(own)), 0.1 * total), own)


def _of_evaluation(points: Points) -> Array | None:
    """(loss_se / L)^2, (n,); a run without has the median's. None where no run has one."""
    if points.loss_se is None:
        return None
    variance = (points.loss_se / points.loss) ** 2
    known = np.isfinite(variance) & (variance > 0)
    if not known.any():
        return None
    return np.asarray(np.where(known, variance, np.median(variance[known])))


@lru_cache(maxsize=8)  # of a table, which does not change
def seed_noise(points: Points) -> SeedNoise | None:
    """How the noise of a seed goes with N and D; None where it is not sure that it does, or seeds are too few.

    The squares about the means of cells with several runs, of f degrees of freedom, are sigma^2 times chi^2 of f; ln
    sigma^2 is linear in ln N and ln D, fitted by maximum likelihood with Fisher's scoring (McCullagh & Nelder 1989,
    Generalized Linear Models, chapter 8) and compared with a constant by the likelihood ratio.
    """
    if not np.array_equal(units_of(points), cells_of(points)):  # several rows of a run: they are not seeds
        return None
    squares, freedom, first = within_cells(points)
    total = int(freedom.sum())
    if total < LEAST_FREEDOM or not squares.sum() > 0:
        return None
    at = np.log(np.stack((points.params[first], points.tokens[first]), axis=1))
    middle = np.average(at, axis=0, weights=freedom)
    told = np.ptp(at, axis=0) > LEAST_RANGE
    design = np.column_stack((np.ones(len(at)), (at - middle)[:, told]))
    if design.shape[1] == 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    alike = np.zeros(design.shape[1])
    alike[0] = np.log(squares.sum() / total)
    theta = fit_log_variance(design, squares, freedom)
    gain = _deviance(alike, design, squares, freedom) - _deviance(theta, design, squares, freedom)
    p = float(chdtrc(design.shape[1] - 1, max(gain, 0.0)))
    if p > ALPHA:
        return None
    slopes = np.zeros(2)
    slopes[told] = theta[1:]
    return SeedNoise(float(theta[0]), slopes, middle, at.min(axis=0), at.max(axis=0), total, p)


def within_cells(points: Points) -> tuple[Array, Array, NDArray[np.intp]]:
    """Of the cells with several runs: squares of ln L about their means, degrees of freedom, and their first runs."""
    _, first, cell, rows = np.unique(
        cells_of(points), return_index=True, return_inverse=True, return_counts=True
    )
    log_loss = np.log(points.loss)
    mean = np.bincount(cell, log_loss) / rows
    squares = np.bincount(cell, (log_loss - mean[cell]) ** 2)
    several = rows > 1
    return squares[several].astype(float), (rows[several] - 1).astype(float), first[several]


def fit_log_variance(design: Array, squares: Array, freedom: Array) -> Array:
    """Coefficients (q,) of ln variance = ``design`` (m, q), a column of ones first, by maximum likelihood.

    Args:
        squares: sums of squares (m,), of ``freedom`` (m,) degrees of freedom; not all 0.
    """
    theta = np.zeros(design.shape[1])
    theta[0] = np.log(squares.sum() / freedom.sum())
    information = (design * freedom[:, None]).T @ design
    for _ in range(MOST_STEPS):
        step = np.linalg.solve(information, design.T @ (squares * np.exp(-design @ theta) - freedom))
        theta = theta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    return theta


def _deviance(theta: Array, design: Array, squares: Array, freedom: Array) -> float:
    """Minus twice the log likelihood, but for a constant."""
    log_variance = design @ theta
    return float(np.sum(freedom * log_variance + squares * np.exp(-log_variance)))


@dataclass(frozen=True, eq=False)
class RunScatter:
    """Scatter of single runs about a law: standard deviations of ln L, and their degrees of freedom.

    Attributes:
        alike: of all runs, where seeds do not show it to differ; else of the law's lack of fit alone.
        noise: of the seeds beside that, or None. scale: by which both are multiplied, so that the fit's runs have it.
        between_seeds: variance of ln L between seeds, a part of ``alike`` squared; 0 with ``noise``, or unknown.
    """

    alike: float
    noise: SeedNoise | None
    scale: float
    freedom: int
    between_seeds: float = 0.0

    def at(self, params: float, tokens: float, seeds: int = 1) -> float:
        """Of the mean of ``seeds`` runs of N = ``params`` on D = ``tokens``.

        Seeds average out and the law's lack of fit does not; where the table cannot tell the two apart, a mean scatters
        as one run does. Beyond the cells with several seeds their noise is that of the nearest.
        """
        if self.noise is None:
            return float(np.sqrt(self.alike**2 - self.between_seeds * (1 - 1 / seeds)))
        return self.scale * float(np.hypot(self.alike, np.sqrt(self.noise.variance(params, tokens) / seeds)))


def run_scatter(points: Points, residual: Array, freedom: int) -> RunScatter:
    """The scatter of the runs about a law that leaves ``residual`` (n,) of them, of ``freedom`` degrees of freedom."""
    parts, noise = variances(points, residual), seed_noise(points)
    if parts is None or noise is None:
        variance = float(np.sum(residual**2) / freedom)
        return RunScatter(variance**0.5, None, 1.0, freedom, min(_between_seeds(points), variance))
    scale = float(
        np.sqrt(np.sum(residual**2 / (parts.between + parts.own)) / freedom)
    )  # 1 where the parts are right
    return RunScatter(parts.between**0.5, noise, scale, freedom)


def _between_seeds(points: Points) -> float:
    """Variance of ln L between seeds, pooled over cells; 0 where there are too few to tell."""
    if not np.array_equal(units_of(points), cells_of(points)):
        return 0.0
    squares, freedom, _ = within_cells(points)
    return float(squares.sum() / freedom.sum()) if freedom.sum() >= LEAST_FREEDOM else 0.0
