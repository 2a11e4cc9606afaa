"""How counting moves the answer: exponent and tokens per parameter under every convention."""

from matplotlib.figure import Figure

from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.style import APPROACH_COLOURS, APPROACH_NAMES, GREY, log_plain, panels


def draw(material: Material) -> Figure:
    """One line a convention; the one the report uses is at the top where it is among them."""
    rows = [row for row in material.fit.counting if row.a is not None]
    conventions = list(dict.fromkeys((row.count, row.compute) for row in rows))
    if len(conventions) < 2:
        raise MissingError("the table counts parameters and compute in one way only")
    figure, (left, right) = panels(2, width=4.3, height=1.2 + 0.26 * len(conventions))
    places = {convention: -i for i, convention in enumerate(conventions)}
    for row in rows:
        colour = APPROACH_COLOURS.get(row.approach, GREY)
        marker = "s" if row.approach == "approach_3" else "o"
        hollow = "none" if row.status != "ok" else colour
        place = places[row.count, row.compute]
        style = {"color": colour, "marker": marker, "markersize": 5, "markerfacecolor": hollow}
        left.plot([row.a], [place], **style)  # type: ignore[arg-type]
        if row.tokens_per_param is not None:
            right.plot([row.tokens_per_param], [place], **style)  # type: ignore[arg-type]
    for name in dict.fromkeys(row.approach for row in rows):
        marker = "s" if name == "approach_3" else "o"
        left.plot(
            [], [], marker, color=APPROACH_COLOURS.get(name, GREY), label=APPROACH_NAMES.get(name, name)
        )
    left.set_yticks(list(places.values()), [convention_label(*convention) for convention in places])
    left.set(xlabel="a  (N* ∝ Cᵃ)", ylim=(-len(conventions) + 0.4, 0.6))
    left.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    right.set_yticks(list(places.values()), [""] * len(places))
    right.set(ylim=left.get_ylim())
    log_plain(right, "x")
    right.set_xlabel("tokens per parameter at the largest budget")
    right.axvline(20, color=GREY, linestyle=":", linewidth=1)
    return figure


def convention_label(count: str, compute: str) -> str:
    """``params_non_embedding``, ``flops_6nd`` → ``N non-embedding · C 6ND``."""
    size = _words(count.removeprefix("params")) or "total"
    cost = _words(compute.removeprefix("flops")) or "as planned"
    return f"N {size} · C {cost}"


def _words(column: str) -> str:
    words = column.strip("_").replace("_", " ").replace("non embedding", "non-embedding")
    return words.replace("6nd", "6ND").replace("appendix f", "Appendix F")
