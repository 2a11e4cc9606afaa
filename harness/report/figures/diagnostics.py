"""Diagnostics of the fits: residuals against N, D and C, and the curvature of the frontier in log-log."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit.table import Array
from harness.report.axes import error_arms, log_counts, log_flops, log_plain, mark_not_bounded
from harness.report.data import MissingError, ReportData, members
from harness.report.style import APPROACH_COLOURS, BLUE, GREEN, GREY, INK, colour_bar, log_colours, panels
from harness.report.text import significant

COLUMNS = (("params", "parameters N"), ("tokens", "tokens D"), ("flops", "compute C (FLOPs)"))


def draw_residuals(data: ReportData) -> Figure:
    """One row an approach. A trend along an axis is structure that the fit has missed; scatter is noise."""
    rows = [
        (name, label, residual)
        for name, label, residual in (
            ("approach_3", "Approach 3 (law)", law_residuals(data)),
            ("approach_2", "Approach 2 (profiles)", profile_residuals(data)),
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
            x = getattr(data.points, attribute)
            one.plot(x, 100 * residual, "o", color=APPROACH_COLOURS[name], markersize=3, alpha=0.75)
            one.axhline(0, color=INK, linewidth=0.7)
            _trend(one, x, 100 * residual)
            one.set(ylim=(-limit, limit), xlabel=axis)
            (log_flops if attribute == "flops" else lambda a: log_counts(a, "x"))(one)
        axes[3 * row].set_ylabel("measured / fitted − 1 (%)")
        spread = float(np.sqrt(np.nanmean(residual**2)))
        axes[3 * row].set_title(f"{label}: {significant(100 * spread, 2)}% r.m.s.")
    return figure


def draw_predicted(data: ReportData) -> Figure:
    """Fitted against measured loss of every run: one panel for each approach that gives the loss of a run."""
    measured = data.points.loss
    parts = [
        (label, measured * np.exp(-residual))
        for label, residual in (
            ("Approach 3 (law)", law_residuals(data)),
            ("Approach 2 (profiles)", profile_residuals(data)),
        )
        if residual is not None
    ]
    if not parts:
        raise MissingError("neither approach 2 nor approach 3 has a fit")
    figure, axes = panels(len(parts), width=4.0, height=3.6)
    every = np.concatenate([measured, *(fitted[np.isfinite(fitted)] for _, fitted in parts)])
    margin = 0.04 * float(np.ptp(every)) or 0.01
    low, high = float(every.min()) - margin, float(every.max()) + margin
    for one, (label, fitted) in zip(axes, parts, strict=True):
        known = np.isfinite(fitted)
        one.plot((low, high), (low, high), "-", color=GREY, linewidth=0.9, zorder=1)
        colours = log_colours(data.points.flops[known].tolist())
        one.scatter(measured[known], fitted[known], c=colours, s=14, zorder=2)
        error = significant(100 * float(np.sqrt(np.mean(np.log(measured[known] / fitted[known]) ** 2))), 2)
        one.set(xlim=(low, high), ylim=(low, high), xlabel="measured loss (nats per token)")
        one.set_title(f"{label}: {error}% r.m.s. of {int(known.sum())} runs")
        one.set_aspect("equal")
    axes[0].set_ylabel("fitted loss (nats per token)")
    colour_bar(axes[-1], data.points.flops.tolist(), "C", flops=True)
    return figure


def law_residuals(data: ReportData) -> Array | None:
    """ln(measured / fitted) of approach 3, shape (runs,); None where it has no fit."""
    law = data.fit.approach_3
    if law.theta() is None:
        return None
    return np.asarray(np.log(data.points.loss / law.fitted(data.points)))


def profile_residuals(data: ReportData) -> Array | None:
    """ln(measured / fitted) of approach 2's profiles in N; NaN for runs of no profile."""
    points = data.points
    residual = np.full(len(points), np.nan)
    for budget in data.fit.approach_2.budgets:
        if budget.params_profile is None:
            continue
        rows = members(points, budget)
        x = np.log(points.params[rows]) - budget.params_profile.centre
        fitted = np.polynomial.polynomial.polyval(x, budget.params_profile.coefficients)
        residual[rows] = np.log(points.loss[rows] / fitted)
    return residual if np.isfinite(residual).any() else None


