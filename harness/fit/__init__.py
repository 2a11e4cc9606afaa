"""Approaches 1, 2 and 3 on a table of runs, with uncertainty: a table in, typed results out.

from harness.fit import read_points, fit_points
fit = fit_points(read_points("runs.csv"))
print(fit.summary())
fit.predict(1e21)["approach_3"].params_interval
"""

from harness.fit.curves import Curves
from harness.fit.estimate import OptimumEstimate
from harness.fit.fitted import Fit
from harness.fit.laws import CostLaw, LossLaw, PowerLaw
from harness.fit.options import FitOptions
from harness.fit.pipeline import fit_points
from harness.fit.read.curve_files import read_curves
from harness.fit.read.names import ColumnNames
from harness.fit.reader import read_points, read_published
from harness.fit.results import (
    Agreement,
    Approach1,
    Approach2,
    Approach3,
    Backtest,
    BacktestRow,
    BudgetOptimum,
    CountingRow,
    FitError,
    FormComparison,
    FormFit,
)
from harness.fit.store import load_fit, write_fit
from harness.fit.summary import summary
from harness.fit.table import Curve, Excluded, Points

# Earlier names of these two.
Comparison = FormComparison
Prediction = OptimumEstimate

__all__ = [
    "Agreement",
    "Approach1",
    "Approach2",
    "Approach3",
    "Backtest",
    "BacktestRow",
    "BudgetOptimum",
    "ColumnNames",
    "Comparison",
    "CostLaw",
    "CountingRow",
    "Curve",
    "Curves",
    "Excluded",
    "Fit",
    "FitError",
    "FitOptions",
    "FormComparison",
    "FormFit",
    "LossLaw",
    "OptimumEstimate",
    "Points",
    "PowerLaw",
    "Prediction",
    "fit_points",
    "load_fit",
    "read_curves",
    "read_points",
    "read_published",
    "summary",
    "write_fit",
]
