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


@dataclass(frozen=True, eq=False)
class End:
    """One end of a profile: the two or three largest, or smallest, sizes at ``budget`` FLOPs.

    Attributes:
        sizes: their N, (width,). rows: the runs of these sizes, (m,).
    """

    budget: float
    largest: bool
    sizes: Array
    rows: Cells


def profile_ends(points: Points) -> list[End]:
    """Both ends of every budget by every width that leaves ``OTHERS`` sizes or more."""
    budgets, found = group_budgets(points), []
    for label, group in zip(budgets.labels, budgets.groups, strict=True):
        rows = np.array(group, dtype=np.intp)
        ordered = np.unique(points.params[rows])
        for width in (width for width in WIDTHS if len(ordered) >= width + OTHERS):
            for largest in (True, False):
                sizes = ordered[-width:] if largest else ordered[:width]
                found.append(End(label, largest, sizes, rows[np.isin(points.params[rows], sizes)]))
    return found


def diverged_ends(points: Points, residual: Array, tangent: Array, weights: Array, unit: Cells) -> list[Flag]:
    """``misfit`` where the two or three largest, or smallest, models of a budget lie together above the law.

    Args:
        residual: ln L less the law fitted to all runs, (n,). tangent: the law's derivatives by its parameters, (n, k).
        weights: of the runs, (n,). unit: of every row, (n,): rows of one share noise.

    Student's t at ``ALPHA`` over all ends together (Bonferroni), with the variance that a trend of the noise along N or
    C gives there and as much more as rows of one unit at one budget are found to share.
    """
    tests = _tests(points, residual, tangent, weights, unit)
    if not tests:
        return []
    p, shift, end = min(tests, key=lambda test: test[0])
    p *= len(tests)
    if p > ALPHA:
        return []
    note = (
        f"the {len(end.sizes)} {'largest' if end.largest else 'smallest'} models at C = {end.budget:.3g} end "
        f"{np.expm1(shift):.1%} above the law through the other runs (p = {p:.2g}): look whether they "
        "diverged, stopped early or were trained in another way"
    )
    return [Flag("misfit", note)]


def _tests(
    points: Points, residual: Array, tangent: Array, weights: Array, unit: Cells
) -> list[tuple[float, float, End]]:
    """Of every end that can be tested: how often a shift upwards as clear would come by chance, the shift, the end."""
    root = np.sqrt(weights)
    basis, _ = np.linalg.qr(tangent * root[:, None])
    block = _blocks(points, unit)
    n, freedom = len(residual), count_cells(block) - tangent.shape[1] - 1
    if freedom < 1:
        return []
    scaled = root * residual
    left = scaled - basis @ (basis.T @ scaled)
    trend = np.stack((np.log(points.params), np.log(points.flops)), axis=1)
    trend = (trend - trend.mean(axis=0)) / np.maximum(trend.std(axis=0), 1e-300)
    tests = []
    for end in profile_ends(points):
        group = end.rows
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
        p = float(stdtr(freedom, -shift * np.sqrt(information / variance)))
        # The allowances only raise p: they are for the few ends that might be clear.
        if p <= ALPHA:
            variance *= _relative_variance(unshifted, basis, trend, group) * _shared(unshifted, block)
            without = _left_out(left, basis, group) / root[group]
            each = [float(np.mean(without[points.params[group] == one])) for one in end.sizes]
            own = np.sqrt(variance) / root[group].max()
            p = (
                float(stdtr(freedom, -shift * np.sqrt(information / variance)))
                if min(each) > EACH * own
                else 1.0
            )
        tests.append((p, shift, end))
    return tests


def _blocks(points: Points, unit: Cells) -> Cells:
    """The number of each row's block, (n,): rows of one unit at one budget; a row of no budget is its own."""
    groups = group_budgets(points).groups
    member = np.arange(len(points)) + len(groups)
    for i, rows in enumerate(groups):
        member[list(rows)] = i
    _, block = np.unique(np.stack((unit, member), axis=1), axis=0, return_inverse=True)
    return np.asarray(block)


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
