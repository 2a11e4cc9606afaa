"""From optima at several budgets to N*(C), D*(C) and L*(C): what approaches 1 and 2 share."""

from typing import Any

import numpy as np

from harness.fit.bootstrap import standard_error
from harness.fit.powerlaw import fit_loss_law, fit_power, loss_law
from harness.fit.predict import percentiles
from harness.fit.results import PowerLaw
from harness.fit.status import Flag
from harness.fit.table import Array


def fit_frontier(log_c: Array, log_n: Array, log_d: Array, loss: Array) -> Array:
    """Power laws through optima, one row of ``Approach.draw_columns`` a draw, shape (draws, 7).

    Args:
        log_c: (m,). log_n, log_d, loss: (draws, m); NaN where a draw has no optimum at a budget.
    """
    return np.column_stack((*fit_power(log_c, log_n), *fit_power(log_c, log_d), fit_loss_law(log_c, loss)))


def frontier_fields(row: Array, draws: Array | None, level: float) -> dict[str, Any]:
    """The fields of a PowerApproach from its point estimate, a row (7,), and its draws (draws, 7)."""
    fields: dict[str, Any] = {
        "a": float(row[1]),
        "b": float(row[3]),
        "params_law": PowerLaw(float(np.exp(row[0])), float(row[1])),
        "tokens_law": PowerLaw(float(np.exp(row[2])), float(row[3])),
        "loss_law": loss_law(row[4:]),
        "draws": draws,
    }
    if draws is not None and len(draws):
        for name, column in (("a", draws[:, 1]), ("b", draws[:, 3])):
            fields[f"{name}_se"] = standard_error(column)
            fields[f"{name}_interval"] = percentiles(column, level)
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
