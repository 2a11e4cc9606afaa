"""Sensitivity of the answer to the conventions by which N and C are counted."""

from typing import Any

from matplotlib.figure import Figure

from harness.fit.counting import count_label
from harness.report.axes import log_plain
from harness.report.data import MissingError, ReportData
from harness.report.figure_data import named
from harness.report.keys import key_below
from harness.report.style import APPROACH_COLOURS, APPROACH_NAMES, GREY, RULE, panels
from harness.report.text import plain_status

MARKS = {"approach_2": "o", "approach_3": "s"}
APART = {
    "approach_2": 0.13,
    "approach_3": -0.13,
}  # of a row's height: where the approaches agree both are to be seen


def draw_counting(data: ReportData) -> Figure:
    """One line a convention; the one the report uses is at the top where it is among them."""
    rows = [row for row in data.fit.counting if row.a is not None]
    conventions = list(dict.fromkeys((row.count, row.compute) for row in rows))
    if len(conventions) < 2:
        raise MissingError("the table counts parameters and compute in one way only")
    figure, (left, right) = panels(2, width=4.3, height=1.2 + 0.26 * len(conventions))
    places = {convention: -i for i, convention in enumerate(conventions)}
    for row in rows:
        place = places[row.count, row.compute] + APART.get(row.approach, 0.0)
        name = APPROACH_NAMES.get(row.approach, row.approach)
        label = named(f"{name}: {convention_label(row.count, row.compute)} ({plain_status(row.status)})")
        style = _style(row.approach, row.status == "ok") | {"label": label}
        assert row.a is not None, "rows without are left out"
        left.plot([row.a], [place], **style)
        if row.tokens_per_param is not None:
            right.plot([row.tokens_per_param], [place], **style)
    for approach in dict.fromkeys(row.approach for row in rows):
        for good, what in ((True, "ok"), (False, "with a warning")):
            if any(row.approach == approach and (row.status == "ok") == good for row in rows):
                name = APPROACH_NAMES.get(approach, approach)
                left.plot([], [], **_style(approach, good), label=f"{name}: {what}")
    left.set_yticks(list(places.values()), [convention_label(*convention) for convention in places])
    left.set(xlabel="a  (N* ∝ Cᵃ)", ylim=(-len(conventions) + 0.4, 0.6))
    left.axvline(0.5, color=GREY, linestyle=":", linewidth=1, label="a = 0.5; 20 tokens per parameter")
    right.set_yticks(list(places.values()), [""] * len(places))
    right.set(ylim=left.get_ylim())
    log_plain(right, "x")
    right.set_xlabel("D*/N* at the largest budget")
    right.axvline(RULE, color=GREY, linestyle=":", linewidth=1)
    key_below(figure)
    return figure


def _style(approach: str, good: bool) -> dict[str, Any]:
    colour = APPROACH_COLOURS.get(approach, GREY)
    return {
        "color": colour,
        "marker": MARKS.get(approach, "D"),
        "markersize": 5,
        "markerfacecolor": colour if good else "none",
        "linestyle": "",
    }


def convention_label(count: str, compute: str) -> str:
    """``params_non_embedding``, ``flops_6nd`` → ``N non-embedding · C 6ND``."""
    size = _words(count_label(count).removeprefix("params")) or "total"
    cost = _words(compute.removeprefix("flops")) or "as planned"
    return f"N {size} · C {cost}"


def _words(column: str) -> str:
    words = column.strip("_").replace("_", " ").replace("non embedding", "non-embedding")
    return words.replace("6nd", "6ND").replace("appendix f", "Appendix F")
