"""The cost of over- or under-training: in loss at equal compute, and in compute at equal loss."""

import numpy as np
from matplotlib.figure import Figure

from harness.fit.results import Approach3
from harness.fit.table import Array
from harness.report.axes import log_plain
from harness.report.data import MissingError, ReportData
from harness.report.figures.contours import tokens_at
from harness.report.style import GREY, INK, MARKERS, budget_key, log_colours, panels
from harness.report.text import power

SPAN = 7.0


def draw_overtraining(data: ReportData) -> Figure:
    """Left: loss above the optimum's against D/N at each budget. Right: the compute that makes up for it."""
    law = data.fit.approach_3
    if law.theta() is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    figure, (left, right) = panels(2, width=4.5, height=3.6)
    points = data.points
    measured = {b.budget: set(b.run_ids) for b in data.fit.approach_2.budgets}
    budgets = sorted({*(measured or (data.fit.smallest_flops, data.fit.largest_flops)), data.target})
    highest = 0.0
    for i, (budget, colour) in enumerate(zip(budgets, log_colours(budgets), strict=True)):
        ratio, excess, multiple = penalty(law, budget)
        highest = max(highest, float(excess.max()))
        style = "--" if budget > data.fit.largest_flops * 1.001 else "-"
        label = power(budget) + (" (target)" if budget == data.target else "")
        left.plot(ratio, excess, style, color=colour, label=label)
        right.plot(ratio, multiple, style, color=colour)
        members = [j for j, run in enumerate(points.run_id) if run in measured.get(budget, set())]
        best = float(law.optimum(law.theta(), budget)[2])  # type: ignore[arg-type]
        left.plot(
            points.tokens[members] / points.params[members],
            points.loss[members] - best,
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
