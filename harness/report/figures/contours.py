"""The fitted law as a surface: contours of equal loss, the efficient frontier and IsoFLOP slices (Hoffmann et al. 2022,
Fig. 4), and what other than the optimal tokens per parameter cost on it.
"""

from functools import partial
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure

from harness.fit.results import Approach3
from harness.fit.table import Array
from harness.report.axes import log_counts, log_flops, log_plain
from harness.report.budgets import few
from harness.report.data import MissingError, ReportData, members
from harness.report.figure_data import named
from harness.report.keys import budget_labels, key_below, set_title
from harness.report.line import frontier_line
from harness.report.style import BLUE, COLOURS, GREY, INK, MARKERS, RED, RULE, log_colours, panels
from harness.report.text import power

LEVELS = 12


def draw_contours(data: ReportData) -> Figure:
    """Left: L over compute and size. Right: L against size at each budget, the law beside the runs."""
    law = data.fit.approach_3
    if law.theta() is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    figure, (left, right) = panels(2, width=5.0, height=4.0)
    _surface(left, data, law)
    _slices(right, data, law)
    set_title(left, "IsoLoss contours of the fitted law")
    set_title(right, "IsoFLOP slices: the law and the runs")
    key_below(figure)
    return figure


def _surface(axes: Axes, data: ReportData, law: Approach3) -> None:
    """The contours with the runs and the frontier; one scale of colours for the losses of both."""
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
    norm = FuncNorm((partial(_reducible, floor), partial(_irreducible, floor)), levels[0], levels[-1])
    colours: dict[str, Any] = {"cmap": COLOURS.reversed(), "norm": norm}
    drawn = axes.contour(c, n, loss, levels=levels, linewidths=0.9, **colours)
    drawn.set_label(named("loss of the law"))
    beyond = np.where(line.measured, np.nan, line.params.value)
    axes.plot(
        line.flops, beyond, "--", color=BLUE, linewidth=1.3, label=named("efficient frontier: extrapolated")
    )
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
        c=np.clip(points.loss, levels[0], levels[-1]),
        s=16,
        edgecolors=INK,
        linewidths=0.4,
        zorder=4,
        label="runs",
        **colours,
    )
    axes.axvline(data.target, color=RED, linestyle=":", linewidth=1, label="target")
    bar = axes.figure.colorbar(ScalarMappable(norm, COLOURS.reversed()), ax=axes, aspect=30, pad=0.02)
    bar.set_ticks(levels.tolist(), labels=[f"{level:.{_digits(levels)}f}" for level in levels])
    bar.ax.minorticks_off()
    bar.ax.set_title("L (nats\nper token)", loc="center", fontsize=rcParams["legend.fontsize"])
    bar.outline.set_visible(False)
    axes.set(xlim=(low, high), ylim=(n[0], n[-1]))
    axes.set(xlabel="training compute C (FLOPs)")
    axes.grid(False)
    log_flops(axes)
    log_counts(axes, "y")
    axes.set_ylabel("parameters N")


def _reducible(floor: float, loss: Array) -> Array:
    """The scale of the colours: ln of the loss above the law's floor."""
    return np.asarray(np.log(np.maximum(np.asarray(loss) - floor, 1e-9)))


def _irreducible(floor: float, log_loss: Array) -> Array:
    """The inverse of :func:`_reducible`."""
    return np.asarray(floor + np.exp(log_loss))


def _digits(levels: Array) -> int:
    """Decimals that tell neighbouring levels apart."""
    return 2 if np.diff(levels).min() >= 0.01 else 3


