"""How much the runs of a table vary, and so how much each counts: by ``loss_se``, and by compute where seeds tell.

Small runs scatter more than large ones: when a model of few steps learns to copy from its context is a matter of luck.
A fit of equal weights is then as wide as its smallest budget is noisy, and so is what it says of a run at a large one.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import chi2

from harness.fit.budgets import cells_of, units_of
from harness.fit.table import Array, Points

# Standard errors of the loss that differ by fewer times than this between runs are of one validation set.
DIFFERENT = 2.0
# That seeds scatter by compute must be this sure: unequal weights for equal noise would cost precision.
ALPHA = 0.01
# Degrees of freedom between seeds, of which fewer tell no slope.
LEAST_FREEDOM = 8
MOST_STEPS = 50
MEDIAN_OF_SQUARES = 0.455  # of a standard normal variable


@dataclass(frozen=True)
class SeedNoise:
    """Variance of ln L between seeds, exp(level) (C / middle)^slope, within the C of the cells that have several.

    Attributes:
        slope: of ln variance in ln C, below 0. log_middle: ln of ``middle``.
        lowest, highest: ln C of these cells; beyond them the variance is taken to stay.
        freedom: degrees of freedom it was fitted to. p: of its being the same at all C.
    """

    level: float
    slope: float
    log_middle: float
    lowest: float
    highest: float
    freedom: int
    p: float

    def variance(self, flops: Array | float) -> Array:
        """Of ln L of single runs at C = ``flops``, of its shape."""
        log_c = np.clip(np.log(flops), self.lowest, self.highest)
        return np.asarray(np.exp(self.level + self.slope * (log_c - self.log_middle)))


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
    own error, or where seeds scatter by compute (:func:`seed_noise`) by their variance there. tau^2 is what the squared
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
        of_seed = noise.variance(points.flops)
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
    """How the noise of a seed falls with compute; None where it does not for sure, or the table has too few seeds.

    The squares about the means of cells with several runs, of f degrees of freedom, are sigma^2(C) times chi^2 of f; ln
    sigma^2 is a line in ln C, fitted by maximum likelihood with Fisher's scoring (McCullagh & Nelder 1989, Generalized
    Linear Models, chapter 8) and compared with a constant by the likelihood ratio.
    """
    unit, cell = units_of(points), cells_of(points)
    rows = np.bincount(cell)
    if not np.array_equal(unit, cell):  # several rows of a run: they are not seeds
        return None
    log_loss = np.log(points.loss)
    mean = np.bincount(cell, log_loss) / rows
    squares = np.asarray(np.bincount(cell, (log_loss - mean[cell]) ** 2)[rows > 1], dtype=float)
    log_c = (np.bincount(cell, np.log(points.flops)) / rows)[rows > 1]
    freedom = np.asarray(rows[rows > 1] - 1, dtype=float)
    total = int(freedom.sum())
    if total < LEAST_FREEDOM or np.ptp(log_c) < 0.1 or not squares.sum() > 0:
        return None
    middle = float(np.average(log_c, weights=freedom))
    design = np.stack((np.ones(len(log_c)), log_c - middle), axis=1)
    theta = np.array([np.log(squares.sum() / total), 0.0])
    information = (design * freedom[:, None]).T @ design
    alike = _deviance(theta, design, squares, freedom)
    for _ in range(MOST_STEPS):
        pull = squares * np.exp(-design @ theta)
        step = np.linalg.solve(information, design.T @ (pull - freedom))
        theta = theta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    p = float(chi2.sf(max(alike - _deviance(theta, design, squares, freedom), 0.0), 1))
    if p > ALPHA or theta[1] >= 0:
        return None
    return SeedNoise(
        float(theta[0]), float(theta[1]), middle, float(log_c.min()), float(log_c.max()), total, p
    )


def _deviance(theta: Array, design: Array, squares: Array, freedom: Array) -> float:
    """Minus twice the log likelihood, but for a constant."""
    log_variance = design @ theta
    return float(np.sum(freedom * log_variance + squares * np.exp(-log_variance)))


def scatter_at(points: Points, residual: Array, freedom: int, flops: float) -> float:
    """Standard deviation of ln L of one run at C = ``flops`` about a law that leaves ``residual`` (n,) of the runs.

    Where their noise falls with compute it is that of runs of such a C, at most as little as the largest budget with
    several seeds has; else it is one for all.
    """
    parts, noise = variances(points, residual), seed_noise(points)
    if parts is None or noise is None:
        return float(np.sqrt(np.sum(residual**2) / freedom))
    every = parts.between + parts.own
    scale = float(np.sum(residual**2 / every)) / freedom  # 1 where the parts are right
    return float(np.sqrt(scale * (parts.between + float(noise.variance(flops)))))
