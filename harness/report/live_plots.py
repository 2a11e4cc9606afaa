"""Small drawings of a sweep that trains: curves so far, and the IsoFLOP profiles as they fill in.

They are made at every look, so they are plain text and no matplotlib figures, and are kept as long as their data are
the same.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from statistics import fmean

from harness.report.axes import tick
from harness.report.style import GREY, INK, ORANGE, ordered_colours
from harness.report.text import power

WIDTH, HEIGHT = 620, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 26, 44
MOST_POINTS = 80  # of one curve: more than can be told apart
MOST_TICKS = 7
CLIPPED = 0.9  # a run's first losses are high: the axis goes up to this share of all of them
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)  # between ticks of a linear axis, times a power of ten
MULTIPLES = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))  # of powers of ten, at which a log axis has ticks

Point = tuple[float, float]


@dataclass(frozen=True)
class Trace:
    """A run's training curve so far.

    Attributes:
        budget: in FLOPs, for the colour.
        label: for whoever points at it.
        running: it still grows.
        points: training FLOPs and training loss, nats per token.
    """

    budget: float
    label: str
    running: bool
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Profile:
    """The runs of a budget.

    Attributes:
        points: N and held-out loss (nats per token) of the runs that have finished.
        missing: N of those that have not.
    """

    budget: float
    points: tuple[Point, ...]
    missing: tuple[float, ...]


@dataclass(frozen=True)
class _Axes:
    """From data to places: x is logarithmic, y linear."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, point: Point) -> str:
        """``12.3,45.6``."""
        low, high = (math.log(end) for end in self.x)
        x = LEFT + (WIDTH - LEFT - RIGHT) * (math.log(point[0]) - low) / (high - low)
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (point[1] - self.y[0]) / (self.y[1] - self.y[0])
        return f"{x:.1f},{min(max(y, -HEIGHT), 2 * HEIGHT):.1f}"


@lru_cache(maxsize=2)
def draw_curves(traces: tuple[Trace, ...]) -> str:
    """Training loss against training FLOPs; running runs are thick and end in a dot. Empty where there is no point."""
    shown = [trace for trace in traces if trace.points]
    if not shown:
        return ""
    losses = sorted(loss for trace in shown for _, loss in trace.points)
    top = losses[min(len(losses) - 1, int(CLIPPED * len(losses)))]
    inside = [flops for trace in shown for flops, loss in trace.points if loss <= top]
    axes = _axes(inside, [losses[0], top])
    colours = _colours({trace.budget for trace in traces})
    drawn = []
    for trace in sorted(shown, key=lambda one: one.running):
        colour = ORANGE if trace.running else colours[trace.budget]
        points = " ".join(axes.at(point) for point in _thinned(trace.points))
        x, y = axes.at(trace.points[-1]).split(",")
        end = f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>' if trace.running else ""
        drawn.append(
            f'<g><title>{escape(trace.label)}</title><polyline points="{points}" fill="none" stroke="{colour}" '
            f'stroke-width="{2 if trace.running else 1}" stroke-opacity="{1 if trace.running else 0.6}"/>{end}</g>'
        )
    key = _key([(colour, _named(budget)) for budget, colour in colours.items()])
    what = "Training loss (nats per token) against training FLOPs; orange: running."
    return _plot("curves", "Training curves so far", what, axes, [*drawn, *key], "C (FLOPs)", power)


@lru_cache(maxsize=2)
def draw_profiles(profiles: tuple[Profile, ...]) -> str:
    """Held-out loss against N, a line a budget; ticks at the bottom are runs to come. Empty where there is no run."""
    sizes = [n for profile in profiles for n in (*profile.missing, *(n for n, _ in profile.points))]
    losses = [loss for profile in profiles for _, loss in profile.points]
    if not losses:
        return ""
    axes = _axes(sizes, losses)
    colours = _colours({profile.budget for profile in profiles})
    drawn, key = [], []
    for i, profile in enumerate(profiles):
        colour, name = colours[profile.budget], _named(profile.budget)
        means = [(n, sum(several) / len(several)) for n, several in _by_size(profile.points).items()]
        line = " ".join(axes.at(point) for point in means)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
        for n, loss in profile.points:
            x, y = axes.at((n, loss)).split(",")
            title = f"<title>{escape(f'{name}, N = {tick(n)}: loss {loss:.4f}')}</title>"
            drawn.append(f'<circle cx="{x}" cy="{y}" r="3.2" fill="{colour}">{title}</circle>')
        for n in sorted(set(profile.missing)):
            x, y = axes.at((n, axes.y[0])).split(",")
            rise = 6 + 7 * i  # those of several budgets stand above each other
            drawn.append(
                f'<path d="M{x} {float(y) - rise:.1f}v6" stroke="{colour}" stroke-width="2">'
                f"<title>{escape(f'{name}, N = {tick(n)}: to come')}</title></path>"
            )
        key.append((colour, name))
    what = "Held-out loss (nats per token) against parameters N, a line a budget; marks at the bottom: runs to come."
    return _plot("profiles", "IsoFLOP profiles so far", what, axes, [*drawn, *_key(key)], "N", tick)


