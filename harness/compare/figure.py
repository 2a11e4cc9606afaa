"""The frontiers of all arms in one picture, an approach a row: N*, D*, and the clouds of exponents."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.compare.arm import Arm
from harness.fit.results import Approach, Approach2
from harness.report.axes import log_counts, log_flops
from harness.report.data import MissingError
from harness.report.line import draw_track, frontier_line
from harness.report.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, panels
from harness.report.text import approach_label

COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE)
SHOWN = 400


def draw(arms: Sequence[Arm]) -> Figure:
    """One row for each approach that has a frontier in some arm.

    Raises:
        MissingError: none has.
    """
    rows = [
        position for position in range(3) if any(arm.fit.approaches[position].a is not None for arm in arms)
    ]
    if not rows:
        raise MissingError("no approach has a frontier in any arm")
    figure, axes = panels(3, width=3.6, height=2.9, rows=len(rows))
    low = min(arm.fit.smallest_flops for arm in arms)
    high = max(arm.fit.largest_flops for arm in arms)
    for row, position in enumerate(rows):
        params, tokens, cloud = axes[3 * row : 3 * row + 3]
        for i, arm in enumerate(arms):
            approach: Approach = arm.fit.approaches[position]
            colour = COLOURS[i % len(COLOURS)]
            line = frontier_line(approach, low, high)
            if line is not None:
                draw_track(params, line, line.params, colour, arm.name)
                draw_track(tokens, line, line.tokens, colour, arm.name)
            _minima(approach, params, tokens, colour)
            _cloud(approach, cloud, colour, arm.name)
        params.set_title(approach_label(arms[0].fit.approaches[position].name))
        for axis, label in ((params, "parameters N*"), (tokens, "tokens D*")):
            axis.set(xlabel="training compute C (FLOPs)")
            log_flops(axis)
            log_counts(axis, "y")
            axis.set_ylabel(label)
        params.legend(loc="upper left")
        _finish_cloud(cloud)
    return figure


def _minima(approach: Approach, params: Axes, tokens: Axes, colour: str) -> None:
    """The minima of the IsoFLOP profiles, which approach 2's lines go through."""
    if not isinstance(approach, Approach2):
        return
    for budget in approach.budgets:
        if budget.params_opt and budget.tokens_opt:
            params.plot([budget.budget], [budget.params_opt], "o", color=colour, markersize=4.5)
            tokens.plot([budget.budget], [budget.tokens_opt], "o", color=colour, markersize=4.5)


def _cloud(approach: Approach, axes: Axes, colour: str, label: str) -> None:
    if approach.a is None or approach.b is None:
        return
    if approach.draws is not None and len(approach.draws):
        picked = np.unique(np.linspace(0, len(approach.draws) - 1, SHOWN).astype(int))
        a, b = approach.exponents(approach.draws[picked])
        axes.plot(a, b, ".", color=colour, markersize=2.5, alpha=0.35, markeredgewidth=0)
    axes.plot(
        [approach.a],
        [approach.b],
        "o",
        color=colour,
        markeredgecolor=INK,
        markersize=6,
        zorder=5,
        label=label,
    )


def _finish_cloud(axes: Axes) -> None:
    """Limits the axes to nearly all draws: a few extreme ones must not shrink the figure."""
    axes.set(xlabel="a  (N* ∝ Cᵃ)", ylabel="b  (D* ∝ Cᵇ)", title="Exponents, a point a bootstrap draw")
    for name, setter in (("get_xdata", axes.set_xlim), ("get_ydata", axes.set_ylim)):
        values = np.concatenate([np.asarray(getattr(line, name)(), dtype=float) for line in axes.lines])
        bounds = np.quantile(values[np.isfinite(values)], (0.01, 0.99))
        margin = 0.1 * (bounds[1] - bounds[0]) + 0.01
        setter(float(bounds[0] - margin), float(bounds[1] + margin))
    low, high = axes.get_xlim()
    axes.plot((low, high), (1 - low, 1 - high), "-", color=GREY, linewidth=0.8, label="a + b = 1")
    axes.set_xlim(low, high)
    axes.legend(loc="upper right")
