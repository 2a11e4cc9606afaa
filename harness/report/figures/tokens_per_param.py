"""Tokens per parameter at the optimum against compute, with the rule of thumb."""

from matplotlib.figure import Figure

from harness.report.figures.frontier import draw_track
from harness.report.line import frontier_line
from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.style import APPROACH_COLOURS, APPROACH_NAMES, BLUE, GREY, log_flops, log_plain, panels

RULE = 20.0


def draw(material: Material) -> Figure:
    """D*/N* by every approach; the minima of the profiles as points; 20 as a line."""
    lines = {
        a.name: frontier_line(a, *material.range, also=(material.target,)) for a in material.fit.approaches
    }
    if all(line is None for line in lines.values()):
        raise MissingError("no approach has a frontier")
    figure, (axes,) = panels(1, width=6.4, height=3.9)
    for name, line in lines.items():
        if line is not None:
            draw_track(axes, line, line.ratio, APPROACH_COLOURS[name], APPROACH_NAMES[name])
    minima = [
        (budget.budget, budget.tokens_opt / budget.params_opt)
        for budget in material.fit.approach_2.budgets
        if budget.params_opt and budget.tokens_opt
    ]
    if minima:
        axes.plot(*zip(*minima, strict=True), "o", color=BLUE, markersize=5, label="minima of the profiles")
    axes.axhline(RULE, color=GREY, linestyle=":", label="20, the rule of thumb")
    axes.axvline(material.target, color=GREY, linewidth=0.8)
    axes.annotate(
        "target ",
        (material.target, 1),
        xycoords=("data", "axes fraction"),
        ha="right",
        va="top",
        fontsize=7.5,
        color=GREY,
    )
    axes.set(xlabel="training compute C (FLOPs)")
    log_plain(axes, "y")
    axes.set_ylabel("tokens per parameter D*/N*")
    log_flops(axes)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
