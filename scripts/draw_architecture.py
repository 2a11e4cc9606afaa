"""Draws docs/architecture.svg, the rooms and what flows between them: python -m scripts.draw_architecture

The numbers of the layers come from ``tests/test_layout.py``. A room without a place here is an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "architecture.svg"
WIDTH, HEIGHT = 1220, 592
INK, SOFT, LINE = "#1f2933", "#52606d", "#7b8794"
ASK, EXPERIMENT, MAKE, USE, BASE = "#e9eef4", "#f7eedb", "#e2f0e6", "#e2ebf8", "#f0f0f0"


@dataclass(frozen=True)
class Box:
    """A room: its place in pixels, its colour, and what it does."""

    name: str
    x: float
    y: float
    width: float
    height: float
    fill: str
    about: Sequence[str] = ()


STEP, FIRST, ROOM = 166, 30, 92  # of the columns of the middle row
COLUMN = [FIRST + STEP * i for i in range(7)]
TOP, FLOW, BELOW, UNDER = 212, 304, 418, 512  # of its rows


def _row(y: float, fill: str, height: float, *rooms: tuple[str, float, float, str]) -> list[Box]:
    return [Box(name, x, y, width, height, fill, (about,)) for name, x, width, about in rooms]


BOXES = [
    *_row(
        *(18, ASK, 36),
        ("__main__", 30, 250, "isoflop, python -m harness"),
        ("cli", 296, 306, "grammar and exit statuses"),
        ("completion", 618, 278, "what a shell offers at a TAB"),
        ("library", 912, 278, "from Python and notebooks"),
    ),
    *_row(
        62,
        ASK,
        36,
        ("commands", 30, 1160, "one thin module a command: what is asked, one call, what is printed"),
    ),
    *_row(
        *(106, ASK, 36),
        (
            "workflow",
            30,
            1160,
            "what commands share: corpus and plan, training what is missing, follow-ups, publishing",
        ),
    ),
    *_row(
        *(150, EXPERIMENT, 36),
        ("tune", 30, 180, "hyperparameters"),
        ("calibrate", 226, 180, "device speed"),
        ("validate", 422, 180, "a forecast judged"),
        ("compare", 618, 180, "arms"),
        ("evaluate", 814, 180, "models on tasks"),
        ("design", 1010, 180, "runs to add"),
    ),
    Box("config", COLUMN[0], FLOW, ROOM, 58, MAKE, ("composes,", "checks")),
    Box("plan", COLUMN[1], FLOW, ROOM, 58, MAKE, ("the grid, rules,", "run ids, times")),
    Box("train", COLUMN[2], FLOW, ROOM, 58, MAKE, ("one run, exactly", "its tokens")),
    Box("runs", COLUMN[3], FLOW, ROOM, 58, MAKE, ("the folder,", "records, claims")),
    Box("fit", COLUMN[4], FLOW, ROOM, 58, USE, ("approaches 1–3,", "statuses")),
    Box("predict", COLUMN[5], FLOW, ROOM, 58, USE, ("N*, D*, L*, time,", "cost, serving")),
    Box("report", COLUMN[6], FLOW, ROOM, 58, USE, ("figures, tables,", "the page")),
    Box("launch", COLUMN[2] - 24, TOP, ROOM + 48, 46, MAKE, ("workers here, job arrays",)),
    Box("tracking", COLUMN[3] + 6, TOP, ROOM + 20, 46, MAKE, ("mirror and source",)),
    Box("model", COLUMN[1] + 4, BELOW, 120, 46, MAKE, ("shapes, counts, code",)),
    Box("data", COLUMN[1] + 136, BELOW, 118, 46, MAKE, ("text to token files",)),
    Box("fetch", COLUMN[3] + 6, BELOW, 112, 46, MAKE, ("corpora by apt",)),
    Box("notify", COLUMN[3] + 126, BELOW, 112, 46, MAKE, ("who is told",)),
    *(
        Box(name, 156 + 115 * i, UNDER, 111, 46, BASE, (about,))
        for i, (name, about) in enumerate(
            (
                ("text", "words for people"),
                ("amounts", "numbers as typed"),
                ("cores", "how many there are"),
                ("interrupts", "signals in one line"),
                ("bounds", "ranges of settings"),
                ("files", "atomic and sealed"),
                ("errors", "UserError"),
                ("packaged", "where configs lie"),
                ("version", "of packages"),
            )
        )
    ),
]


def picture(rooms: Sequence[Sequence[str]]) -> str:
    """The SVG.

    Args:
        rooms: the layers from the top, the names of the rooms of each.

    Raises:
        ValueError: a room has no place in the picture.
    """
    layer = {name: len(rooms) - i for i, names in enumerate(rooms) for name in names}
    if missing := layer.keys() - {box.name for box in BOXES}:
        raise ValueError(f"no place for {', '.join(sorted(missing))}: add it to BOXES in {__file__}")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="DejaVu Sans, Verdana, sans-serif" role="img">',
        "<title>The rooms of the package, their layers, and what flows between them</title>",
        f'<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0,0 L8,4 L0,8 z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *_flow(),
        *(line for box in BOXES if box.name in layer for line in _room(box, layer[box.name])),
        _text(
            *(30, HEIGHT - 8),
            "Arrows: what flows, mostly as files of a sweep's folder. Numbers: layers; a room imports rooms with "
            "smaller numbers only.",
            size=11,
            colour=SOFT,
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _room(box: Box, layer: int) -> Iterator[str]:
    yield (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="5" fill="{box.fill}" '
        f'stroke="{LINE}"/>'
    )
    yield _text(box.x + box.width - 5, box.y + 11, str(layer), size=8.5, colour=SOFT, anchor="end")
    if box.height < 40:  # in one line
        baseline = box.y + box.height / 2 + 4.5
        about = f'<tspan dx="10" font-size="10.5" font-weight="normal" fill="{SOFT}">{escape(box.about[0])}</tspan>'
        yield _text(box.x + 10, baseline, box.name, weight="bold").replace("</text>", f"{about}</text>")
    else:
        middle = box.x + box.width / 2
        yield _text(middle, box.y + 18, box.name, weight="bold", anchor="middle")
        for i, about in enumerate(box.about):
            yield _text(middle, box.y + 34 + 13 * i, about, size=9.5, colour=SOFT, anchor="middle")


def _flow() -> Iterator[str]:
    """Arrows, and the files on them."""
    middle = FLOW + 29
    files = (
        ("config.yaml",),
        ("plan.json",),
        ("record.json", "curve.csv"),
        ("runs.csv",),
        ("fit.json", "draws.npz"),
        (),
    )
    for i, names in enumerate(files):
        yield from _arrow(COLUMN[i] + ROOM, middle, COLUMN[i + 1], middle, names)
    # configurations come in, the page goes out
    yield _text(COLUMN[0] + 4, FLOW - 44, "configs/", size=10.5, mono=True)
    yield _text(COLUMN[0] + 4, FLOW - 30, "key=value", size=10.5, mono=True)
    yield from _arrow(COLUMN[0] + ROOM / 2, FLOW - 22, COLUMN[0] + ROOM / 2, FLOW)
    yield from _arrow(COLUMN[6] + ROOM, middle, COLUMN[6] + ROOM + 34, middle)
    yield _text(COLUMN[6] + ROOM - 8, FLOW + 76, "report.html", size=10.5, mono=True, anchor="middle")
    yield _text(COLUMN[6] + ROOM - 8, FLOW + 90, "figures/", size=10.5, mono=True, anchor="middle")
    # around a run
    centre = COLUMN[2] + ROOM / 2
    yield from _arrow(centre, TOP + 46, centre, FLOW)
    yield _text(centre + 6, FLOW - 18, "jobs", size=10, colour=SOFT)
    panel = COLUMN[1] - 8
    yield (
        f'<rect x="{panel}" y="{BELOW - 14}" width="{COLUMN[2] + ROOM + 8 - panel}" height="74" rx="8" fill="none" '
        f'stroke="{LINE}" stroke-dasharray="4 3"/>'
    )
    yield from _arrow(COLUMN[1] + ROOM / 2, BELOW - 14, COLUMN[1] + ROOM / 2, FLOW + 58)
    yield _text(COLUMN[1] + ROOM / 2 + 7, FLOW + 82, "N, FLOPs, tokens", size=10, colour=SOFT)
    yield from _arrow(centre, BELOW - 14, centre, FLOW + 58)
    yield _text(centre + 7, FLOW + 82, "model, batches", size=10, colour=SOFT)
    yield from _arrow(COLUMN[3] + 6, BELOW + 23, COLUMN[1] + 254, BELOW + 23)
    # W&B
    mirror = COLUMN[3] + ROOM / 2 + 6
    yield from _arrow(mirror, FLOW, mirror, TOP + 46, both=True)
    yield _text(COLUMN[4] + 14, TOP + 27, "W&B", size=12, weight="bold")
    yield from _arrow(COLUMN[3] + ROOM + 26, TOP + 23, COLUMN[4] + 9, TOP + 23, both=True)
    # a report reads the fit itself, too
    fit, report = COLUMN[4] + ROOM / 2, COLUMN[6] + ROOM / 2
    yield (
        f'<path d="M{fit:g},{FLOW} V{FLOW - 24} H{report:g} V{FLOW}" fill="none" stroke="{LINE}" stroke-width="1.4" '
        'marker-end="url(#head)"/>'
    )
    # what else is fitted, or asked
    for column, lines in ((4, ("anyone's", "table.csv")), (5, ("published", "laws"))):
        x = COLUMN[column] + ROOM / 2
        yield from _arrow(x, FLOW + 84, x, FLOW + 58)
        for i, line in enumerate(lines):
            yield _text(x, FLOW + 98 + 13 * i, line, size=10.5, anchor="middle", colour=SOFT)
    # the foundation
    yield _text(30, UNDER + 27, "below all of them:", size=11, colour=SOFT)


def _arrow(
    x1: float, y1: float, x2: float, y2: float, names: Sequence[str] = (), both: bool = False
) -> Iterator[str]:
    start = ' marker-start="url(#head)"' if both else ""
    yield (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{LINE}" stroke-width="1.4" '
        f'marker-end="url(#head)"{start}/>'
    )
    for i, name in enumerate(reversed(names)):
        yield _text((x1 + x2) / 2, y1 - 7 - 12 * i, name, size=9.8, mono=True, anchor="middle")


def _text(
    x: float,
    y: float,
    text: str,
    size: float = 13,
    colour: str = INK,
    weight: str = "normal",
    anchor: str = "start",
    mono: bool = False,
) -> str:
    family = ' font-family="DejaVu Sans Mono, Menlo, monospace"' if mono else ""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="{anchor}"{family}>{escape(text)}</text>'
    )


if __name__ == "__main__":
    from tests.test_layout import ROOMS

    PICTURE.write_text(picture(ROOMS), encoding="utf-8")
