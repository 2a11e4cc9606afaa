"""Loss by size at the budget: the law's prediction with its intervals, what every seed measured, and the gaps."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.fit.bootstrap import percentile_interval
from harness.fit.estimate import FrontierSource
from harness.fit.surface import ParametricLaw
from harness.report.axes import log_counts, mark_not_bounded
from harness.report.figure_data import named
from harness.report.style import BLUE, INK, RED, panels
from harness.report.text import power
from harness.validate.prediction import RegisteredPrediction
from harness.validate.result import Gap, ValidationResult

DRAWS = 400
SHIFT = 0.12
KEPT = tuple(named(name) for name in ("predicted", "measured, a point a seed", "their mean"))
HOLLOW: dict[str, Any] = {"color": "white", "markeredgecolor": BLUE, "markersize": 6}


def draw(prediction: RegisteredPrediction, result: ValidationResult, losses: FrontierSource | None) -> Figure:
    """Left losses by size, right what the other candidates' means lie above the predicted winner's.

    Thick bars are the intervals of what is measured, the mean of a candidate's seeds; thin ones those of a single run.
    """
    gaps = [gap for gap in result.gaps if gap.gap is not None or gap.predicted_gap is not None]
    figure, (axes, *right) = panels(2 if gaps else 1, width=4.4, height=4.0)
    _losses(axes, prediction, result, losses)
    handles = [*axes.get_legend_handles_labels()[0], *_bars(prediction)]
    if gaps:
        _gaps(right[0], prediction, gaps)
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _losses(
    axes: Axes, prediction: RegisteredPrediction, result: ValidationResult, losses: FrontierSource | None
) -> None:
    """The candidates' names stand above the frame and the legend below it, clear of the line at N*."""
    sizes = [one.params for one in prediction.candidates]
    if losses is not None and losses.law is not None:
        _law(axes, losses.law, losses.law_draws, sizes, prediction)
    for i, (one, measured) in enumerate(zip(prediction.candidates, result.candidates, strict=True)):
        labels = ("predicted", "measured, a point a seed", "their mean") if i == 0 else KEPT
        place = [one.params] * 2
        if one.run_interval is not None:
            axes.plot(place, one.run_interval, color=BLUE, linewidth=1, label=named("interval of one run"))
        if (thick := one.mean_interval or one.loss_interval) is not None:
            axes.plot(place, thick, color=BLUE, linewidth=5, alpha=0.4, label=named("interval of the mean"))
        if one.loss is not None:
            axes.plot(place[:1], [one.loss], "D", label=labels[0], **HOLLOW)
            mark_not_bounded(axes, one.params, one.loss, one.run_interval)
        seen = [loss for loss in measured.losses.values() if loss is not None]
        axes.plot([one.params] * len(seen), seen, "o", color=RED, markersize=3.5, label=labels[1])
        if measured.mean is not None and len(seen) > 1:
            axes.plot(place[:1], [measured.mean], "_", color=RED, markersize=15, label=labels[2])
        axes.annotate(
            f"{one.factor:g} N*",
            (one.params, 1),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7.5,
        )
    axes.axvline(
        prediction.params_opt, color=INK, linewidth=0.9, linestyle=":", zorder=1, label="predicted N*"
    )
    axes.set(xlabel="parameters N", ylabel="loss (nats per token)")
    axes.set_title(f"C = {power(prediction.budget)} FLOPs", pad=18)
    axes.margins(x=0.06, y=0.06)
    log_counts(axes, "x")


def _gaps(axes: Axes, prediction: RegisteredPrediction, gaps: list[Gap]) -> None:
    """Predicted gaps with the intervals that hold them all at once, and measured ones with Welch's."""
    for i, gap in enumerate(gaps):
        if (thick := gap.measured_interval or gap.predicted_interval) is not None:
            axes.plot([i - SHIFT] * 2, thick, color=BLUE, linewidth=5, alpha=0.4, label=named("interval"))
        if gap.predicted_gap is not None:
            axes.plot([i - SHIFT], [gap.predicted_gap], "D", **HOLLOW, label=named("predicted"))
        if gap.interval is not None:
            axes.plot(
                [i + SHIFT] * 2, gap.interval, color=RED, linewidth=1, label=named("measured: interval")
            )
        if gap.gap is not None:
            axes.plot([i + SHIFT], [gap.gap], "_", color=RED, markersize=15, label=named("measured"))
    axes.axhline(0, color=INK, linewidth=0.9)
    axes.set_xticks(range(len(gaps)), [f"{gap.factor:g} N*" for gap in gaps])
    axes.set_xlim(-0.6, len(gaps) - 0.4)
    axes.set(ylabel=f"loss above that of {prediction.winner_label} (nats per token)")
    axes.set_title(f"Measured with the seeds' {prediction.level:.0%} interval", pad=18)


def _bars(prediction: RegisteredPrediction) -> list[Line2D]:
    """Legend entries of the vertical bars; vertical there too, or they would look like the law's line."""
    ones = prediction.candidates
    of_means = any(one.mean_interval is not None for one in ones)
    bars = (
        (
            "the mean of seeds, and of gaps" if of_means else "the law",
            5.0,
            0.4,
            any(one.loss_interval for one in ones),
        ),
        ("one run", 1.0, 1.0, any(one.run_interval is not None for one in ones)),
    )
    return [
        Line2D(
            [],
            [],
            linestyle="",
            marker="|",
            markersize=9,
            markeredgewidth=width,
            color=BLUE,
            alpha=alpha,
            label=f"{prediction.level:.0%} interval of {of}",
        )
        for of, width, alpha, drawn in bars
        if drawn
    ]


def _law(
    axes: Axes,
    law: ParametricLaw,
    draws: ParametricLaw | None,
    sizes: list[float],
    prediction: RegisteredPrediction,
) -> None:
    """The law along the budget, with the band of its draws.

    A power law of the cost is approximate for small models; between the candidates the curve has their own tokens.
    """
    n = np.geomspace(min(sizes) / 1.3, max(sizes) * 1.3, 60)
    planned = np.log(
        [one.tokens * law.cost.kappa * one.params**law.cost.power for one in prediction.candidates]
    )
    d = np.exp(np.interp(np.log(n), np.log(sizes), planned)) / (law.cost.kappa * n**law.cost.power)
    axes.plot(n, law.loss(n, d), color=BLUE, linewidth=1.2, label="the law, and its band")
    if draws is None:
        return
    picked = range(0, len(draws.theta), max(1, len(draws.theta) // DRAWS))
    with np.errstate(all="ignore"):
        losses = np.array([draws.row(i).loss(n, d) for i in picked])
    bands = [percentile_interval(column, prediction.level) or (np.nan, np.nan) for column in losses.T]
    low, high = np.array(bands).T
    axes.fill_between(n, low, high, color=BLUE, alpha=0.12, linewidth=0, label=named("the law: interval"))