def _slices(axes: Axes, data: ReportData, law: Approach3) -> None:
    points = data.points
    budgets = data.fit.approach_2.budgets
    drawn = few([b.budget for b in budgets])
    groups = [(b.budget, rows) for b in budgets if b.budget in drawn and (rows := members(points, b))]
    if not groups:
        budgets_at = np.geomspace(points.flops.min(), points.flops.max(), 5)
        groups = [(float(c), []) for c in budgets_at]
    colours = log_colours([budget for budget, _ in groups])
    everything = points.params
    labels = budget_labels(axes, [budget for budget, _ in groups])
    for i, ((budget, rows), colour, label) in enumerate(zip(groups, colours, labels, strict=True)):
        sizes = points.params[rows] if rows else everything
        n = np.geomspace(sizes.min() / 1.3, sizes.max() * 1.3, 120)
        law_name = named(f"C = {power(budget)}: law")
        axes.plot(n, law.loss(n, tokens_at(law, budget, n)), color=colour, label=law_name)
        axes.plot(
            points.params[rows],
            points.loss[rows],
            MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=4,
            label=label,
        )
    line = frontier_line(law, min(b for b, _ in groups), max(b for b, _ in groups))
    if line is not None:
        axes.plot(
            line.params.value,
            line.loss.value,
            color=INK,
            linewidth=1.3,
            linestyle="--",
            label="optimum of the law",
        )
    axes.set(xlabel="parameters N", ylabel="final loss (nats per token)")
    log_counts(axes, "x")


def tokens_at(law: Approach3, flops: float | Array, params: Array) -> Array:
    """D that a budget leaves for a size, by the runs' own cost law C = kappa N^power D."""
    return np.asarray(flops / (law.cost.kappa * params**law.cost.power))


SPAN = 7.0
MOST_COMPUTE = 6.0  # times the optimum's: the top of the panel


def draw_overtraining(data: ReportData) -> Figure:
    """Left: loss above the optimum's against D/N at each budget. Right: the compute that makes up for it."""
    law = data.fit.approach_3
    theta = law.theta()
    if theta is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    figure, (left, right) = panels(2, width=4.5, height=3.6)
    points = data.points
    profiles = data.fit.approach_2.budgets
    drawn = few([b.budget for b in profiles])
    measured = {b.budget: members(points, b) for b in profiles if b.budget in drawn}
    budgets = sorted({*(measured or (data.fit.smallest_flops, data.fit.largest_flops)), data.target})
    labels = budget_labels(right, budgets)
    ratios, highest, most = [], 0.0, MOST_COMPUTE
    for i, (budget, colour, label) in enumerate(zip(budgets, log_colours(budgets), labels, strict=True)):
        ratio, excess, multiple = penalty(law, budget)
        ratios += [ratio[0], ratio[-1]]
        highest = max(highest, float(excess.max()))
        most = min(most, float(multiple[0]), float(multiple[-1]))
        style = "--" if budget > data.fit.largest_flops * 1.001 else "-"
        label += " (target)" if budget == data.target else ""
        name = label.removeprefix("_")
        left.plot(ratio, excess, style, color=colour, label=label)
        right.plot(ratio, multiple, style, color=colour, label=named(name))
        rows = measured.get(budget, [])
        left.plot(
            points.tokens[rows] / points.params[rows],
            points.loss[rows] - float(law.optimum(theta, budget)[2]),
            MARKERS[i % len(MARKERS)],
            color=colour,
            markersize=3.5,
            label=named(f"{name}: runs"),
        )
    left.set(ylabel="loss above the optimum's\n(nats per token)", title="At the same compute")
    left.axhline(0, color=INK, linewidth=0.6)
    left.set_ylim(-0.12 * highest, 1.1 * highest)
    right.set(ylabel="compute for the optimum's loss\n(times the optimum's)", title="At the same loss")
    right.axhline(1, color=INK, linewidth=0.6)
    right.set_ylim(1 - 0.12 * (most - 1), most)
    for axes in (left, right):
        axes.set(xlabel="tokens per parameter D/N", xlim=(min(ratios) / 1.2, max(ratios) * 1.2))
        log_plain(axes, "x")
        axes.axvline(RULE, color=GREY, linestyle=":", linewidth=1, label=f"D/N = {RULE:g}")
    left.plot([], [], "o", color=GREY, markersize=3.5, label="runs")
    if any(budget > data.fit.largest_flops * 1.001 for budget in budgets):
        left.plot([], [], "--", color=GREY, label="beyond the runs' compute")
    key_below(figure)
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
