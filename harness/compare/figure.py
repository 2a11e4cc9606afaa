"""The frontiers of all arms in one picture, an approach a row: N*, D* and D*/N* against C."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.compare.arm import Arm
from harness.fit.results import Approach, Approach2
from harness.report.axes import frame, log_counts, log_flops, log_plain
from harness.report.data import MissingError
from harness.report.figure_data import named
from harness.report.keys import key_below, set_title
from harness.report.line import Line, LineLook, draw_track, frontier_line
from harness.report.style import BLUE, GREEN, ORANGE, PURPLE, RED, panels
from harness.report.text import approach_label

COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE)
QUANTITIES = {
    "params": ("parameters N*", "N*"),
    "tokens": ("tokens D*", "D*"),
    "ratio": ("tokens per parameter D*/N*", "D*/N*"),
}


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
        lines: dict[str, Line] = {}
        shown = dict(zip(QUANTITIES, axes[3 * row : 3 * row + 3], strict=True))
        for i, arm in enumerate(arms):
            approach: Approach = arm.fit.approaches[position]
            colour = COLOURS[i % len(COLOURS)]
            line = frontier_line(approach, low, high)
            if line is not None:
                lines[arm.name] = line
                # Arms may agree: the first is the widest, at the back.
                look = LineLook(width=max(1.2, 2.6 - 0.8 * i), order=2 + 0.1 * i)
                for name, one in shown.items():
                    draw_track(one, line, getattr(line, name), colour, arm.name, look)
            _minima(approach, shown, colour, arm.name)
        for name, one in shown.items():
            label, symbol = QUANTITIES[name]
            set_title(one, f"{approach_label(arms[0].fit.approaches[position].name)}: {symbol}")
            one.set(xlabel="training compute C (FLOPs)")
            log_flops(one)
            (log_plain if name == "ratio" else log_counts)(one, "y")
            one.set_ylabel(label)
            tracks = [getattr(line, name) for line in lines.values()]
            frame(
                one,
                "y",
                [track.value for track in tracks],
                [end for track in tracks for end in (track.low, track.high)],
            )
    key_below(figure)
    return figure


def _minima(approach: Approach, shown: Mapping[str, Axes], colour: str, arm: str) -> None:
    """The minima of the IsoFLOP profiles, which approach 2's lines go through."""
    if not isinstance(approach, Approach2):
        return
    for budget in approach.budgets:
        if budget.params_opt and budget.tokens_opt:
            values = {
                "params": budget.params_opt,
                "tokens": budget.tokens_opt,
                "ratio": budget.tokens_opt / budget.params_opt,
            }
            for name, one in shown.items():
                one.plot(
                    [budget.budget],
                    [values[name]],
                    "o",
                    color=colour,
                    markersize=4.5,
                    label=named(f"{arm}: minimum"),
                )
