"""Rules through the points' best values: generalised least squares, for best values of one point depend on each other.

A response surface is a valley along which learning rate, batch and weight decay change together: the minimum itself is
uncertain along it, while what a recipe needs are values that suit each other. The covariance of the minima says so, and
one regression for all axes uses it (Aitken 1936).
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.fit.table import Array
from harness.tune.sequential.observed import Flags
from harness.tune.sequential.terms import CONST, Places, RuleModel, further_terms, rule_model

CLEAR = 0.01  # chance of an exponent as large as this, were it 0, below which it is clearly there


@dataclass(frozen=True, eq=False)
class Tested:
    """An exponent that a rule does not have by itself.

    Attributes:
        value: it, where the rule has it. error: its standard error.
        p: chance of one as large, were it 0.
        taken: whether the rule has it.
    """

    value: float
    error: float
    p: float
    taken: bool


@dataclass(frozen=True, eq=False)
class Rules:
    """The rules of all axes.

    Attributes:
        model, theta: the coefficients; draws of them in ``drawn_theta``, (draws, k).
        lines: (c, a, b) of every axis, (axes, 3), about the reference.
        drawn: draws of ``lines``, (draws, axes, 3).
        values: what the rules say at the points, ln, (axes, points); draws of it in ``drawn_values``.
        covariance: of ``values``, (axes * points, axes * points).
        scatter: by axis, the points' scatter about the rule over what noise explains (Birge 1932); NaN where no point
            is left to tell.
        tested: by axis and ``PARAMS`` or ``TOKENS``, the exponents that it does not have by itself.
    """

    model: RuleModel
    theta: Array
    drawn_theta: Array
    lines: Array
    drawn: Array
    values: Array
    drawn_values: Array
    covariance: Array
    scatter: Array
    tested: dict[tuple[str, str], Tested]


@dataclass(frozen=True, eq=False)
class BestValues:
    """The points' best values.

    Attributes:
        axes: (q,). y: ln of the values, (q, points). usable: which of them are minima, (q, points) bool.
        covariance: of y, axis by axis, (q * points, q * points).
        drawn: draws of y, (draws, q, points).
    """

    axes: tuple[str, ...]
    y: Array
    usable: Flags
    covariance: Array
    drawn: Array


def fit_rules(best: BestValues, places: Places, freedom: int) -> Rules:
    """The rules through the usable best values; factors of groups get a power of N or D where that shows clearly.

    Args:
        freedom: behind the noise that ``best.covariance`` was made with.
    """
    tested: dict[tuple[str, str], Tested] = {}
    for a, axis in enumerate(best.axes):
        further = [(axis, term) for term in further_terms(axis, best.usable[a], places)]
        if not further:
            continue
        model = rule_model(best.axes, best.usable, places, further)
        theta, spread, _ = _solve(best, model)
        wider = max(1.0, np.nan_to_num(_scatter(best, model, theta)[a], nan=1.0))
        spare = int(best.usable[a].sum()) > sum(name == axis for name, _ in model.names)
        for one in further:
            column = model.names.index(one)
            value, error = float(theta[column]), wider * float(np.sqrt(spread[column, column]))
            p = float(2 * stats.t.sf(abs(value) / max(error, 1e-300), freedom))
            tested[one] = Tested(value, error, p, taken=p < CLEAR and axis != "batch" and spare)
    more = [one for one, found in tested.items() if found.taken]
    model = rule_model(best.axes, best.usable, places, more)
    theta, spread, weights = _solve(best, model)
    q, points = best.y.shape
    rows = model.rows.reshape(q * points, -1)
    drawn_theta = (best.drawn - model.offset).reshape(len(best.drawn), -1) @ weights.T
    drawn = model.constant + np.einsum("atk,dk->dat", model.rules, drawn_theta)
    return Rules(
        model=model,
        theta=theta,
        drawn_theta=drawn_theta,
        lines=model.constant + model.rules @ theta,
        drawn=drawn,
        values=model.offset + (rows @ theta).reshape(q, points),
        drawn_values=model.offset + (drawn_theta @ rows.T).reshape(-1, q, points),
        covariance=rows @ spread @ rows.T,
        scatter=_scatter(best, model, theta),
        tested=tested,
    )


def weights_of(covariance: Array, rows: Array) -> tuple[Array, Array]:
    """Of generalised least squares: theta = weights y, (k, n), and the covariance of theta, (k, k)."""
    size = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    inverse = np.linalg.pinv(covariance / np.outer(size, size), hermitian=True) / np.outer(size, size)
    spread = np.linalg.pinv(rows.T @ inverse @ rows, hermitian=True)
    return spread @ rows.T @ inverse, spread


def _solve(best: BestValues, model: RuleModel) -> tuple[Array, Array, Array]:
    """theta (k,), its covariance (k, k), and the weights (k, q * points), 0 for values that are not usable."""
    usable = np.flatnonzero(best.usable.reshape(-1))
    rows = model.rows.reshape(best.y.size, -1)
    weights = np.zeros((len(model.names), best.y.size))
    weights[:, usable], spread = weights_of(best.covariance[np.ix_(usable, usable)], rows[usable])
    return weights @ (best.y - model.offset).reshape(-1), spread, weights


def _scatter(best: BestValues, model: RuleModel, theta: Array) -> Array:
    """Birge's ratio by axis, (q,): root of chi-squared of its own residuals over their expectation."""
    q, points = best.y.shape
    usable = np.flatnonzero(best.usable.reshape(-1))
    rows = model.rows.reshape(q * points, -1)[usable]
    covariance = best.covariance[np.ix_(usable, usable)]
    _, spread = weights_of(covariance, rows)
    left = (best.y - model.offset).reshape(-1)[usable] - rows @ theta
    expected = covariance - rows @ spread @ rows.T
    found = np.full(q, np.nan)
    for a in range(q):
        mine = np.flatnonzero((usable >= a * points) & (usable < (a + 1) * points))
        terms = sum(name == best.axes[a] and term != CONST for name, term in model.names) + 1
        if len(mine) <= terms:
            continue
        variance = np.diag(covariance)[mine]
        share = float(np.sum(np.diag(expected)[mine] / variance))
        if share > 0.1:
            found[a] = np.sqrt(float(np.sum(left[mine] ** 2 / variance)) / share)
    return found
