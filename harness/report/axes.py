"""Logarithmic axes: which ticks have labels, and how these are written."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from harness.fit.bootstrap import NOT_BOUNDED, Interval
from harness.fit.table import Array
from harness.report.text import power
from harness.text import count

# Multiples of powers of ten that a log axis may have labels at, the densest first.
MULTIPLES = ((1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0), (1.0, 2.0, 3.0, 5.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
FEWEST_TICKS, MOST_TICKS = 3, 8
FAR = 10.0  # an interval is drawn to its end where that lies within this factor of the values
# Inches: a letter of a tick's label in the size below, a line of it, and the least space to the next.
LABEL_WIDTH, LABEL_HEIGHT, LABEL_SPACE = 0.058, 0.11, 0.09


class LogTicks(LogLocator):
    """Ticks of a log axis: as many labels as have room, eight at most, and three at least on the shortest axis.

    The choice is made when the axis is drawn: only then are its range and its length known.

    Args:
        axes: whose axis ``which``, ``x`` or ``y``, this is.
        write: how a tick is labelled: long labels beside each other need more room.
    """

    def __init__(self, axes: Axes, which: str, write: Callable[[float], str]) -> None:
        super().__init__(base=10)
        self.axes, self.which, self.write = axes, which, write

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """The densest multiples of powers of ten whose labels do not touch."""
        low, high = sorted((vmin, vmax))
        if not (0 < low < high and math.isfinite(high)):
            return np.empty(0)
        scale = self._length() / math.log10(high / low)
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for multiples, step in (*((one, 1) for one in MULTIPLES), *(((1.0,), step) for step in range(2, 99))):
            # Written as a decimal and read again, 3 × 10⁻³ is 0.003 and no neighbour of it.
            ticks = [float(f"{m}e{k}") for k in decades if k % step == 0 for m in multiples]
            inside = [one for one in ticks if low <= one <= high]
            if len(inside) <= MOST_TICKS and self._stand_apart(inside, scale):
                break
        if len(inside) >= FEWEST_TICKS or step > 1:
            return np.array(ticks)
        # Within a factor of two or so: evenly, as on a linear axis.
        for most in (6, 5, 4, 3, 2):
            ticks = [float(one) for one in MaxNLocator(most, steps=[1, 2, 5, 10]).tick_values(low, high)]
            ticks = [one for one in ticks if low <= one <= high]
            if self._stand_apart(ticks, scale):
                break
        while len(ticks) > 1 and not self._stand_apart(ticks, scale):
            ticks = ticks[::2]
        return np.array(ticks)

    def _stand_apart(self, ticks: Sequence[float], scale: float) -> bool:
        """Whether labels at ``ticks`` differ and leave a space between them, at ``scale`` inches a decade."""
        texts = [self.write(one) for one in ticks]
        sizes = [LABEL_HEIGHT if self.which == "y" else LABEL_WIDTH * len(text) for text in texts]
        return len(set(texts)) == len(texts) and all(
            scale * math.log10(second / first) >= (size + next_size) / 2 + LABEL_SPACE
            for (first, size), (second, next_size) in pairwise(zip(ticks, sizes, strict=True))
        )

    def _length(self) -> float:
        """Of the axis, in inches."""
        figure = self.axes.get_figure(root=True)
        assert figure is not None
        box = self.axes.bbox
        return float(box.width if self.which == "x" else box.height) / figure.dpi


def log_counts(axes: Axes, which: str) -> None:
    """Log axis ``x`` or ``y`` with ticks like ``30M``."""
    _log(axes, which, tick)


def top_scale(axes: Axes, factor: float, name: str) -> None:
    """A second scale above a logarithmic x axis: ``factor`` times the first, of ordinary numbers."""
    top = axes.secondary_xaxis(
        "top", functions=(partial(np.multiply, factor), partial(np.multiply, 1 / factor))
    )
    top.set_xlabel(name)
    label_ticks(cast("Axes", top), "x", _plain)


def tick(value: float) -> str:
    """``30M`` where :func:`harness.text.count` has ``30.0M``: a tick is exact, so trailing zeros are dropped."""
    text = count(value)
    number = text.rstrip("kMBT")
    plain = number.rstrip("0").rstrip(".") if "." in number else number
    return plain + text[len(number) :]


def log_plain(axes: Axes, which: str) -> None:
    """Log axis of ordinary numbers such as ratios: ``0.5``, ``20``, ``1000``."""
    _log(axes, which, _plain)


def _plain(value: float) -> str:
    return f"{value:g}"


def log_flops(axes: Axes, which: str = "x") -> None:
    """Log axis of FLOPs: ``10¹²``, ``2 × 10¹²``."""
    _log(axes, which, flops_tick)


def flops_tick(value: float) -> str:
    """A tick is exact; on the shortest axes that takes a third digit."""
    return power(value, 3)


def _log(axes: Axes, which: str, write: Callable[[float], str]) -> None:
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    label_ticks(axes, which, write)


def label_ticks(axes: Axes, which: str, write: Callable[[float], str]) -> None:
    """The one place that decides which ticks of a log axis have labels, and how these are written."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogTicks(axes, which, write))
    axis.set_major_formatter(FuncFormatter(partial(_written, write)))
    axis.set_minor_formatter(NullFormatter())


def _written(write: Callable[[float], str], value: float, _: int | None) -> str:
    """A tick's label. It is no lambda, because a figure with one cannot be pickled."""
    return write(value)


def error_arms(value: float, bounds: Interval | None) -> list[float] | None:
    """How far an interval reaches below and above its value; an end that is not bounded has no arm.

    Of few draws an interval may lie all on one side of its value: there is no arm on the other.
    """
    if bounds is None:
        return None
    arms = value - bounds[0], bounds[1] - value
    return [max(arm, 0.0) if math.isfinite(arm) else 0.0 for arm in arms]


def mark_not_bounded(axes: Axes, x: float, y: float, bounds: Interval | None) -> None:
    """Writes ``not bounded`` beside a point whose interval is open above: there is no arm or band to show it."""
    if bounds is not None and math.isinf(bounds[1]):
        axes.annotate(
            NOT_BOUNDED, (x, y), (0, 5), textcoords="offset points", ha="center", va="bottom", fontsize=6.5
        )


def frame(
    axes: Axes,
    which: str,
    values: Iterable[Array | Sequence[float]],
    ends: Iterable[Array | Sequence[float]] = (),
) -> None:
    """Limits of log axis ``x`` or ``y``: all ``values``, and ``ends`` of intervals unless they reach far beyond.

    An interval that is not bounded, or hardly, would make what is known a line at the edge. What is not positive and
    finite is no limit.
    """
    known, reach = _logs(values), _logs(ends)
    if not len(known):
        return
    low, high = float(known.min()), float(known.max())
    far = math.log(FAR)
    near = reach[(reach > low - far) & (reach < high + far)]
    cut = reach[(reach <= low - far) | (reach >= high + far)]
    low = min([low, *near, *([low - far] if (cut < low).any() else [])])
    high = max([high, *near, *([high + far] if (cut > high).any() else [])])
    margin = 0.05 * (high - low) + 0.02
    limits = math.exp(low - margin), math.exp(high + margin)
    if which == "x":
        axes.set_xlim(*limits)
    else:
        axes.set_ylim(*limits)


def _logs(values: Iterable[Array | Sequence[float]]) -> Array:
    joined = np.concatenate([np.empty(0), *(np.asarray(one, dtype=float).ravel() for one in values)])
    return np.asarray(np.log(joined[np.isfinite(joined) & (joined > 0)]))
