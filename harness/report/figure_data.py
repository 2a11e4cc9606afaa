"""The numbers of a figure as a table: every series that has a name, in the units of its axes.

A series has a name by its label. One that the legend does not show has a label that begins with an underscore, which
matplotlib keeps out of legends: ``label=named("runs")``. What has no name is decoration: a line at zero, a frame.
"""

import csv
import io
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection, PathCollection, PolyCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.fit.table import Array

UNNAMED = re.compile(r"_child\d+|_nolegend_|")
COLOUR_BAR = "<colorbar>"


class Row(NamedTuple):
    """One point of one series.

    Attributes:
        panel: from 1, in the order of reading. title: the panel's.
        x_axis, y_axis: what the axes show, with units.
        kind: ``points``, ``line``, ``band`` or ``contour``.
        x, y: NaN where there is none: of a band ``y``.
        x_low, x_high, y_low, y_high: the ends of bars and bands, NaN where there are none.
        value: what a colour or a contour stands for, NaN where there is none.
    """

    panel: int
    title: str
    x_axis: str
    y_axis: str
    series: str
    kind: str
    x: float
    y: float
    x_low: float = np.nan
    x_high: float = np.nan
    y_low: float = np.nan
    y_high: float = np.nan
    value: float = np.nan


def named(name: str) -> str:
    """The label of a series that is in the table and not in the legend."""
    return f"_{name}"


def series_name(artist: Artist | ErrorbarContainer) -> str | None:
    """What a series is called; None for decoration."""
    label = str(artist.get_label())
    return None if UNNAMED.fullmatch(label) else label.removeprefix("_")


def rows_of(figure: Figure) -> list[Row]:
    """All points of all series, panel by panel."""
    shown = [axes for axes in figure.axes if axes.get_label() != COLOUR_BAR and axes.get_visible()]
    return [row for number, axes in enumerate(shown, start=1) for row in _panel(number, axes)]


def to_csv(figure: Figure) -> str:
    """The table with a line of headings; an empty field where there is no number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    for row in rows_of(figure):
        writer.writerow([_field(value) for value in row])
    return text.getvalue()


def _field(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.7g}" if math.isfinite(value) else ""
    return str(value)


def _panel(number: int, axes: Axes) -> Iterator[Row]:
    title = (
        axes.get_title(loc="left").strip() or axes.get_title(loc="center").strip() or str(axes.get_label())
    )
    about = (number, _plain(title), _plain(axes.get_xlabel()), _plain(axes.get_ylabel()))
    bars = [one for one in axes.containers if isinstance(one, ErrorbarContainer)]
    parts = {part for one in bars for group in one.lines for part in _flat(group)}
    for bar in bars:
        if (name := series_name(bar)) is not None:
            for values in _of_bars(bar):
                yield Row(*about, name, "points", *values)
    for artist in (*axes.lines, *axes.collections):
        name = series_name(artist)
        if name is None or artist in parts:
            continue
        for kind, values in _of_artist(artist, axes):
            yield Row(*about, name, kind, *values)


def _of_artist(artist: Artist, axes: Axes) -> Iterator[tuple[str, tuple[float, ...]]]:
    if isinstance(artist, Line2D):
        if artist.get_transform() is not axes.transData:
            return  # a line across the whole panel
        kind = "points" if artist.get_linestyle() in ("None", "none", "", " ") else "line"
        for x, y in _finite(np.asarray(artist.get_xydata(), dtype=float)):
            yield kind, (x, y)
    elif isinstance(artist, ContourSet):
        for level, path in zip(artist.levels, artist.get_paths(), strict=True):
            for x, y in _finite(np.asarray(path.vertices)):
                yield "contour", (x, y, *[np.nan] * 4, float(level))
    elif isinstance(artist, PathCollection):
        offsets = np.asarray(artist.get_offsets(), dtype=float)
        array = artist.get_array()
        values = np.full(len(offsets), np.nan) if array is None else np.asarray(array, dtype=float)
        for (x, y), value in zip(offsets, values, strict=True):
            yield "points", (float(x), float(y), *[np.nan] * 4, float(value))
    elif isinstance(artist, PolyCollection):
        for x, low, high in _of_band(artist):
            yield "band", (x, np.nan, np.nan, np.nan, low, high)


def _of_band(band: Collection) -> Iterator[tuple[float, float, float]]:
    """(x, low, high) of what ``fill_between`` drew: out along one side, back along the other."""
    for path in band.get_paths():
        corners = np.asarray(path.vertices)[:-1]  # the last closes it
        half = len(corners) // 2
        out, back = corners[1:half], corners[half + 1 :][::-1]
        for (x, one), (_, other) in zip(out, back, strict=True):
            yield float(x), float(min(one, other)), float(max(one, other))


def _of_bars(bars: ErrorbarContainer) -> Iterator[tuple[float, ...]]:
    data, _, drawn = bars.lines
    if data is None:
        return
    points = np.asarray(data.get_xydata(), dtype=float)
    ends = np.full((len(points), 4), np.nan)
    columns = [(0, 0)] * bars.has_xerr + [(2, 1)] * bars.has_yerr
    for collection, (first, axis) in zip(drawn, columns, strict=True):
        for i, segment in enumerate(collection.get_segments()):
            if len(segment):
                ends[i, first : first + 2] = np.sort(np.asarray(segment)[:, axis])
    for (x, y), reach in zip(points, ends, strict=True):
        yield (float(x), float(y), *(float(end) for end in reach))


def _flat(group: object) -> tuple[object, ...]:
    return group if isinstance(group, tuple) else () if group is None else (group,)


def _finite(points: Array) -> Iterator[tuple[float, float]]:
    for x, y in points:
        if np.isfinite(x) and np.isfinite(y):
            yield float(x), float(y)


def _plain(text: str) -> str:
    """Without line breaks and mathtext: ``N* ∝ C^0.52``."""
    return " ".join(re.sub(r"\$\^\{([^}]*)\}\$", r"^\1", text).split())
