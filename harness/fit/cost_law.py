"""How the compute of a table's runs follows from N and D, and where that law is not to be trusted."""

import numpy as np

from harness.fit.laws import LARGEST_LOG, CostLaw
from harness.fit.status import Flag
from harness.fit.table import Points

MISFIT = 0.05
LEAST_COST = 6.0
ROUNDING = 0.999


def fit_cost_law(points: Points) -> CostLaw:
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
    if abs(intercept) > LARGEST_LOG:  # compute that sizes close together do not explain: kappa is no number
        slope, intercept = 0.0, log_ratio.mean()
    off = np.abs(np.expm1(log_ratio - intercept - slope * log_n)).max()
    return CostLaw(kappa=float(np.exp(intercept)), power=float(1 + slope), misfit=float(off), least=least)


def cost_flags(cost: CostLaw) -> list[Flag]:
    """The warning where compute is no power law of N: budgets are then met to within the misfit only."""
    if cost.misfit <= MISFIT:
        return []
    return [
        Flag(
            "approximate_cost",
            f"the runs' compute differs from a power law in N times D by up to {cost.misfit:.0%}",
        )
    ]


def least_cost(cost: CostLaw) -> float:
    """C/(ND) that no model is expected to fall below: 6, or what the table's own runs have."""
    return LEAST_COST if cost.least is None else min(LEAST_COST, cost.least)


def below_6nd(cost: CostLaw, params: float) -> list[Flag]:
    """The warning that a cost law fitted to small models falls below what any model of that size takes.

    C/(ND) falls towards 6 as models grow, since embedding, head and attention weigh less and less (Hoffmann et al.
    2022, Table A4); a power law fitted on the way falls on. Where a table's own runs are below 6, theirs is the bound.
    """
    per_pair, bound = cost.kappa * params ** (cost.power - 1), least_cost(cost)
    if cost.power == 1 or per_pair >= bound * ROUNDING:
        return []
    return [
        Flag(
            "approximate_cost",
            f"at N = {params:.3g} the cost law has fallen to {per_pair:.2f}ND, below {bound:.3g}ND: N* and D* would "
            f"cost {bound / per_pair - 1:.0%} more than C, or more",
        )
    ]
