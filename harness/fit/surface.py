"""The parametric law as a function: its loss, and the optimum along a compute budget, in closed form."""

import numpy as np

from harness.fit.results import CostLaw
from harness.fit.status import Flag
from harness.fit.table import Array, Points

MISFIT = 0.05


def loss(theta: Array, log_n: Array, log_d: Array) -> Array:
    """L = E + A/N^alpha + B/D^beta for theta (E, A, B, alpha, beta) on the last axis."""
    E, A, B, alpha, beta = np.moveaxis(np.asarray(theta, dtype=float), -1, 0)
    return E + A * np.exp(-alpha * log_n) + B * np.exp(-beta * log_d)


def frontier(theta: Array, flops: float, cost: CostLaw) -> tuple[Array, Array, Array]:
    """(ln N*, ln D*, L*) at C = ``flops`` for theta (..., 5), each of shape (...).

    Minimises the law subject to C = kappa N^p D. The constraint turns the stationary point into
    alpha A N^-alpha = p beta B D^-beta, so N* = G (C/kappa)^a with a = beta / (alpha + p beta) and
    G = (alpha A / (p beta B))^(1 / (alpha + p beta)); for kappa = 6, p = 1 this is equation 4 of
    Hoffmann et al. 2022, section 3.3.
    """
    E, A, B, alpha, beta = np.moveaxis(np.asarray(theta, dtype=float), -1, 0)
    p, log_c = cost.power, np.log(flops / cost.kappa)
    # A draw without an optimum (an exponent below zero) comes out as NaN, which callers count.
    with np.errstate(all="ignore"):
        log_n = (np.log(alpha * A / (p * beta * B)) + beta * log_c) / (alpha + p * beta)
        log_d = log_c - p * log_n
        return log_n, log_d, E + A * np.exp(-alpha * log_n) + B * np.exp(-beta * log_d)


def exponents(theta: Array, cost: CostLaw) -> tuple[Array, Array]:
    """(a, b) of N* and D* along the budget, for theta (..., 5)."""
    alpha, beta = np.asarray(theta)[..., 3], np.asarray(theta)[..., 4]
    scale = alpha + cost.power * beta
    return beta / scale, alpha / scale


def cost_law(points: Points) -> CostLaw:
    """How the table's compute follows from N and D: least squares of ln(C/D) on ln N.

    Tokens enter exactly once (compute is FLOPs a token times tokens), so only the power of N is fitted. Where
    the counts are a constant multiple of ND to a part in a thousand, or all runs have one size, it is 1.
    """
    log_n = np.log(points.params)
    log_ratio = np.log(points.flops / points.tokens) - log_n
    least = float(np.exp(log_ratio.min()))
    if np.ptp(log_ratio) < 1e-3 or np.ptp(log_n) < 1e-3:
        return CostLaw(kappa=float(np.exp(log_ratio.mean())), power=1.0, least=least)
    slope, intercept = np.polyfit(log_n, log_ratio, 1)
    off = np.abs(np.expm1(log_ratio - intercept - slope * log_n)).max()
    return CostLaw(kappa=float(np.exp(intercept)), power=float(1 + slope), misfit=float(off), least=least)


def cost_flags(cost: CostLaw) -> list[Flag]:
    """A doubt where compute is no power law of N: budgets are then met to within the misfit only."""
    if cost.misfit <= MISFIT:
        return []
    return [
        Flag(
            "approximate_cost",
            f"the runs' compute differs from a power law in N times D by up to {cost.misfit:.0%}",
        )
    ]
