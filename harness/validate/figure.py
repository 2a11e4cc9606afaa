"""Loss by size at the budget: the law's prediction with its intervals, and what every seed measured."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.fit.bootstrap import percentile_interval
from harness.fit.estimate import FrontierSource
from harness.fit.surface import ParametricLaw
from harness.report.axes import log_counts, mark_not_bounded
from harness.report.style import BLUE, INK, RED, panels
from harness.report.text import power
from harness.validate.prediction import RegisteredPrediction
from harness.validate.result import ValidationResult

DRAWS = 400


def draw(prediction: RegisteredPrediction, result: ValidationResult, losses: FrontierSource | None) -> Figure:
    """Thick bars are the law's intervals, thin ones those of a single run; points are seeds.

    The candidates' names stand above the frame and the legend below it, clear of the line at N*.
    """
    figure, (axes,) = panels(1, width=5.6, height=4.0)
    sizes = [one.params for one in prediction.candidates]
    if losses is not None and losses.law is not None:
        _law(axes, losses.law, losses.law_draws, sizes, prediction)
    for i, (one, measured) in enumerate(zip(prediction.candidates, result.candidates, strict=True)):
        predicted, seeds = ("predicted", "measured, a point a seed") if i == 0 else (None, None)
        place = [one.params] * 2
        if one.run_interval is not None:
            axes.plot(place, one.run_interval, color=BLUE, linewidth=1)
        if one.loss_interval is not None:
            axes.plot(place, one.loss_interval, color=BLUE, linewidth=4, alpha=0.5)
        if one.loss is not None:
            axes.plot(
                [one.params],
                [one.loss],
                "D",
                color="white",
                markeredgecolor=BLUE,
                markersize=6,
                label=predicted,
            )
            mark_not_bounded(axes, one.params, one.loss, one.run_interval)
        seen = [loss for loss in measured.losses.values() if loss is not None]
        axes.plot([one.params] * len(seen), seen, "o", color=RED, markersize=4, label=seeds)
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
    figure.legend(
        handles=[*axes.get_legend_handles_labels()[0], *_bars(prediction)],
        loc="outside lower center",
        ncols=3,
    )
    return figure


def _bars(prediction: RegisteredPrediction) -> list[Line2D]:
    """Legend entries of the vertical bars; vertical there too, or they would look like the law's line."""
    ones = prediction.candidates
    bars = (
        ("the law", 4.0, 0.5, any(one.loss_interval is not None for one in ones)),
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
    """The law along the budget, with the band of its draws."""
    n = np.geomspace(min(sizes) / 1.3, max(sizes) * 1.3, 60)
    d = prediction.budget / (law.cost.kappa * n**law.cost.power)
    axes.plot(n, law.loss(n, d), color=BLUE, linewidth=1.2, label="the law, and its band")
    if draws is None:
        return
    picked = range(0, len(draws.theta), max(1, len(draws.theta) // DRAWS))
    with np.errstate(all="ignore"):
        losses = np.array([draws.row(i).loss(n, d) for i in picked])
    bands = [percentile_interval(column, prediction.level) or (np.nan, np.nan) for column in losses.T]
    low, high = np.array(bands).T
    axes.fill_between(n, low, high, color=BLUE, alpha=0.12, linewidth=0)
