"""The fitted law as a surface: contours of equal loss, the efficient frontier and IsoFLOP slices (Hoffmann et al. 2022,
Fig. 4), and what other than the optimal tokens per parameter cost on it.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from harness.fit.results import Approach3
from harness.fit.table import Array
from harness.report.axes import log_counts, log_flops, log_plain
from harness.report.data import MissingError, ReportData, members
from harness.report.line import frontier_line
from harness.report.style import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    MARKERS,
    MAX_LEGEND,
    RED,
    budget_key,
    log_colours,
    ordered_colours,
    panels,
)
from harness.report.text import power

LEVELS = 12
TITLE_PAD = 24  # points: room for the labels of contours that leave the frame at the top


def draw_contours(data: ReportData) -> Figure:
    """Left: L over compute and size. Right: L against size at each budget, the law beside the runs."""
    law = data.fit.approach_3
    if law.theta() is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    figure, (left, right) = panels(2, width=5.0, height=4.0)
    labels_on_top = _surface(left, data, law)
    _slices(right, data, law)
    pad = TITLE_PAD if labels_on_top else None
    left.set_title("IsoLoss contours of the fitted law (nats per token)", pad=pad)
    right.set_title("IsoFLOP slices: the law, the runs, the optimum (dashed)", pad=pad)
    return figure


def _surface(axes: Axes, data: ReportData, law: Approach3) -> bool:
    """The contours with the runs and the frontier; whether there are labels above the frame."""
    points = data.points
    low, high = data.range
    line = frontier_line(law, low, high)
    assert line is not None
    sizes = np.concatenate((points.params, line.params.value))
    c = np.geomspace(low, high, 160)
    n = np.geomspace(sizes.min() / 1.5, sizes.max() * 1.5, 160)
    loss = law.loss(n[:, None], tokens_at(law, c[None, :], n[:, None]))
    # Contours evenly in log of the reducible loss: they stay apart near the floor and above.
    floor = law.E or 0.0
    best, worst = float(line.loss.value.min()), float(points.loss.max())
    levels = floor + np.geomspace(max(best - floor, 1e-3), max(worst - floor, 2e-3), LEVELS)
    colours = ordered_colours(LEVELS)[::-1]
    axes.contour(c, n, loss, levels=levels, colors=colours, linewidths=0.9)
    labels_on_top = _label_levels(axes, c, n, loss, levels)
    axes.plot(line.flops, line.params.value, "--", color=BLUE, linewidth=1.3)
    measured = line.measured
    axes.plot(
        line.flops[measured],
        line.params.value[measured],
        color=BLUE,
        linewidth=2,
        label="efficient frontier",
    )
    axes.scatter(
        points.flops,
        points.params,
        c=points.loss,
        s=16,
        cmap=COLOURS.reversed(),
        norm=Normalize(points.loss.min(), points.loss.max()),
        edgecolors=INK,
        linewidths=0.4,
        zorder=4,
        label="runs",
    )
    axes.axvline(data.target, color=RED, linestyle=":", linewidth=1, label="target")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    axes.set(xlim=(low, high), ylim=(n[0], n[-1]))
    axes.set(xlabel="training compute C (FLOPs)")
    axes.grid(False)
    log_flops(axes)
    log_counts(axes, "y")
    axes.set_ylabel("parameters N")
    return labels_on_top


def _label_levels(axes: Axes, c: Array, n: Array, loss: Array, levels: Array) -> bool:
    """Each contour's loss outside the frame, where the contour leaves it: at the right, else at the top.

    Inside, labels would lie on runs and lines, and the gaps for them would break the contours. Returns whether there
    are any at the top.
    """
    right = loss[: int(loss[:, -1].argmin()) + 1, -1]  # falls with n, up to the optimum
    top = loss[-1]  # falls with c
    labels_on_top = False
    for level in levels:
        label = f"{level:.2f}"
        style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6.5, "annotation_clip": False}
        if right[-1] <= level <= right[0]:
            at = float(np.exp(np.interp(-level, -right, np.log(n[: len(right)]))))
            axes.annotate(label, (c[-1], at), (3, 0), va="center", **style)
        elif top[-1] <= level <= top[0]:
            at = float(np.exp(np.interp(-level, -top, np.log(c))))
            # Upright: contours are close together there.
            axes.annotate(label, (at, n[-1]), (0, 3), ha="center", rotation=90, **style)
            labels_on_top = True
    return labels_on_top


def _slices(axes: Axes, data: ReportData, law: Approach3) -> None:
    points = data.points
    budgets = data.fit.approach_2.budgets
    groups = [(b.budget, rows) for b in budgets if (rows := members(points, b))]
    if not groups:
        budgets_at = np.geomspace(points.flops.min(), points.flops.max(), 5)
        groups = [(float(c), []) for c in budgets_at]
    colours = log_colours([budget for budget, _ in groups])
    everything = points.params
    for i, ((budget, rows), colour) in enumerate(zip(groups, colours, strict=True)):
        sizes = points.params[rows] if rows else everything
        n = np.geomspace(sizes.min() / 1.3, sizes.max() * 1.3, 120)
        axes.plot(n, law.loss(n, tokens_at(law, budget, n)), color=colour)
        axes.plot(
            points.params[rows],
            points.loss[rows],
            MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=4,
            label=power(budget),
        )
    line = frontier_line(law, min(b for b, _ in groups), max(b for b, _ in groups))
    if line is not None:
        axes.plot(line.params.value, line.loss.value, color=BLUE, linewidth=1.5, linestyle="--")
    if len(groups) <= MAX_LEGEND:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.15 * (high - low))
    budget_key(axes, [budget for budget, _ in groups])
    axes.set(xlabel="parameters N", ylabel="final loss (nats per token)")
    log_counts(axes, "x")


def tokens_at(law: Approach3, flops: float | Array, params: Array) -> Array:
    """D that a budget leaves for a size, by the runs' own cost law C = kappa N^power D."""
    return np.asarray(flops / (law.cost.kappa * params**law.cost.power))