def _trend(axes: Axes, x: Array, y: Array) -> None:
    """Means of a few groups of equal size: a trend is hard to see in single points."""
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


# Title, colour, C, N* over the power law, and error bars (2, points) or None.
Part = tuple[str, str, Array, Array, Array | None]

MIN_BUDGETS = 4
SHOWN = 400


def draw_curvature(data: ReportData) -> Figure:
    """N* over the power law fitted to it, for approach 2's minima and for approach 1's envelope.

    Hoffmann et al. 2022, Appendix E, looks at the same in their Fig. A5 by fitting thirds of the envelope.
    """
    minima = _minima(data)
    envelope = _envelope(data)
    if minima is None and envelope is None:
        raise MissingError(
            f"bending cannot be seen with fewer than {MIN_BUDGETS} minima, and approach 1 has no envelope"
        )
    shown = [part for part in (minima, envelope) if part is not None]
    figure, axes = panels(len(shown), width=4.5, height=3.3)
    for one, (title, colour, flops, value, bars) in zip(axes, shown, strict=True):
        one.axhline(1, color=INK, linewidth=0.7)
        log_c, log_v = np.log(flops), np.log(value)
        if bars is None:
            keep = np.unique(np.linspace(0, len(flops) - 1, SHOWN).astype(int))
            one.plot(flops[keep], value[keep], ".", color=colour, markersize=3, alpha=0.6)
        else:
            one.errorbar(flops, value, yerr=bars, fmt="o", color=colour, markersize=5, capsize=2.5)
            bounds = {b.budget: b.params_interval for b in data.fit.approach_2.budgets}
            for c_at, v_at in zip(flops, value, strict=True):
                mark_not_bounded(one, c_at, v_at, bounds[c_at])
        bend = np.polyfit(log_c - log_c.mean(), log_v, 2)
        c = np.geomspace(flops.min(), flops.max(), 100)
        one.plot(c, np.exp(np.polyval(bend, np.log(c) - log_c.mean())), "--", color=INK, linewidth=1)
        low, high = (2 * bend[0] * (edge - log_c.mean()) + bend[1] for edge in (log_c.min(), log_c.max()))
        exponent = data.fit.approach_2.a if bars is not None else data.fit.approach_1.a
        assert exponent is not None
        one.set_title(f"{title}: local a from {exponent + low:.3f} to {exponent + high:.3f}")
        one.set(xlabel="training compute C (FLOPs)", ylabel="N* / power law")
        _frame(one, value, bars)
        log_flops(one)
    return figure


def _minima(data: ReportData) -> Part | None:
    law = data.fit.approach_2.params_law
    found = [b for b in data.fit.approach_2.budgets if b.params_opt is not None]
    if law is None or len(found) < MIN_BUDGETS:
        return None
    flops = np.array([b.budget for b in found])
    line = law.coefficient * flops**law.exponent
    value = np.array([b.params_opt or np.nan for b in found]) / line
    arms = [error_arms(b.params_opt or np.nan, b.params_interval) or [0.0, 0.0] for b in found]
    bars = np.abs(np.array(arms).T / line)
    return "Approach 2's minima", BLUE, flops, value, bars


def _envelope(data: ReportData) -> Part | None:
    approach = data.fit.approach_1
    if approach.params_law is None or approach.envelope is None or len(approach.envelope) < 10:
        return None
    flops, params = approach.envelope[:, 0], approach.envelope[:, 1]
    line = approach.params_law.coefficient * flops**approach.params_law.exponent
    return "Approach 1's envelope", GREEN, flops, params / line, None


def _frame(axes: Axes, value: Array, bars: Array | None) -> None:
    """The same reach above and below 1."""
    low = float(np.min(value - (bars[0] if bars is not None else 0)))
    high = float(np.max(value + (bars[1] if bars is not None else 0)))
    reach = max(high, 1 / max(low, 1e-2), 1.1) * 1.05
    axes.set_ylim(1 / reach, reach)
    log_plain(axes, "y")
