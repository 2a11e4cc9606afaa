"""Whether to use the answer: on the cards, in the first lines of Markdown and terminal, and among the diagnostics."""

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.fit import Approach3, BacktestRow, Fit, FitError
from harness.fit.results import Backtest
from harness.fit.status import EXPLAINED, Flag, judge
from harness.fit.summary import sentence
from harness.report import html, markdown
from harness.report.content import make_content
from harness.report.data import MissingError, ReportData
from harness.report.diagnostics import diagnostics
from harness.report.figures.backtest import draw_backtest
from harness.report.style import figure_style
from harness.report.tables.backtest import backtest_table
from harness.report.tables.frontier import exponents_table
from harness.report.verdict import BAD, CAUTION, GOOD, headline
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported


@pytest.fixture(scope="module")
def clean(reported: Reported) -> ReportData:
    """The synthetic sweep, with no warning left in its fit."""
    data = from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
    fit = data.fit
    none = judge([])
    agreement = replace(fit.agreement, status="agree")
    quiet: dict[str, Any] = {a.name: replace(a, **none) for a in fit.approaches}
    return replace(data, fit=replace(fit, **quiet, agreement=agreement))


def warned(data: ReportData, *flags: Flag) -> ReportData:
    """With warnings of approach 3, the one that decides where the others are no better."""
    fit = data.fit
    others = judge([Flag("misfit", "as bad")])
    return replace(
        data,
        fit=replace(
            fit,
            approach_1=replace(fit.approach_1, **others),
            approach_2=replace(fit.approach_2, **others),
            approach_3=replace(fit.approach_3, **judge(flags)),
        ),
    )


def test_the_page_leads_with_an_approach_that_can_be_used(clean: ReportData) -> None:
    fit = clean.fit
    spoiled = replace(fit, approach_3=replace(fit.approach_3, **judge([Flag("misfit", "no law")])))
    found = headline(replace(clean, fit=spoiled), clean.target)
    assert found.prediction is not None
    assert found.prediction.approach == "approach_2"
    assert found.level != BAD
    mild = replace(fit, approach_3=replace(fit.approach_3, **judge([Flag("wide_interval", "a little")])))
    assert headline(replace(clean, fit=mild), clean.target).prediction.approach == "approach_3"


def written(data: ReportData) -> tuple[str, str, str]:
    """The page, the Markdown, and the terminal's summary."""
    content = make_content(data, entries=())
    return html.render(content), markdown.render(content), data.fit.summary()


def cards(page: str) -> list[str]:
    """The class of each card."""
    return re.findall(r'<div class="card (\w+)">', page)


def test_nothing_to_warn_of_is_no_stamp(clean: ReportData) -> None:
    assert headline(clean, clean.fit.largest_flops).level == GOOD
    page, _, summary = written(clean)
    assert cards(page)[0] == "good"
    assert 'class="stamp"' not in page.split('class="card')[1]
    assert "approach_3  no warning" in summary.split("Exponents")[0]


@pytest.mark.parametrize("code", ["misfit", "forecast_missed", "biased", "unidentified", "extrapolation"])
def test_a_serious_warning_forbids_the_use(clean: ReportData, code: str) -> None:
    data = warned(clean, Flag(code, "what is <wrong> here"), Flag("wide_interval", "wide"))
    assert headline(data, data.target).level == BAD
    page, text, summary = written(data)
    words = code.replace("_", " ")
    assert cards(page) == ["bad", "bad"]
    card = page.split('class="card bad">')[1]
    assert f"do not use: {words}" in card
    assert "What is &lt;wrong&gt; here." in card
    assert f'href="#status-{code}"' in card
    assert f'<dt id="status-{code}">{words}</dt>' in page
    assert EXPLAINED[code].meaning.partition(" ")[2].split("'")[0] in page
    assert "wide interval" not in card.split("<h2>")[0], "what matters most is not hidden among mild ones"
    first = text.split("## Diagnostics")[0]
    assert f"Do not use: {words}." in first
    assert f"do not use: {words} (what is <wrong> here)" in summary.split("Exponents")[0]
    assert any(one.level == BAD and words in one.text for one in diagnostics(data))


def test_a_mild_warning_asks_for_caution(clean: ReportData) -> None:
    data = warned(clean, Flag("unstable", "some draws are lost"))
    assert headline(data, data.fit.largest_flops).level == CAUTION
    page, text, summary = written(data)
    assert cards(page)[0] == "caution"
    assert "use with caution: unstable" in page
    assert "Use with caution: unstable." in text
    assert "use with caution: unstable" in summary
    assert not any(one.level == BAD and "unstable" in one.text for one in diagnostics(data))


def test_approaches_that_disagree_are_no_answer_to_use(clean: ReportData) -> None:
    fit = replace(
        clean.fit, agreement=replace(clean.fit.agreement, status="disagree", message="they differ on a")
    )
    page, text, summary = written(replace(clean, fit=fit))
    assert cards(page) == ["bad", "bad"]
    assert "do not use: disagree" in page
    assert "They differ on a." in page
    assert "Do not use: disagree." in text
    assert "the approaches disagree" in summary.split("Exponents")[0]


