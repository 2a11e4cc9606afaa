"""Runs at an end of a budget's profile whose losses lie above what all other runs say: diverged, or stopped early.

Three largest models of the highest budget that end 1 to 2.5% too high bend its profile, the exponent with it, and the
law as well. Flipping signs (see :mod:`harness.fit.structure`) cannot show them: a pattern of three runs comes back in
one flipped table of four. So each end of each profile is tested as a group that has been shifted (the mean-shift
outlier model: Cook & Weisberg 1982, Residuals and Influence in Regression, section 2.2.2), by Student's t.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from harness.fit.bootstrap import MOST_LEVERAGE
from harness.fit.budgets import Cells, count_cells, group_budgets
from harness.fit.status import Flag
from harness.fit.table import Array, Points

ALPHA = 0.003  # this check's share of the report's false alarms
WIDTHS = (2, 3)  # sizes at an end of a profile
OTHERS = 3  # sizes that the rest of a profile must have
SEEN = 0.05  # of a group's shift: what the law must leave to be seen of it
# Standard errors from which on a trend of the noise along N or C is believed.
TREND = 2.0
# Standard deviations by which each of the sizes must lie above: the shift is of the group and not of one far run.
EACH = 1.0


@dataclass(frozen=True)
class _End:
    """One end of a profile.

    Attributes:
        p: how often a shift upwards as clear as this one would come by chance.
        shift: of ln L. sizes: how many, the ``largest`` or the smallest of those at ``budget`` FLOPs.
    """

    p: float
    shift: float
    sizes: int
    largest: bool
    budget: float


def diverged_ends(points: Points, residual: Array, tangent: Array, weights: Array, unit: Cells) -> list[Flag]:
    """``misfit`` where the two or three largest, or smallest, models of a budget lie together above the law.

    Args:
        residual: ln L less the law fitted to all runs, (n,). tangent: the law's derivatives by its parameters, (n, k).
        weights: of the runs, (n,). unit: of every row, (n,): rows of one share noise.

    Student's t at ``ALPHA`` over all ends together (Bonferroni), with the variance that a trend of the noise along N or
    C gives there and as much more as rows of one unit at one budget are found to share.
    """
    tests = _ends(points, residual, tangent, weights, unit)
    if not tests:
        return []
    clearest = min(tests, key=lambda end: end.p)
    p = clearest.p * len(tests)
    if p > ALPHA:
        return []
    note = (
        f"the {clearest.sizes} {'largest' if clearest.largest else 'smallest'} models at C = {clearest.budget:.3g} end "
        f"{np.expm1(clearest.shift):.1%} above the law through the other runs (p = {p:.2g}): look whether they "
        "diverged, stopped early or were trained in another way"
    )
    return [Flag("misfit", note)]


def _ends(points: Points, residual: Array, tangent: Array, weights: Array, unit: Cells) -> list[_End]:
    """Every end that has a test, clear or not."""
    budgets, root = group_budgets(points), np.sqrt(weights)
    basis, _ = np.linalg.qr(tangent * root[:, None])
    member = np.arange(len(residual)) + len(budgets.groups)  # rows of no budget are each their own
    for i, rows in enumerate(budgets.groups):
        member[list(rows)] = i
    _, block = np.unique(np.stack((unit, member), axis=1), axis=0, return_inverse=True)
    n, freedom = len(residual), count_cells(block) - tangent.shape[1] - 1
    if freedom < 1:
        return []
    scaled = root * residual
    left = scaled - basis @ (basis.T @ scaled)
    trend = np.stack((np.log(points.params), np.log(points.flops)), axis=1)
    trend = (trend - trend.mean(axis=0)) / np.maximum(trend.std(axis=0), 1e-300)
    tests = []
    for label, rows in zip(budgets.labels, budgets.groups, strict=True):
        place = np.array(rows, dtype=np.intp)
        size = points.params[place]
        ordered = np.unique(size)
        for width in (width for width in WIDTHS if len(ordered) >= width + OTHERS):
            for largest in (True, False):
                sizes = ordered[-width:] if largest else ordered[:width]
                group = place[np.isin(size, sizes)]
                column = np.zeros(n)
                column[group] = root[group]
                seen = column - basis @ (basis.T @ column)
                information = float(seen @ seen)
                if information < SEEN * float(column @ column):
                    continue
                shift = float(seen @ left) / information
                unshifted = left - shift * seen
                variance = float(unshifted @ unshifted) / (n - tangent.shape[1] - 1)
                if variance <= 0:
                    continue
                variance *= _relative_variance(unshifted, basis, trend, group) * _shared(unshifted, block)
                without = _left_out(left, basis, group) / root[group]
                each = [float(np.mean(without[points.params[group] == one])) for one in sizes]
                own = np.sqrt(variance) / root[group].max()
                p = float(stdtr(freedom, -shift * np.sqrt(information / variance)))
                tests.append(_End(p if min(each) > EACH * own else 1.0, shift, width, largest, label))
    return tests


def _left_out(left: Array, basis: Array, group: Cells) -> Array:
    """Residuals of a group, (m,), from the fit to all other runs."""
    own = np.eye(len(group)) - basis[group] @ basis[group].T
    return np.asarray(np.linalg.lstsq(own, left[group], rcond=None)[0])


def _shared(left: Array, block: Cells) -> float:
    """How many times the variance of a mean is what independent rows would give, by the sums of blocks; at least 1."""
    return max(1.0, float(np.sum(np.bincount(block, left) ** 2)) / float(left @ left))


def _relative_variance(left: Array, basis: Array, trend: Array, group: Cells) -> float:
    """How many times the variance of the noise at a group is that at the other runs; 1 where it is no larger.

    From the trend of the other runs' squared residuals along ln N and ln C, ``trend`` (n, 2), where it is clear (Harvey
    1976, "Estimating regression models with multiplicative heteroscedasticity", Econometrica 44).
    """
    others = np.ones(len(left), dtype=bool)
    others[group] = False
    shown = np.maximum(1 - np.sum(basis**2, axis=1), 1 - MOST_LEVERAGE)
    square = (left**2 / shown)[others]
    # A residual that happens to be nearly nothing has a logarithm that would decide alone.
    log_square = np.log(np.maximum(square, 0.02 * square.mean()))
    design = np.column_stack((np.ones(len(square)), trend[others]))
    gram = np.linalg.pinv(design.T @ design)
    slopes = gram @ design.T @ log_square
    off = log_square - design @ slopes
    error = np.sqrt(np.diag(gram) * float(off @ off) / max(len(square) - 3, 1))
    slopes[np.abs(slopes) < TREND * error] = 0.0
    there, elsewhere = np.exp(trend[group] @ slopes[1:]), np.exp(trend[others] @ slopes[1:])
    return max(1.0, float(there.mean() / elsewhere.mean()))
