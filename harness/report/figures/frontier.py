"""Pieces that several figures share: a frontier line with its band, and the target."""

from matplotlib.axes import Axes

from harness.report.line import Line, Track
from harness.report.material import Material
from harness.report.style import INK
from harness.report.text import counted, ratio


def draw_track(
    axes: Axes, line: Line, track: Track, colour: str, label: str | None = None, band: bool = True
) -> None:
    """A quantity along the frontier: solid within the runs' compute, dashed beyond, a band of intervals."""
    measured = line.measured
    if band:
        axes.fill_between(line.flops, track.low, track.high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(line.flops, track.value, "--", color=colour, linewidth=1.1)
    axes.plot(line.flops[measured], track.value[measured], color=colour, linewidth=1.7, label=label)


def mark_target(axes: Axes, material: Material, line: Line, name: str, symbol: str) -> None:
    """A cross-hair at the target and the number there, written where the line leaves room."""
    track: Track = getattr(line, name)
    target = material.target
    nearest = int(abs(line.flops / target - 1).argmin())
    value = float(track.value[nearest])
    text = f"{symbol} = {ratio(value) if name == 'ratio' else counted(value)}"
    axes.plot([target], [value], "D", color="white", markeredgecolor=INK, markersize=5, zorder=6)
    rising = track.value[-1] >= track.value[0]
    axes.annotate(
        text,
        (target, value),
        xytext=(-8, 2 if rising else -2),
        textcoords="offset points",
        ha="right",
        va="bottom" if rising else "top",
    )