def test_without_a_number_the_card_says_why(clean: ReportData) -> None:
    flag = judge([Flag("too_few_points", "the table has 4 runs")])
    fit = replace(
        clean.fit,
        approach_1=replace(
            clean.fit.approach_1, params_law=None, a=None, **judge([Flag("no_curves", "none")])
        ),
        approach_2=replace(clean.fit.approach_2, params_law=None, a=None, **flag),
        approach_3=Approach3(**flag),
    )
    page, text, summary = written(replace(clean, fit=fit))
    assert cards(page) == ["bad", "bad"]
    card = page.split('class="card bad">')[1]
    assert "no answer: too few points, no curves" in card
    assert "Approach 3: the table has 4 runs." in card
    assert "No answer: too few points, no curves." in text
    assert "approach_3  no answer: too few points (the table has 4 runs)" in summary


def test_a_status_in_a_table_says_what_it_means(clean: ReportData) -> None:
    page, _, _ = written(warned(clean, Flag("at_bound", "E has gone to 0")))
    assert re.search(
        r'<td[^>]*><a href="#status-at_bound" title="[^"]+What to do: [^"]+">at bound</a></td>', page
    )


def test_the_error_of_the_fit_is_shown(clean: ReportData) -> None:
    fit: Fit = replace(
        clean.fit,
        approach_2=replace(clean.fit.approach_2, fit_error=None),
        approach_3=replace(
            clean.fit.approach_3, fit_error=FitError(rms_log=0.0123, rms_nats=0.0456, r_squared=0.98765, n=27)
        ),
    )
    made = exponents_table(replace(clean, fit=fit))
    shown = dict(zip(made.headings, made.rows[2], strict=True))
    assert (shown["rms of ln L"], shown["rms (nats)"], shown["R²"]) == ("0.012", "0.046", "0.9877")
    assert dict(zip(made.headings, made.rows[1], strict=True))["R²"] == "–"
    assert re.search(r"approach_3\s+27\s+0\.012\s+0\.046\s+0\.9877", fit.summary())
    assert fit.to_json()["approach_3"]["fit_error"] == {  # type: ignore[index]
        "rms_log": 0.0123,
        "rms_nats": 0.0456,
        "r_squared": 0.98765,
        "n": 27,
    }


def row(cutoff: float, budget: float, **more: Any) -> BacktestRow:
    values: dict[str, Any] = {
        "params": 2e5,
        "params_interval": (1e5, 3e5),
        "measured_params": 1e5,
        "measured_params_interval": (0.9e5, 1.1e5),
        "loss": 1.5,
        "measured_loss": 1.4,
        "compared": ("params",),
        "status": "held",
    }
    return BacktestRow(
        approach="approach_3", cutoff=cutoff, cutoff_budgets=3, budget=budget, **(values | more)
    )


def test_the_backtest_is_a_table_and_a_figure(clean: ReportData) -> None:
    rows = (row(1e12, 4e12, missed=("params",), status="missed"), row(1e12, 2e12))
    made = Backtest(rows=rows, held={"approach_3": 1}, compared={"approach_3": 2})
    data = replace(clean, fit=replace(clean.fit, backtest=made))
    shown = backtest_table(data)
    assert [one[-1] for one in shown.rows] == ["missed N*", "held"]
    assert shown.rows[0][3:5] == ("200k (100k to 300k)", "100k (90.0k to 110k)")
    assert "approach 3 held 1 of 2" in shown.note
    with figure_style():
        figure = draw_backtest(data)
    assert [axes.get_ylabel().split()[0] for axes in figure.axes] == ["N*", "D*", "L*"]
    values = {float(line.get_ydata()[0]) for line in figure.axes[0].lines if len(line.get_ydata()) == 1}
    assert {0.9, 1.0, 1.1, 2.0, 3.0} <= {round(value, 9) for value in values}, (
        "forecast over measured, with intervals"
    )
    assert "Backtest: forecasts" in data.fit.summary()


def test_a_long_backtest_shows_the_highest_budget(clean: ReportData) -> None:
    rows = tuple(row(k, b) for k in range(1, 9) for b in range(k + 1, 10))
    made = Backtest(rows=rows, held={"approach_3": 36}, compared={"approach_3": 36})
    data = replace(clean, fit=replace(clean.fit, backtest=made))
    assert len(rows) == 36
    assert len(backtest_table(data).rows) == 8
    assert "fit.json has all" in backtest_table(data).note
    assert "fit.json has all" in data.fit.summary()


def test_no_backtest_says_why(clean: ReportData) -> None:
    made = Backtest(note="2 of 2 budgets have a minimum")
    data = replace(clean, fit=replace(clean.fit, backtest=made))
    for shown in (backtest_table, draw_backtest):
        with pytest.raises(MissingError, match="2 of 2 budgets"):
            shown(data)  # type: ignore[operator]
    assert any("No backtest: 2 of 2 budgets" in one.text for one in diagnostics(data))
    assert "Backtest: none. 2 of 2 budgets have a minimum." in data.fit.summary()
    older = replace(clean, fit=replace(clean.fit, backtest=None))
    with pytest.raises(MissingError, match="isoflop fit"):
        backtest_table(older)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a = 0.5 (0.1, 0.9): wide", "a = 0.5 (0.1, 0.9): wide."),
        ("a budget has no minimum", "A budget has no minimum."),
        ("b = 0.5", "b = 0.5."),
        ("the runs differ.", "The runs differ."),
    ],
)
def test_the_exponent_a_is_not_taken_for_the_constant_of_the_law(text: str, shown: str) -> None:
    """The page began a reason with "A = 0.586", which is another parameter."""
    assert sentence(text) == shown
