"""An interval without an upper end is "not bounded": the same words in terminal, JSON, figures and page."""

import io
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from rich.console import Console

from harness.config.compose import compose_config
from harness.config.predict import ROOT, PredictConfig
from harness.fit import Fit, load_fit, write_fit
from harness.fit.bootstrap import Interval, bounds_text, percentile_interval
from harness.fit.encoding import decode, encode
from harness.predict.show_training import count_cell, number
from harness.report.calculator import as_script, calculator_data
from harness.report.data import ReportData
from harness.report.figures import approaches, curvature, isoflop
from harness.report.style import figure_style
from harness.report.tables import frontier
from harness.report.text import interval
from harness.runs.frozen import frozen_plan
from harness.workflow.predict import print_answer
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported
from tests.report.javascript import in_browser, in_node, needs_browser, needs_node

WORDS = "not bounded"
# What must not stand for it.
NEVER = ("∞", "inf", "Infinity", "e+30", "NaN")


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    data = from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
    return replace(data, fit=open_ended(data.fit))


def open_ended(fit: Fit) -> Fit:
    """The fit with a fifth of approach 2's draws running away in N*, and one budget's N* open above."""
    two = fit.approach_2
    assert two.draws is not None
    draws = two.draws.copy()
    draws[: len(draws) // 5, 1] = 40.0
    first, *others = two.budgets
    assert first.params_interval is not None
    first = replace(first, params_interval=(first.params_interval[0], math.inf))
    return replace(fit, approach_2=replace(two, draws=draws, budgets=(first, *others)))


def test_percentiles_of_runaway_draws_are_open() -> None:
    draws = np.geomspace(1.0, 1e150, 101)
    assert percentile_interval(draws, 0.9) == (pytest.approx(10**7.5), math.inf)
    assert percentile_interval(1 / draws, 0.9) == (0.0, pytest.approx(10**-7.5))
    assert percentile_interval(-draws, 0.9) == (-math.inf, pytest.approx(-(10**7.5)))
    assert percentile_interval(np.linspace(1, 2, 101), 0.9) == (pytest.approx(1.05), pytest.approx(1.95))


def test_the_words_stand_for_an_open_end_and_for_an_interval_that_bounds_nothing() -> None:
    assert bounds_text((1.0, math.inf), "{:g}".format) == "1 to not bounded"
    assert bounds_text((1.0, math.inf), "{:g}".format, ", ") == "1, not bounded"
    assert bounds_text((-math.inf, 2.0), "{:g}".format) == "not bounded to 2"
    assert bounds_text((math.inf, math.inf), "{:g}".format) == WORDS
    assert bounds_text((1.0, 2.0), "{:g}".format) == "1 to 2"


@dataclass(frozen=True)
class Bounds:
    of_size: Interval | None
    pairs: tuple[tuple[float, float], ...] = ()
    value: float | None = None


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [
        ((1.5, math.inf), [1.5, WORDS]),
        ((-math.inf, 2.0), [WORDS, 2.0]),
        ((math.inf, math.inf), [WORDS, WORDS]),
        ((1.5, 2.0), [1.5, 2.0]),
        (None, None),
    ],
)
def test_json_has_the_words_and_reads_them(bounds: Interval | None, shown: list[object] | None) -> None:
    before = Bounds(bounds, ((1.0, 2.0),), math.inf)
    saved = json.loads(json.dumps(encode(before), allow_nan=False))
    assert saved == {"of_size": shown, "pairs": [[1.0, 2.0]], "value": None}
    assert decode(Bounds, saved) == replace(before, value=None)


def test_the_terminal_and_the_files_of_a_fit(report_data: ReportData, tmp_path: Path) -> None:
    fit = report_data.fit
    text = fit.summary()
    rows = [line for line in text.splitlines() if WORDS in line]
    assert any("approach_2" in row for row in rows), "the frontier"
    assert any("approach_2" not in row for row in rows), "the budget's minimum"
    assert not any(word in line for word in NEVER for line in rows)
    path = write_fit(fit, tmp_path)
    saved = json.loads(path.read_text())["approach_2"]["budgets"][0]["params_interval"]
    assert saved[1] == WORDS
    again = load_fit(path)
    assert again.approach_2.budgets[0] == fit.approach_2.budgets[0]
    assert again.summary() == text