def _colours(budgets: Iterable[float]) -> dict[float, str]:
    ordered = sorted(budgets)
    return dict(zip(ordered, ordered_colours(len(ordered)), strict=True))


def _named(budget: float) -> str:
    return f"C = {power(budget, 3)}"


def _by_size(points: Iterable[Point]) -> dict[float, list[float]]:
    found: dict[float, list[float]] = {}
    for n, loss in sorted(points):
        found.setdefault(n, []).append(loss)
    return found


def _thinned(points: Sequence[Point]) -> list[Point]:
    """The means of neighbours, evenly in the logarithm of x: at most :data:`MOST_POINTS`, and the last point itself."""
    low, high = math.log(points[0][0]), math.log(points[-1][0])
    together: dict[int, list[Point]] = {}
    for point in points[:-1]:
        place = int(MOST_POINTS * (math.log(point[0]) - low) / max(high - low, 1e-9))
        together.setdefault(place, []).append(point)
    means = [(fmean(x for x, _ in some), fmean(y for _, y in some)) for some in together.values()]
    return [*means, points[-1]]


def _axes(x: Sequence[float], y: Sequence[float]) -> _Axes:
    """With a margin about the data."""
    space = 0.06 * (max(y) - min(y)) or 0.05 * abs(max(y)) or 1.0
    factor = (max(x) / min(x)) ** 0.04
    factor = factor if factor > 1 else 1.2
    return _Axes((min(x) / factor, max(x) * factor), (min(y) - space, max(y) + space))


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in MULTIPLES:
        found = [one for k in decades for m in multiples if low <= (one := float(f"{m}e{k}")) <= high]
        if len(found) <= MOST_TICKS:
            return found
    return found[:: math.ceil(len(found) / MOST_TICKS)]


def _linear_ticks(low: float, high: float) -> list[float]:
    size = 10 ** math.floor(math.log10((high - low) / MOST_TICKS))
    step = next(one * size for one in STEPS if (high - low) / (one * size) <= MOST_TICKS)
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _key(entries: Sequence[tuple[str, str]]) -> list[str]:
    """Names of colours, at the top right."""
    places = [(TOP + 14 * i + 10, *entry) for i, entry in enumerate(reversed(entries))]
    return [
        f'<text x="{WIDTH - RIGHT - 4}" y="{y}" text-anchor="end" fill="{colour}">{escape(name)}</text>'
        for y, colour, name in places
        if y < HEIGHT - BOTTOM
    ]


def _plot(
    name: str, title: str, what: str, axes: _Axes, drawn: Sequence[str], x: str, write: Callable[[float], str]
) -> str:
    """The drawing within its axes; ``what`` is told to who cannot see it."""
    bottom = HEIGHT - BOTTOM
    lines = []
    for value in _log_ticks(*axes.x):
        at = axes.at((value, axes.y[0])).partition(",")[0]
        lines.append(f'<path d="M{at} {TOP}V{bottom}" stroke="#ddd"/>')
        lines.append(f'<text x="{at}" y="{bottom + 15}" text-anchor="middle">{escape(write(value))}</text>')
    for value in _linear_ticks(*axes.y):
        at = axes.at((axes.x[0], value)).partition(",")[2]
        lines.append(f'<path d="M{LEFT} {at}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{float(at) + 4:.1f}" text-anchor="end">{value:g}</text>')
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{title}: {what}")}" '
        f'font-size="11" fill="{GREY}"><clipPath id="inside-{name}"><rect x="{LEFT}" y="{TOP}" '
        f'width="{WIDTH - LEFT - RIGHT}" height="{bottom - TOP}"/></clipPath>'
        f'<text x="{LEFT}" y="14" fill="{INK}" font-size="12.5" font-weight="600">{escape(title)}</text>'
        f'{"".join(lines)}<g clip-path="url(#inside-{name})">{"".join(drawn)}</g>'
        f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="{INK}"/>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end" fill="{INK}">{escape(x)}</text>'
        f'</svg><p class="soft">{escape(what)}</p>'
    )
