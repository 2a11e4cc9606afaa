"""Residuals of the fits against N, D, C and D/N with the verdict of their tests, and fitted against measured loss."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit.misfit import ROUNDING
from harness.fit.results import Approach
from harness.fit.table import Array, Points
from harness.report.axes import log_counts, log_flops, log_plain
from harness.report.data import MissingError, ReportData, members
from harness.report.figure_data import named
from harness.report.keys import key_below, set_title
from harness.report.style import APPROACH_COLOURS, GREY, INK, colour_bar, log_colours, panels
from harness.report.text import plain_status, significant, typeset

AXES = {
    "params": "parameters N",
    "tokens": "tokens D",
    "flops": "compute C (FLOPs)",
    "ratio": "tokens per parameter D/N",
}
# What the tests of residuals find: of the law's form, of noise that runs share, of scatter between seeds.
TESTED = ("misfit", "shared_noise", "lack_of_fit")
# Times the 95% quantile of the residuals, beyond which one is drawn at the edge.
OUTLYING = 4.0
NAMES = {"approach_3": "Approach 3 (law)", "approach_2": "Approach 2 (profiles)"}


def draw_residuals(data: ReportData) -> Figure:
    """One row an approach. A trend along an axis is structure that the fit has missed; scatter is noise."""
    rows = _residuals(data)
    figure, axes = panels(4, width=2.6, height=2.5, rows=len(rows))
    cut = False
    for row, (name, residual) in enumerate(rows.items()):
        percent = 100 * residual[np.isfinite(residual)]
        limit = reach(percent)
        cut = cut or bool((np.abs(percent) > limit).any())
        for one, (attribute, label) in zip(axes[4 * row : 4 * row + 4], AXES.items(), strict=True):
            _panel(one, _along(data.points, attribute)[np.isfinite(residual)], percent, limit, name)
            one.set(ylim=(-limit, limit), xlabel=label)
            if attribute == "flops":
                log_flops(one)
            elif attribute == "ratio":
                log_plain(one, "x")
            else:
                log_counts(one, "x")
        for one in axes[4 * row + 1 : 4 * row + 4]:
            one.tick_params(labelleft=False)
        axes[4 * row].set_ylabel("measured / fitted − 1 (%)")
        spread = significant(float(np.sqrt(np.mean(percent**2))), 2)
        approach = data.fit.approach_3 if name == "approach_3" else data.fit.approach_2
        # Across the row: the sentence is longer than a panel is wide.
        set_title(axes[4 * row], f"{NAMES[name]}: {spread}% r.m.s. {residual_verdict(approach)}", columns=4)
    if cut:
        axes[0].plot([], [], "^", color=GREY, markersize=4, label="beyond the panel")
    key_below(figure)
    return figure


def reach(values: Array) -> float:
    """How far a panel reaches: to all of ``values``, unless a few lie so far off that the others would be a line."""
    furthest, most = float(np.abs(values).max()), float(np.quantile(np.abs(values), 0.95))
    return 1.15 * furthest if furthest <= OUTLYING * most else 2 * most


def _panel(axes: Axes, x: Array, percent: Array, limit: float, name: str) -> None:
    colour = APPROACH_COLOURS[name]
    style: dict[str, Any] = {"color": colour, "markersize": 3, "alpha": 0.75}
    axes.plot(x, percent, "o", **style, label=f"runs, {NAMES[name][:1].lower()}{NAMES[name][1:]}")
    for mark, beyond in (("^", percent > limit), ("v", percent < -limit)):
        if beyond.any():  # nothing, not clipped, has no place that a layout could count
            edge = np.full(int(beyond.sum()), limit if mark == "^" else -limit)
            axes.plot(x[beyond], edge, mark, color=colour, markersize=4, clip_on=False)
    axes.axhline(0, color=INK, linewidth=0.7)
    _trend(axes, x, percent)


def residual_verdict(approach: Approach) -> str:
    """What the tests of the residuals said, as sentences; the fit made them.

    Approach 2's polynomials have tests of single runs only: where these find nothing, nothing is said.
    """
    found: dict[str, list[str]] = {}
    for flag in approach.warnings:
        if flag.code in TESTED:
            found.setdefault(flag.code, []).append(typeset(flag.note))
    if found:
        return " ".join(
            f"{plain_status(code).capitalize()}: {'; '.join(notes)}." for code, notes in found.items()
        )
    error = approach.fit_error
    if approach.name != "approach_3" or error is None or error.rms_log is None or error.rms_log < ROUNDING:
        return ""
    return "No structure found by its tests, at the 1% level."


def draw_predicted(data: ReportData) -> Figure:
    """Fitted against measured loss of every run: one panel for each approach that gives the loss of a run."""
    measured = data.points.loss
    parts = {name: measured * np.exp(-residual) for name, residual in _residuals(data).items()}
    figure, axes = panels(len(parts), width=4.0, height=3.6)
    every = np.concatenate([measured, *(fitted[np.isfinite(fitted)] for fitted in parts.values())])
    margin = 0.04 * float(np.ptp(every)) or 0.01
    low, high = float(every.min()) - margin, float(every.max()) + margin
    for one, (name, fitted) in zip(axes, parts.items(), strict=True):
        known = np.isfinite(fitted)
        one.plot((low, high), (low, high), "-", color=GREY, linewidth=0.9, zorder=1)
        colours = log_colours(data.points.flops[known].tolist())
        one.scatter(measured[known], fitted[known], c=colours, s=14, zorder=2, label=named("runs"))
        error = significant(100 * float(np.sqrt(np.mean(np.log(measured[known] / fitted[known]) ** 2))), 2)
        one.set(xlim=(low, high), ylim=(low, high), xlabel="measured loss (nats per token)")
        one.set_title(f"{NAMES[name]}\n{error}% r.m.s. of {int(known.sum())} runs")
        one.set_aspect("equal")
    axes[0].set_ylabel("fitted loss (nats per token)")
    colour_bar(axes[-1], data.points.flops.tolist(), "C", flops=True)
    return figure


def _residuals(data: ReportData) -> dict[str, Array]:
    """ln(measured / fitted), (runs,), by approach.

    Raises:
        MissingError: no approach has any.
    """
    found = {"approach_3": law_residuals(data), "approach_2": profile_residuals(data)}
    known = {name: residual for name, residual in found.items() if residual is not None}
    if not known:
        raise MissingError("neither approach 2 nor approach 3 has a fit")
    return known


def _along(points: Points, attribute: str) -> Array:
    return points.tokens / points.params if attribute == "ratio" else np.asarray(getattr(points, attribute))


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
        label="means of equally many runs",
    )
