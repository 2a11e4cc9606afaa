"""From optima at several budgets to N*(C), D*(C) and L*(C), for many bootstrap draws at once.

What approaches 1 and 2 share: power laws as straight lines through logs, and a loss law that falls to a floor.
"""

from typing import Any

import numpy as np

from harness.fit.bootstrap import percentile_interval, standard_error
from harness.fit.laws import LARGEST_LOG, LossLaw, PowerLaw
from harness.fit.status import Flag
from harness.fit.table import Array

EXPONENTS = np.geomspace(0.01, 2.0, 60)
# Three parameters need three budgets: the law then goes through the minima, and its draws show how little they say.
BUDGETS_FOR_FLOOR = 3


def fit_power(log_c: Array, log_y: Array) -> tuple[Array, Array]:
    """Least squares of ln y = intercept + slope ln C over the last axis.

    Args:
        log_c: (m,) or (draws, m). log_y: (..., m); entries that are not finite are left out.

    Returns: (intercept, slope), each (...); NaN where fewer than two different C are left.
    """
    log_c, log_y = np.broadcast_arrays(log_c, log_y)
    seen = np.isfinite(log_y) & np.isfinite(log_c)
    n = seen.sum(axis=-1)
    with np.errstate(all="ignore"):
        mean_c = np.where(seen, log_c, 0).sum(axis=-1) / n
        mean_y = np.where(seen, log_y, 0).sum(axis=-1) / n
        off_c = np.where(seen, log_c - mean_c[..., None], 0)
        off_y = np.where(seen, log_y - mean_y[..., None], 0)
        square = (off_c**2).sum(axis=-1)
        slope = np.where(square > 1e-12, (off_c * off_y).sum(axis=-1) / square, np.nan)
        return mean_y - slope * mean_c, slope


def fit_loss_law(log_c: Array, loss: Array) -> Array:
    """L*(C) = floor + scale C^-exponent for each draw, as rows (floor, ln scale, exponent), shape (draws, 3).

    For a given exponent the law is linear, so the exponent is searched on a grid that is then refined; the
    floor is held at zero or above. With fewer than three budgets none can be seen: it is zero. (Held at zero with
    three, as a straight line in logs, forecasts at twice the largest budget held the truth in .25 of their 90%
    intervals and at ten times in none; with a floor in .94 and .93.)

    Args:
        log_c: (m,). loss: (draws, m); NaN entries are left out.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        intercept, slope = fit_power(log_c, np.log(loss))
    plain = np.stack((np.zeros_like(slope), intercept, -slope), axis=-1)
    if len(np.unique(log_c)) < BUDGETS_FOR_FLOOR:
        return plain
    x = log_c - log_c.mean()
    grid = np.broadcast_to(EXPONENTS, (len(loss), len(EXPONENTS)))
    ratio = EXPONENTS[1] / EXPONENTS[0]
    for _ in range(9):
        error = np.stack([_linear(x, loss, grid[:, j])[2] for j in range(grid.shape[1])], axis=1)
        best = np.take_along_axis(
            grid, np.nanargmin(np.where(np.isnan(error), np.inf, error), axis=1)[:, None], 1
        )
        grid = best * ratio ** np.linspace(-1, 1, 9)[None, :]
        ratio **= 0.3
    floor, scale, _ = _linear(x, loss, best[:, 0])
    with np.errstate(all="ignore"):
        law = np.stack((floor, np.log(scale) + best[:, 0] * log_c.mean(), best[:, 0]), axis=-1)
    enough = np.isfinite(loss).sum(axis=1) >= BUDGETS_FOR_FLOOR
    return np.where((enough & np.isfinite(law).all(axis=1))[:, None], law, plain)


def loss_law(row: Array) -> LossLaw | None:
    """A row of ``fit_loss_law`` as a result; None where it is not finite or no float can hold its scale."""
    if not np.isfinite(row).all() or abs(row[1]) > LARGEST_LOG:
        return None
    return LossLaw(floor=float(row[0]), scale=float(np.exp(row[1])), exponent=float(row[2]))


def _linear(x: Array, loss: Array, exponent: Array) -> tuple[Array, Array, Array]:
    """(floor, scale, squared error) of loss = floor + scale exp(-exponent x), floor >= 0, for each draw."""
    basis = np.exp(-exponent[:, None] * x)
    seen = np.isfinite(loss)
    basis, target = np.where(seen, basis, 0), np.where(seen, loss, 0)
    n = seen.sum(axis=1)
    with np.errstate(all="ignore"):
        mean_b, mean_l = basis.sum(axis=1) / n, target.sum(axis=1) / n
        off = np.where(seen, basis - mean_b[:, None], 0)
        scale = (off * target).sum(axis=1) / (off**2).sum(axis=1)
        floor = mean_l - scale * mean_b
        through_zero = (basis * target).sum(axis=1) / (basis**2).sum(axis=1)
    held = (floor < 0) | (scale <= 0)
    scale = np.where(held, through_zero, scale)
    floor = np.where(held, 0.0, floor)
    error = np.where(seen, target - floor[:, None] - scale[:, None] * basis, 0)
    return floor, scale, (error**2).sum(axis=1)


def fit_frontier(log_c: Array, log_n: Array, log_d: Array, loss: Array) -> Array:
    """Power laws through optima, one row of ``Approach.draw_columns`` a draw, shape (draws, 7).

    Args:
        log_c: (m,). log_n, log_d, loss: (draws, m); NaN where a draw has no optimum at a budget.
    """
    return np.column_stack((*fit_power(log_c, log_n), *fit_power(log_c, log_d), fit_loss_law(log_c, loss)))


def frontier_fields(row: Array, draws: Array | None, level: float) -> dict[str, Any]:
    """The fields of a PowerApproach from its point estimate, a row (7,), and its draws (draws, 7)."""
    with np.errstate(over="ignore"):  # an approach with a coefficient that is infinite has no answer
        laws = [PowerLaw(float(np.exp(row[k])), float(row[k + 1])) for k in (0, 2)]
    fields: dict[str, Any] = {
        "a": float(row[1]),
        "b": float(row[3]),
        "params_law": laws[0],
        "tokens_law": laws[1],
        "loss_law": loss_law(row[4:]),
        "draws": draws,
    }
    if draws is not None and len(draws):
        for name, column in (("a", draws[:, 1]), ("b", draws[:, 3])):
            fields[f"{name}_se"] = standard_error(column)
            fields[f"{name}_interval"] = percentile_interval(column, level)
    return fields


def frontier_flags(row: Array, draws: Array | None) -> list[Flag]:
    """What a power-law frontier alone can tell against itself."""
    flags = []
    if row[1] <= 0 or row[3] <= 0:
        flags.append(
            Flag("negative_exponent", f"a = {row[1]:.3f}, b = {row[3]:.3f}: one of them does not grow")
        )
    if draws is None or not len(draws):
        flags.append(Flag("no_interval", "no bootstrap draws: none were asked for, or a minimum has none"))
    else:
        lost = 1 - np.isfinite(draws[:, :4]).all(axis=1).mean()
        if lost > 0.05:
            flags.append(Flag("unstable", f"{lost:.0%} of the bootstrap draws have no frontier"))
    return flags