def test_predict_in_text_and_in_json(report_data: ReportData, tmp_path: Path) -> None:
    write_fit(report_data.fit, tmp_path)
    flops = report_data.fit.largest_flops

    def ask(as_json: bool) -> str:
        console = Console(file=io.StringIO(), width=200)
        asked = [f"fit={tmp_path}", f"budget={flops}", "approach=approach_2"]
        print_answer(compose_config(asked, ROOT, PredictConfig)[0], console, as_json)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    text = ask(False)
    assert WORDS in text
    assert not any(word in text for word in NEVER)
    (answer,) = json.loads(ask(True))["answers"]
    assert answer["params_interval"][1] == WORDS
    assert number(2.0, (1.0, math.inf), ".3g") == "2 (1, not bounded)"
    assert count_cell(2e6, (1e6, math.inf)) == "2.00M (1.00M, not bounded)"
    assert count_cell(2e6, (1e6, 3e6)) == "2.00M (1.00M–3.00M)"


def words_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_figures_say_it_where_they_have_no_band_or_arm_for_it(report_data: ReportData) -> None:
    with figure_style():
        for draw in (isoflop.draw_isoflop, approaches.draw_approaches, curvature.draw_curvature):
            figure = draw(report_data)
            assert WORDS in words_of(figure), draw.__name__
            figure.canvas.draw()
            for axes in figure.axes:
                assert np.isfinite((*axes.get_xlim(), *axes.get_ylim())).all()


def test_figures_of_bounded_intervals_do_not_say_it(reported: Reported) -> None:
    data = from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
    with figure_style():
        assert WORDS not in words_of(isoflop.draw_isoflop(data))


def test_the_tables_of_the_page(report_data: ReportData) -> None:
    for table in (frontier.answer_table(report_data), frontier.frontier_table(report_data)):
        cells = [cell for row in table.rows for cell in row if isinstance(cell, str)]
        assert any(WORDS in cell for cell in cells)
        assert not any(word in cell for word in NEVER for cell in cells)
    assert interval((1e4, math.inf)) == "10.0k to not bounded"
    assert interval((1.5, math.inf), "fixed") == "1.500 to not bounded"


@needs_node
def test_the_calculator_has_the_fits_ends_and_words(report_data: ReportData) -> None:
    flops = report_data.fit.largest_flops
    data = calculator_data(report_data)
    assert data is not None
    question = f"{{ kind: 'flops', value: {flops!r} }}"
    each = f"data.approaches.map((a) => calc.ask(a, {question}, data.order).intervals.params)"
    found = dict(zip(report_data.fit.predict(flops), in_node(each, data), strict=True))
    expected = report_data.fit.predict(flops)["approach_2"].params_interval
    assert expected is not None
    assert expected[1] == math.inf
    assert found["approach_2"] == [pytest.approx(expected[0], rel=1e-3), "Infinity"]
    write = "(x) => x.toFixed(1)"
    assert in_node(f"calc.interval([1, Infinity], {write})", {}) == "1.0 to not bounded"
    assert in_node(f"calc.interval([Infinity, Infinity], {write})", {}) == WORDS
    assert in_node(f"calc.interval([0, 0], {write})", {}) == WORDS
    assert in_node(f"calc.interval([1, 2], {write})", {}) == "1.0 to 2.0"


@needs_browser
def test_the_page_in_a_browser(reported: Reported, report_data: ReportData, tmp_path: Path) -> None:
    old = as_script(calculator_data(from_sweep_data(reported)) or {})
    new = as_script(calculator_data(report_data) or {})
    html = reported.written.html.read_text(encoding="utf-8")
    assert old in html
    page = tmp_path / "page.html"
    page.write_text(html.replace(old, new), encoding="utf-8")
    output = in_browser(page, tmp_path, amount=f"{report_data.fit.largest_flops:.3e}")
    assert f"to {WORDS})" in output
    assert not any(word in output for word in NEVER)


def from_sweep_data(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
