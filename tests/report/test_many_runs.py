"""A page of many runs stays small enough to open, and nothing of a run is lost."""

import io
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import vl_convert
from PIL import Image

from harness.fit import FitOptions, fit_points
from harness.report.budgets import MOST_BUDGETS, few, note
from harness.report.curves import MOST_CURVES, smoothed_curves
from harness.report.data import ReportData
from harness.report.figures.catalogue import FIGURES
from harness.report.files import write_report
from harness.report.html import image
from harness.report.saving import show
from harness.report.style import figure_style
from scripts.bench_page import SIZES, made_up
from scripts.redraw import report_data
from tests.report.browser import find
from tests.report.javascript import needs_browser

SOME = tuple(entry for entry in FIGURES if entry.name in ("residuals", "training_curves"))
RUNS = 1300


@pytest.fixture(scope="module")
def many() -> ReportData:
    points, curves = made_up(RUNS // SIZES)
    fit = fit_points(points, FitOptions(draws=30, backtest=False), curves)
    return ReportData(name="many", fit=fit, points=points, table=points, curves=curves)


@pytest.fixture(scope="module")
def page(many: ReportData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(many, tmp_path_factory.mktemp("many"), SOME).html


def test_dense_panels_are_images_and_few_points_are_shapes(
    many: ReportData, page: Path, tmp_path: Path
) -> None:
    drawn = (page.parent / "figures" / "residuals.svg").read_text(encoding="utf-8")
    assert "<image" in drawn
    few_runs = many.points.select(range(0, RUNS, 20))
    fewer = replace(
        many, fit=fit_points(few_runs, FitOptions(draws=30)), points=few_runs, table=few_runs, curves={}
    )
    write_report(fewer, tmp_path, SOME)
    assert "<image" not in (tmp_path / "figures" / "residuals.svg").read_text(encoding="utf-8")


def test_the_numbers_of_a_dense_figure_are_all_in_its_table(page: Path) -> None:
    rows = (page.parent / "figures" / "residuals.csv").read_text(encoding="utf-8").splitlines()
    assert sum(row.startswith("1,") and ",points," in row for row in rows) >= RUNS


def test_curves_that_are_left_out_are_said(many: ReportData, page: Path) -> None:
    found = smoothed_curves(many, 50)
    assert (len(found.shown), found.left_out) == (MOST_CURVES, RUNS - MOST_CURVES)
    html = page.read_text(encoding="utf-8")
    assert html.count(f"Shown are {MOST_CURVES} of {RUNS} curves") == 2, (
        "in the static and in the interactive figure"
    )


def test_budgets_are_taken_evenly_with_both_ends(many: ReportData) -> None:
    assert few([3.0, 1.0, 2.0]) == [1.0, 2.0, 3.0]
    picked = few(list(np.geomspace(1, 1e6, 50)))
    assert len(picked) == MOST_BUDGETS
    assert (picked[0], picked[-1]) == (1.0, pytest.approx(1e6))
    assert f"Shown are {MOST_BUDGETS} of {RUNS // SIZES} budgets" in note(many)


@needs_browser
def test_the_table_without_end_tags_is_the_same_table(page: Path, tmp_path: Path) -> None:
    html = page.read_text(encoding="utf-8")
    runs = re.search(r'<section id="runs">.*?</section>', html, re.S)
    assert runs is not None
    assert runs[0].count("</td>") == 0
    script = """
    const rows = Array.from(document.querySelectorAll("#table-runs tbody tr"), (row) => [row.id, row.cells.length]);
    return [rows.length, new Set(rows.map(([, cells]) => cells)).size, rows[0], rows.at(-1)];
    """
    count, widths, first, last = find(page, tmp_path, script)
    assert (count, widths) == (RUNS, 1)
    assert (first, last) == (["run-run00000", 7], [f"run-run{RUNS - 1:05d}", 7])


@needs_browser
@pytest.mark.parametrize("size", ["1400,900", "500,900"])
def test_a_row_that_is_not_laid_out_yet_is_gone_to_all_the_same(
    size: str, page: Path, tmp_path: Path
) -> None:
    script = """
    const box = document.getElementById("table-runs");
    const row = document.getElementById("run-run01234");
    const before = row.checkVisibility({ contentVisibilityAuto: true });
    document.dispatchEvent(new CustomEvent("isoflop:run", { detail: "run01234" })); await tick(300);
    const { top, bottom } = row.getBoundingClientRect();
    return { before, seen: top >= 0 && bottom <= innerHeight, reached: location.hash,
      stop: (box.tabIndex === 0) === (box.scrollWidth > box.clientWidth + 1) };
    """
    found = find(page, tmp_path, script, size)
    assert found == {"before": False, "seen": True, "reached": "#run-run01234", "stop": True}


def pixels(svg: str) -> np.ndarray:
    with Image.open(io.BytesIO(vl_convert.svg_to_png(svg, scale=2))) as drawn:
        return np.asarray(drawn.convert("RGBA"))


@pytest.mark.parametrize("name", ["isoflop", "training_curves", "contours", "residuals"])
def test_a_drawing_that_is_shortened_for_the_page_looks_the_same(name: str) -> None:
    data = report_data(Path(__file__).parents[2] / "results" / "demo")
    assert data is not None
    entry = next(one for one in FIGURES if one.name == name)
    with figure_style():
        svg = show(entry.draw(data), name).svg
    short = unquote(image(svg).partition(",")[2])
    assert len(short) < 0.85 * len(svg)
    assert np.array_equal(pixels(short), pixels(svg))
    assert pixels(svg).std() > 1, "there is something to see"
