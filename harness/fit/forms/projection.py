"""Variable projection: for given exponents the law is linear in its levels, so the search is over exponents alone."""

import numpy as np
from scipy.optimize import least_squares, nnls

from harness.errors import UserError
from harness.fit.forms.data import Data
from harness.fit.forms.descent import Misfit
from harness.fit.forms.model import Bound
from harness.fit.huber import huber_sum
from harness.fit.table import Array

START_EXPONENTS = (0.15, 0.35, 0.7, 1.2)
STARTS = 5
SMALLEST, LARGEST = 1e-3, 10.0  # exponents that are searched
ROUNDS = 60  # of reweighting, for a loss that is not the square
SETTLED = 1e-10


def project(exponents: Array, data: Data, weights: Array) -> tuple[Array, Array]:
    """The best E, A', B' >= 0 of the standard law for given (alpha, beta), by relative residuals L_hat / L - 1.

    Returns: the three coefficients, and the weighted residuals (n,).
    """
    columns = (np.ones_like(data.x), np.exp(-exponents[0] * data.x), np.exp(-exponents[1] * data.y))
    return _levels(np.stack(columns, axis=1), np.exp(data.log_loss), weights / np.exp(2 * data.log_loss))


def standard_starts(data: Data, weights: Array, delta: float, count: int = STARTS) -> list[Array]:
    """Where to start: (ln E, ln A', ln B', alpha, beta) on a small grid of exponents, the lowest sums first."""
    found: list[tuple[float, Array]] = []
    for alpha in START_EXPONENTS:
        for beta in START_EXPONENTS:
            coefficients, _ = project(np.array((alpha, beta)), data, weights)
            e, a, b = np.log(np.maximum(coefficients, 1e-3 * np.exp(data.log_loss.min())))
            terms = np.exp(e) + np.exp(a - alpha * data.x) + np.exp(b - beta * data.y)
            residual = np.log(terms) - data.log_loss
            found.append((float(huber_sum(residual, delta, weights)), np.array((e, a, b, alpha, beta))))
    found.sort(key=lambda item: item[0])
    return [theta for _, theta in found[:count]]


def solve_by_projection(
    bound: Bound, data: Data, misfit: Misfit, weights: Array, starts: list[Array]
) -> Array:
    """Free parameters (q,) of the minimum, by variable projection (Czech et al. 2026, arXiv 2603.22339, propose it).

    With Huber's loss or absolute deviations the projection is repeated under weights min(1, delta / |r|), until they
    settle.

    Args:
        misfit: of relative or absolute residuals, in which the levels are linear; others are refused.
        starts: free parameters to start from, (q,) each.

    Raises:
        UserError: the form is not linear in its levels, or residuals are logarithmic.
    """
    model = bound.model
    form = model.form.columns
    if model.slopes or "kappa" not in form or dict(model.fixed).get("kappa") != 1.0:
        raise UserError(
            f"analysis.solver=varpro: form {model.name} is not linear in its levels; use analysis.solver=lbfgs"
        )
    if misfit.residual == "log":
        raise UserError("analysis.solver=varpro: needs residual=relative or residual=absolute")
    exponents, levels = ["alpha", "beta"], ["E", "A", "B"]
    fixed = dict(model.fixed)
    leader = {name: name for name in exponents}
    for one, other in model.tied:
        if one not in leader or other not in leader:
            raise UserError("analysis.solver=varpro: ties exponents only; use analysis.solver=lbfgs")
        leader[other] = leader[one]
    searched = [name for name in exponents if leader[name] == name and name not in fixed]
    measured = np.exp(data.log_loss)
    scale = measured if misfit.residual == "relative" else np.ones_like(measured)

    def values(logs: Array) -> dict[str, float]:
        own = dict(zip(searched, np.exp(logs).tolist(), strict=True))
        return {
            name: fixed.get(name, fixed.get(leader[name], own.get(leader[name], 0.0))) for name in exponents
        }

    def fitted(logs: Array, heavy: Array) -> tuple[Array, Array]:
        """The levels about the means, and the residuals, weighted."""
        by = values(logs)
        columns = _columns(by, data)
        known, free = np.zeros(len(measured)), []
        given = np.zeros(len(levels))
        for i, name in enumerate(levels):
            if name in fixed:
                given[i] = fixed[name] * np.exp(-_mean_exponent(name, by, data))
                known += given[i] * columns[:, i]
            else:
                free.append(i)
        found, residual = _levels(columns[:, free], measured - known, heavy / scale**2)
        given[free] = found
        return given, residual

    heavy, best = weights, None
    start = [np.log(np.maximum(_natural(bound, phi, searched), SMALLEST)) for phi in starts]
    for _ in range(ROUNDS):
        tried = []
        for logs in start:
            if not searched:
                tried.append((0.0, logs))
                continue
            found = least_squares(
                lambda u, w=heavy: fitted(u, w)[1],
                np.clip(logs, np.log(SMALLEST) + 1e-6, np.log(LARGEST) - 1e-6),
                bounds=(np.log(SMALLEST), np.log(LARGEST)),
                xtol=1e-14,
                ftol=1e-14,
                gtol=1e-14,
            )
            tried.append((float(found.cost), found.x))
        best = min(tried, key=lambda pair: pair[0])[1]
        start = [best]
        given, _ = fitted(best, heavy)
        residual = (_columns(values(best), data) @ given - measured) / scale
        again = weights * np.minimum(1.0, misfit.delta / np.maximum(np.abs(residual), 1e-300))
        if np.allclose(again, heavy, rtol=SETTLED, atol=0):
            break
        heavy = again
    assert best is not None
    given, _ = fitted(best, heavy)
    return bound.nearest(_coordinates(bound, given, values(best), levels))


def _columns(by: dict[str, float], data: Data) -> Array:
    """The terms at levels of 1, (n, levels)."""
    columns = (np.ones_like(data.x), np.exp(-by["alpha"] * data.x), np.exp(-by["beta"] * data.y))
    return np.stack(columns, axis=1)


def _mean_exponent(level: str, by: dict[str, float], data: Data) -> float:
    """ln of a level over what it is about the means."""
    return {"E": 0.0, "A": by["alpha"] * data.mean_x, "B": by["beta"] * data.mean_y}[level]


def _levels(design: Array, target: Array, weights: Array) -> tuple[Array, Array]:
    """Levels that are not negative, by weighted least squares, and the weighted residuals (n,)."""
    root = np.sqrt(weights)
    if not design.shape[1]:
        return np.empty(0), -root * target
    scaled = design * root[:, None]
    coefficients = np.linalg.lstsq(scaled, root * target, rcond=None)[0]
    if (coefficients < 0).any():
        coefficients = nnls(scaled, root * target)[0]
    return np.asarray(coefficients), np.asarray(scaled @ coefficients - root * target)


def _natural(bound: Bound, phi: Array, names: list[str]) -> Array:
    found = dict(zip(bound.model.columns, bound.natural(phi), strict=True))
    return np.array([found[name] for name in names])


def _coordinates(bound: Bound, given: Array, by: dict[str, float], levels: list[str]) -> Array:
    """Coordinates (k,) about the table's means."""
    logs = dict(zip(levels, np.log(np.maximum(given, 1e-300)), strict=True))
    return np.array([logs.get(name, by.get(name, 0.0)) for name in bound.model.form.columns])
