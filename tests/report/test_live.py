"""The live section: what is drawn is what was given, and no text of a run's is obeyed."""

import re
from itertools import pairwise

from harness.report.live import FIRST, Live, LiveRun, fragments, section, waiting_page
from harness.report.live_plots import MOST_POINTS, Profile, Trace, draw_curves, draw_profiles

HOSTILE = "<script>alert(1)</script><img src=x onerror='alert(2)'>\"&"


def circles(svg: str) -> list[tuple[float, float]]:
    found = re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', svg)
    return [(float(x), float(y)) for x, y in found]


def polylines(svg: str) -> list[list[tuple[float, float]]]:
    found = re.findall(r'<polyline points="([^"]*)"', svg)
    return [[tuple(map(float, at.split(","))) for at in one.split()] for one in found]  # type: ignore[misc]


def test_a_profile_has_a_point_for_every_finished_run_and_a_mark_for_every_other() -> None:
    small = Profile(1e9, ((1e4, 3.0), (2e4, 2.5), (4e4, 2.8), (2e4, 2.6)), (8e4,))
    large = Profile(1e10, ((4e4, 2.0),), (8e4, 1.6e5))
    svg = draw_profiles((small, large))
    assert svg.count("<circle") == 5
    assert svg.count("to come</title>") == 3
    (line, single) = polylines(svg)
    assert [x for x, _ in line] == sorted(x for x, _ in line)
    assert len(line) == 3, "two seeds of a size are one place of the line"
    heights = [y for _, y in line]
    assert heights[0] < heights[2] < heights[1], "a lower loss stands lower"
    assert abs((line[1][0] - line[0][0]) - (line[2][0] - line[1][0])) < 0.3, "N is logarithmic"
    assert single[0][1] > heights[1]
    assert draw_profiles((Profile(1e9, (), (1e4,)),)) == ""


def test_curves_are_thinned_to_means_and_end_where_the_run_is() -> None:
    falling = tuple((1e6 * i, 4 - i / 1000) for i in range(1, 2001))
    one = Trace(1e9, "one", False, falling)
    two = Trace(1e10, "two", True, tuple((flops, loss + 0.5) for flops, loss in falling[:1000]))
    svg = draw_curves((one, two, Trace(1e10, "three", True, ())))
    ended, running = polylines(svg)
    assert len(ended) <= MOST_POINTS + 1
    assert len(circles(svg)) == 1, "at the end of the run that runs"
    assert circles(svg)[0] == running[-1]
    assert running[-1][0] < ended[-1][0]
    assert all(first[1] < second[1] for first, second in pairwise(ended)), "it falls"
    assert draw_curves(()) == ""


def test_curves_of_one_row_or_of_equal_losses_are_drawn() -> None:
    assert len(circles(draw_curves((Trace(1e9, "one", True, ((1e6, 3.0),)),)))) == 1
    assert draw_curves((Trace(1e9, "one", False, ((1e6, 3.0), (2e6, 3.0))),)).count("<polyline") == 1
    assert draw_profiles((Profile(1e9, ((1e4, 3.0),), ()),)).count("<circle") == 1


def test_a_drawing_is_made_anew_only_when_its_data_are_other() -> None:
    first = draw_curves((Trace(1e9, "one", False, ((1e6, 3.0), (2e6, 2.5))),))
    assert draw_curves((Trace(1e9, "one", False, ((1e6, 3.0), (2e6, 2.5))),)) is first
    assert draw_curves((Trace(1e9, "one", False, ((1e6, 3.0), (2e6, 2.4))),)) != first


def test_no_text_of_a_run_is_obeyed() -> None:
    run = LiveRun(HOSTILE, (HOSTILE,), "failed", HOSTILE, 0.5, HOSTILE, HOSTILE, HOSTILE)
    live = Live(
        name=HOSTILE,
        summary=HOSTILE,
        counts=(("failed", HOSTILE, 1),),
        lines=(HOSTILE,),
        warnings=(HOSTILE,),
        headings=(HOSTILE,),
        runs=(run,),
        traces=(Trace(1e9, HOSTILE, True, ((1e6, 3.0),)),),
        below=HOSTILE,
    )
    page = waiting_page(HOSTILE, section(live, HOSTILE, 5.0))
    assert "alert(1)" in page, "it is shown"
    for text in (page, *fragments(live).values()):
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_what_failed_and_what_runs_comes_first() -> None:
    runs = tuple(LiveRun(kind, (), kind, kind, 0.0, "", "", "") for kind in reversed(FIRST))
    table = fragments(Live("x", "", runs=runs))["live-runs"]
    assert re.findall(r'<tr class="(\w+)">', table)[:3] == ["failed", "unknown", "running"]
