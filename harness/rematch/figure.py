"""Loss by size at the budget: the law's prediction with its intervals, and what every seed measured."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.fit.predict import percentiles
from harness.frontier.law import Law
from harness.frontier.source import Source
from harness.rematch.prediction import Prediction
from harness.rematch.result import Rematch
from harness.report.style import BLUE, GREY, INK, RED, log_counts, panels
from harness.report.text import power

DRAWS = 400


def draw(prediction: Prediction, result: Rematch, losses: Source | None) -> Figure:
    """Thick bars are the law's intervals, thin ones those of a single run; points are seeds."""
    figure, (axes,) = panels(1, width=5.6, height=3.8)
    sizes = [one.params for one in prediction.contenders]
    if losses is not None and losses.law is not None:
        _law(axes, losses.law, losses.law_draws, sizes, prediction)
    for i, (one, measured) in enumerate(zip(prediction.contenders, result.contenders, strict=True)):
        first = i == 0
        if one.run_interval is not None:
            axes.plot(
                [one.params] * 2,
                one.run_interval,
                color=BLUE,
                linewidth=1,
                label="one run" if first else None,
            )
        if one.loss_interval is not None:
            label = "the law" if first else None
            axes.plot([one.params] * 2, one.loss_interval, color=BLUE, linewidth=4, alpha=0.5, label=label)
        if one.loss is not None:
            label = "predicted" if first else None
            axes.plot(
                [one.params], [one.loss], "D", color="white", markeredgecolor=BLUE, markersize=6, label=label
            )
        seen = [loss for loss in measured.losses.values() if loss is not None]
        axes.plot(
            [one.params] * len(seen), seen, "o", color=RED, markersize=4, label="seeds" if first else None
        )
        axes.annotate(
            f"{one.factor:g} N*",
            (one.params, 0.98),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            fontsize=7.5,
            color=GREY,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
    axes.axvline(
        prediction.params_opt, color=INK, linewidth=0.7, linestyle=":", zorder=1, label="predicted N*"
    )
    axes.set(
        xlabel="parameters N", ylabel="loss (nats per token)", title=f"C = {power(prediction.budget)} FLOPs"
    )
    axes.margins(x=0.12, y=0.12)
    log_counts(axes, "x")
    figure.legend(loc="outside lower center", ncols=5)
    return figure


def _law(axes: Axes, law: Law, draws: Law | None, sizes: list[float], prediction: Prediction) -> None:
    """The law along the budget, with the band of its draws."""
    n = np.geomspace(min(sizes) / 1.3, max(sizes) * 1.3, 60)
    d = prediction.budget / (law.cost.kappa * n**law.cost.power)
    axes.plot(n, law.loss(n, d), color=BLUE, linewidth=1.2)
    if draws is None:
        return
    rows = draws.theta[:: max(1, len(draws.theta) // DRAWS)]
    with np.errstate(all="ignore"):
        losses = np.array([Law.from_theta(row, law.cost).loss(n, d) for row in rows])
    bands = [percentiles(column, prediction.level) or (np.nan, np.nan) for column in losses.T]
    low, high = np.array(bands).T
    axes.fill_between(n, low, high, color=BLUE, alpha=0.12, linewidth=0)
