"""The interactive figures: their data, their specifications, and what a reader does with them in a browser."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from harness.fit import Curve, FitOptions, Points, fit_points
from harness.report.assets import asset
from harness.report.curves import MOST_CURVES
from harness.report.data import ReportData
from harness.report.explore.charts import charts
from harness.report.explore.data import OTHER, explored
from harness.report.explore.section import SETS, section
from harness.report.explore.vega import compiled
from harness.report.files import write_report
from harness.runs.frozen import frozen_plan
from harness.text import count
from harness.workflow.report import from_sweep
from tests.fit.synthetic import sweep
from tests.report.browser import find
from tests.report.conftest import FEW, Reported
from tests.report.javascript import needs_browser

QUICK = FitOptions(draws=60)
BOTH = ("#ffffff", "#14171a")
HOSTILE = "\"><script>document.title='failed: it ran'</script>"


def of(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)


def of_points(points: Points, curves: dict[str, Curve] | None = None) -> ReportData:
    fit = fit_points(points, QUICK, curves or {})
    return ReportData(name="points", fit=fit, points=points, table=points, curves=curves or {})


def test_every_run_of_the_fit_is_there_with_its_numbers(reported: Reported) -> None:
    data = of(reported)
    shown = explored(data)
    assert shown.runs["run"] == list(data.points.run_id)
    assert np.allclose(np.array(shown.runs["loss"], dtype=float), data.points.loss, rtol=1e-4)
    assert np.allclose(np.array(shown.runs["n"], dtype=float), data.points.params, rtol=1e-4)
    assert set(shown.runs["budget"]) == set(shown.budgets)
    assert all(isinstance(rate, float) for rate in shown.runs["lr"])
    residuals = np.array(shown.runs["off"], dtype=float)
    error = data.fit.approach_3.fit_error
    assert error is not None
    assert error.rms_log is not None
    # of measured / fitted - 1, in percent, beside that of its logarithm
    assert math.isclose(np.sqrt(np.mean(np.log1p(residuals / 100) ** 2)), error.rms_log, rel_tol=0.01)


def test_columns_of_a_set_are_equally_long_and_plain_numbers(reported: Reported) -> None:
    shown = explored(of(reported))
    for name in SETS:
        columns = getattr(shown, name)
        assert len({len(column) for column in columns.values()}) == 1, name
        json.dumps(columns, allow_nan=False)


def test_an_end_that_is_not_bounded_is_no_number(reported: Reported) -> None:
    data = of(reported)
    first = replace(data.fit.approach_2.budgets[0], params_interval=(1e4, math.inf))
    two = replace(data.fit.approach_2, budgets=(first, *data.fit.approach_2.budgets[1:]))
    shown = explored(replace(data, fit=replace(data.fit, approach_2=two)))
    assert (shown.minima["n_low"][0], shown.minima["n_high"][0]) == (1e4, None)


def test_curves_are_few_enough_for_a_screen_and_the_best_of_each_budget_stay() -> None:
    points = sweep(sizes=40)
    step = np.arange(1.0, 101.0)
    curves = {
        run: Curve(step, points.tokens[i] * step / 100, points.flops[i] * step / 100, 5 - step / 50)
        for i, run in enumerate(points.run_id)
    }
    data = of_points(points, curves)
    shown = explored(data)
    assert len(set(shown.curves["run"])) == MOST_CURVES
    assert f"Shown are {MOST_CURVES} of {len(points)} curves" in shown.curves_note
    for budget in data.fit.approach_2.budgets:
        runs = {
            run: loss for run, loss in zip(points.run_id, points.loss, strict=True) if run in budget.run_ids
        }
        assert min(runs, key=lambda run: runs[run]) in shown.curves["run"]


def test_runs_of_no_budget_have_a_name_of_their_own() -> None:
    points = sweep(budgets=(1e17, 3e17, 1e18), sizes=7)
    data = of_points(points)
    two = data.fit.approach_2
    first = replace(two.budgets[0], run_ids=two.budgets[0].run_ids[1:])
    fewer = replace(data.fit, approach_2=replace(two, budgets=(first, *two.budgets[1:])))
    shown = explored(replace(data, fit=fewer))
    assert shown.runs["budget"].count(OTHER) == 1
    assert shown.budgets[0] == OTHER
    assert OTHER not in explored(data).budgets


@pytest.mark.parametrize("size", [1, 3, 9])
def test_a_table_that_is_too_small_for_a_fit_still_has_a_page(size: int, tmp_path: Path) -> None:
    points = sweep(budgets=(1e18,), sizes=9).select(list(range(size)))
    data = of_points(points)
    for one in charts(explored(data)):
        compiled(one.spec)
    html = write_report(data, tmp_path, FEW).html.read_text(encoding="utf-8")
    assert ('id="chart-approaches"' in html) == any(one.theta() is not None for one in data.fit.approaches)


def test_text_from_a_table_is_no_code(tmp_path: Path) -> None:
    points = sweep(sizes=5)
    named = replace(points, run_id=(HOSTILE, *points.run_id[1:]))
    assert HOSTILE not in section(of_points(named), {})
    assert HOSTILE not in write_report(of_points(named), tmp_path, FEW).html.read_text(encoding="utf-8")


def contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio of two colours."""
    light = []
    for colour in (one, other):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_text_and_marks_stand_out_in_both_themes(reported: Reported) -> None:
    found = re.search(r'id="explore-data">(.*?)</script>', reported.html, re.S)
    assert found is not None
    palettes = json.loads(found[1])["palettes"]
    for theme, page in zip(("light", "dark"), BOTH, strict=True):
        for colours in palettes[theme].values():
            for name, colour in colours.items():
                assert contrast(colour, page) >= 3, (theme, name, colour)
    blocks = re.findall(r":root \{(.*?)\}", asset("page.css"), re.S)
    for block, page in zip(blocks[:2], BOTH, strict=True):
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block))
        assert colours["background"] == page
        for name in ("ink", "soft", "accent", "good", "caution", "bad"):
            for ground in ("background", "panel"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (page, name, ground)


COUNT = """
const points = (name) => document.querySelectorAll(`#chart-${name} .mark-symbol path`).length;
const form = document.getElementById("explore-form");
"""


@needs_browser
def test_what_a_reader_does_with_the_figures(reported: Reported, tmp_path: Path) -> None:
    script = """
    const before = [points("isoflop"), points("residuals")];
    const budget = form.querySelector("[name=budget]");
    toggle(budget); await tick();
    const fewer = [points("isoflop"), points("residuals")];
    toggle(budget); await tick();
    const areas = () => document.querySelectorAll("#chart-approaches .mark-area path").length;
    const bands = areas();
    toggle(form.querySelector("[name=approach]")); await tick();
    const fewerBands = areas();
    let told = null;
    document.addEventListener("isoflop:target", ({ detail }) => { told = detail; });
    const paths = () => document.querySelectorAll("#chart-isoflop .mark-line path");
    const lines = () => Array.from(paths(), (path) => path.getAttribute("d"));
    const profile = lines().at(-1);
    set(form.elements.target, "12"); await tick();
    const moved = lines().at(-1) !== profile;
    const run = document.querySelector("#table-runs tbody tr").id.slice(4);
    document.dispatchEvent(new CustomEvent("isoflop:run", { detail: run }));
    return { before, fewer, after: [points("isoflop"), points("residuals")], bands, fewerBands, told, moved,
      hash: location.hash, said: document.getElementById("target-said").textContent };
    """
    found = find(reported.written.html, tmp_path, COUNT + script)
    used = reported.fit.n_points
    assert found["before"][1] == used
    assert found["fewer"] == [found["before"][0] - 8, used - 7], "a budget's seven runs, and its minimum"
    assert found["after"] == found["before"]
    assert (found["bands"], found["fewerBands"]) == (3, 2)
    assert found["told"] == {"flops": 1e12, "source": "explore"}
    assert found["moved"], "the profile at the target follows"
    assert found["said"] == "1.00e12 FLOPs"
    assert found["hash"].startswith("#run-")


@needs_browser
def test_a_first_touch_says_what_a_point_is_and_a_second_goes_to_its_row(
    reported: Reported, tmp_path: Path
) -> None:
    script = """
    const tip = document.getElementById("explore-tip");
    const marks = document.querySelectorAll("#chart-isoflop .mark-symbol path");
    const touch = async (mark) => {
      mark.dispatchEvent(new PointerEvent("click", { bubbles: true, pointerType: "touch" })); await tick();
      return [tip.hidden ? "" : tip.textContent, location.hash];
    };
    const first = await touch(marks[0]), other = await touch(marks[1]), again = await touch(marks[1]);
    const minima = [];
    for (const mark of Array.from(marks).slice(-8)) minima.push((await touch(mark))[0]);
    return { first, other, again, minima };
    """
    found = find(reported.written.html, tmp_path, COUNT + script)
    assert [found[name][0].partition("\n")[0][:4] for name in ("first", "other")] == ["run "] * 2
    assert (found["first"][1], found["other"][1]) == ("", "")
    assert found["again"][1].startswith("#run-")
    two = reported.fit.approach_2.budgets
    said = [one for one in found["minima"] if one.startswith("minimum at C = ")]
    assert len(said) == sum(one.params_opt is not None for one in two)
    best = two[-1]
    assert best.params_opt is not None
    assert f"N* = {count(best.params_opt)} (" in said[-1]


@needs_browser
def test_the_target_that_the_calculator_sets_is_that_of_the_figures(
    reported: Reported, tmp_path: Path
) -> None:
    script = """
    document.dispatchEvent(new CustomEvent("isoflop:target", { detail: { flops: 3e11, source: "calculator" } }));
    await tick();
    return [Number(form.elements.target.value), document.getElementById("target-said").textContent];
    """
    slider, said = find(reported.written.html, tmp_path, COUNT + script)
    assert abs(slider - math.log10(3e11)) <= 0.01
    assert said == "3.00e11 FLOPs"


@needs_browser
def test_downloads_hold_what_is_drawn(reported: Reported, tmp_path: Path) -> None:
    script = """
    for (const kind of ["svg", "csv", "json"]) {
      document.querySelector(`#explore-residuals [data-save=${kind}]`).click(); await tick(200);
    }
    return saved;
    """
    svg, svg_name, csv, csv_name, plain, name = find(reported.written.html, tmp_path, script)
    assert (svg_name, csv_name, name) == ("residuals.svg", "residuals-runs.csv", "residuals.json")
    assert svg.startswith("<svg")
    assert "<text" in svg, "text stays text"
    rows = csv.strip().split("\r\n")
    assert len(rows) == 1 + reported.fit.n_points
    assert json.loads(plain)["runs"]["run"] == [row.split(",")[0] for row in rows[1:]]


@needs_browser
def test_the_table_of_runs_is_sorted_filtered_and_downloaded(reported: Reported, tmp_path: Path) -> None:
    script = """
    const table = document.querySelector("#table-runs table");
    const headings = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent.trim());
    const column = (name) => {
      const at = headings.indexOf(name);
      return Array.from(table.tBodies[0].rows, (row) => row.cells[at].textContent.trim());
    };
    const button = (name) => table.tHead.rows[0].cells[headings.indexOf(name)].querySelector("button");
    button("N").click(); const up = column("N");
    button("N").click(); const down = column("N");
    button("C (FLOPs)").click(); const flops = column("C (FLOPs)");
    button("loss").click(); const losses = column("loss");
    const input = document.querySelector(".tools input[type=search]");
    set(input, "diverged");
    const kept = Array.from(table.tBodies[0].rows).filter((row) => !row.hidden).length;
    input.closest(".tools").querySelector("button").click();
    return { up, down, flops, losses, kept, csv: saved[0], name: saved[1] };
    """
    found = find(reported.written.html, tmp_path, script)
    sizes = [text_number(one) for one in found["up"]]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 5
    assert [text_number(one) for one in found["down"]] == sorted(sizes, reverse=True)
    assert list(dict.fromkeys(found["flops"])) == ["10¹¹", "3 × 10¹¹", "10¹²", "3 × 10¹²"]
    assert found["losses"][-1] == "–", "what has no loss comes last"
    assert found["kept"] == 1
    assert found["name"] == "runs.csv"
    assert len(found["csv"].strip().split("\r\n")) == 2


def text_number(text: str) -> float:
    return float(text.rstrip("kMB")) * {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1.0)


@needs_browser
@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_window(width: int, reported: Reported, tmp_path: Path) -> None:
    script = "return [document.documentElement.scrollWidth, innerWidth];"
    scroll, window = find(reported.written.html, tmp_path, script, f"{width},900")
    assert scroll <= window


@needs_browser
def test_only_boxes_that_scroll_are_tab_stops(reported: Reported, tmp_path: Path) -> None:
    script = """
    dispatchEvent(new Event("resize")); await tick();
    const scrolls = (box) => box.scrollWidth > box.clientWidth + 1;
    return Array.from(document.querySelectorAll(".scroll"), (box) => [scrolls(box), box.tabIndex === 0]);
    """
    for size in ("1400,900", "500,900"):
        boxes = find(reported.written.html, tmp_path / size, script, size)
        assert boxes
        assert all(scrolls == stop for scrolls, stop in boxes)


@needs_browser
def test_static_figures_are_for_print_and_for_pages_without_scripts(
    reported: Reported, tmp_path: Path
) -> None:
    script = "return getComputedStyle(document.getElementById('figure-isoflop')).display;"
    assert find(reported.written.html, tmp_path, script) == "none"
    without = re.sub(r"<script\b.*?</script>", "", reported.html, flags=re.S)
    assert 'class="explored' not in without
    assert 'id="figure-isoflop"' in without
    assert "@media screen { .explored figure.static { display: none; } }" in asset("page.css")