SPAN = 7.0


def draw_overtraining(data: ReportData) -> Figure:
    """Left: loss above the optimum's against D/N at each budget. Right: the compute that makes up for it."""
    law = data.fit.approach_3
    if law.theta() is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    figure, (left, right) = panels(2, width=4.5, height=3.6)
    points = data.points
    measured = {b.budget: members(points, b) for b in data.fit.approach_2.budgets}
    budgets = sorted({*(measured or (data.fit.smallest_flops, data.fit.largest_flops)), data.target})
    highest = 0.0
    for i, (budget, colour) in enumerate(zip(budgets, log_colours(budgets), strict=True)):
        ratio, excess, multiple = penalty(law, budget)
        highest = max(highest, float(excess.max()))
        style = "--" if budget > data.fit.largest_flops * 1.001 else "-"
        label = power(budget) + (" (target)" if budget == data.target else "")
        left.plot(ratio, excess, style, color=colour, label=label)
        right.plot(ratio, multiple, style, color=colour)
        rows = measured.get(budget, [])
        best = float(law.optimum(law.theta(), budget)[2])  # type: ignore[arg-type]
        left.plot(
            points.tokens[rows] / points.params[rows],
            points.loss[rows] - best,
            MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=3.5,
        )
    left.set(ylabel="loss above the optimum's (nats per token)", title="At the same compute")
    left.axhline(0, color=INK, linewidth=0.6)
    budget_key(left, budgets)
    left.set_ylim(-0.12 * highest, 1.3 * highest)
    right.set(ylabel="compute to reach the optimum's loss (×)", title="At the same loss")
    right.axhline(1, color=INK, linewidth=0.6)
    right.set_ylim(0.9, min(right.get_ylim()[1], 6))
    for axes in (left, right):
        axes.set_xlabel("tokens per parameter D/N")
        log_plain(axes, "x")
        axes.axvline(20, color=GREY, linestyle=":", linewidth=1)
    return figure


def penalty(law: Approach3, budget: float) -> tuple[Array, Array, Array]:
    """(D/N, loss above L*(C), compute over C for the same loss at that D/N), each of shape (200,).

    The third keeps D/N fixed and grows both until the loss is L*(C): what choosing that ratio costs.
    """
    theta = law.theta()
    assert theta is not None
    log_n, _, best = (float(value) for value in law.optimum(theta, budget))
    params = np.exp(log_n) * np.geomspace(SPAN, 1 / SPAN, 200)
    tokens = tokens_at(law, budget, params)
    excess = law.loss(params, tokens) - best
    # Along fixed D/N compute goes as scale^(power + 1); the loss falls steadily, so bisection finds the
    # scale.
    low, high = np.ones(200), np.full(200, 1e3)
    for _ in range(60):
        middle = np.sqrt(low * high)
        above = law.loss(params * middle, tokens * middle) > best
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return tokens / params, excess, np.sqrt(low * high) ** (law.cost.power + 1)
