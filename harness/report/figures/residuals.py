"""What the fits leave over: residuals of the law and of the profiles against N, D and C."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit.table import Array
from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.style import APPROACH_COLOURS, GREY, INK, log_counts, log_flops, panels
from harness.report.text import significant

COLUMNS = (("params", "parameters N"), ("tokens", "tokens D"), ("flops", "compute C (FLOPs)"))


def draw(material: Material) -> Figure:
    """One row an approach. A trend along an axis is structure that the fit has missed; scatter is noise."""
    rows = [
        (name, label, residual)
        for name, label, residual in (
            ("approach_3", "Approach 3 (law)", law_residuals(material)),
            ("approach_2", "Approach 2 (profiles)", profile_residuals(material)),
        )
        if residual is not None
    ]
    if not rows:
        raise MissingError("neither approach 2 nor approach 3 has a fit")
    figure, axes = panels(3, width=3.3, height=2.3, rows=len(rows))
    for row, (name, label, residual) in enumerate(rows):
        limit = 1.15 * float(np.nanmax(np.abs(residual))) * 100
        for column, (attribute, axis) in enumerate(COLUMNS):
            one = axes[3 * row + column]
            x = getattr(material.points, attribute)
            one.plot(x, 100 * residual, "o", color=APPROACH_COLOURS[name], markersize=3, alpha=0.75)
            one.axhline(0, color=INK, linewidth=0.7)
            _trend(one, x, 100 * residual)
            one.set(ylim=(-limit, limit), xlabel=axis)
            (log_flops if attribute == "flops" else lambda a: log_counts(a, "x"))(one)
        axes[3 * row].set_ylabel("measured / fitted − 1 (%)")
        spread = float(np.sqrt(np.nanmean(residual**2)))
        axes[3 * row].set_title(f"{label}: {significant(100 * spread, 2)}% r.m.s.")
    return figure


def law_residuals(material: Material) -> Array | None:
    """ln(measured / fitted) of approach 3, shape (runs,); None where it has no fit."""
    law = material.fit.approach_3
    if law.theta() is None:
        return None
    return np.asarray(np.log(material.points.loss / law.loss(material.points.params, material.points.tokens)))


def profile_residuals(material: Material) -> Array | None:
    """ln(measured / fitted) of approach 2's profiles in N; NaN for runs of no profile."""
    points = material.points
    residual = np.full(len(points), np.nan)
    index = {run: i for i, run in enumerate(points.run_id)}
    for budget in material.fit.approach_2.budgets:
        if budget.params_profile is None:
            continue
        members = [index[run] for run in budget.run_ids if run in index]
        x = np.log(points.params[members]) - budget.params_profile.centre
        fitted = np.polynomial.polynomial.polyval(x, budget.params_profile.coefficients)
        residual[members] = np.log(points.loss[members] / fitted)
    return residual if np.isfinite(residual).any() else None


def _trend(axes: Axes, x: Array, y: Array) -> None:
    """Means of a few groups of equal size: the eye is bad at averaging."""
    seen = np.flatnonzero(np.isfinite(y))
    if len(seen) < 12:
        return
    order = seen[np.argsort(x[seen], kind="stable")]
    parts = np.array_split(order, min(6, len(order) // 4))
    axes.plot(
        [float(np.exp(np.log(x[part]).mean())) for part in parts],
        [float(y[part].mean()) for part in parts],
        "-",
        color=GREY,
        linewidth=1.2,
    )
