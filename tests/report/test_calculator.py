"""The page's calculator says what the program says: its JavaScript, run by node and by a browser."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.fit import CostLaw, Fit
from harness.predict.serving import answer_serving
from harness.predict.source import from_fit
from harness.report.calculator import MAX_DRAWS, as_script, calculator_data
from harness.report.data import ReportData
from harness.report.text import counted
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported
from tests.report.javascript import in_browser, in_node, needs_browser, needs_node


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)


@needs_node
@pytest.mark.parametrize("factor", [1e-3, 1.0, 7.3, 1e4])
def test_predictions_and_intervals_agree_with_the_fit(
    reported: Reported, report_data: ReportData, factor: float
) -> None:
    flops = factor * reported.fit.largest_flops
    data = calculator_data(report_data)
    assert data is not None
    found = in_node(f"data.approaches.map((a) => calc.predict(a, {flops!r}, data.level))", data)
    predicted = reported.fit.predict(flops)
    assert [one["name"] for one in data["approaches"]] == list(predicted)
    for one, prediction in zip(found, predicted.values(), strict=True):
        for ours, theirs in (
            ("params", "params"),
            ("tokens", "tokens"),
            ("tokens_per_param", "ratio"),
            ("loss", "loss"),
        ):
            assert one[theirs]["value"] == pytest.approx(getattr(prediction, ours), rel=1e-9)
            expected = getattr(prediction, f"{ours}_interval")
            if expected is None:
                assert one[theirs]["interval"] is None
                assert factor == 1e4, "only so far beyond the runs"
            else:
                # The draws are stored as 32-bit floats.
                assert one[theirs]["interval"] == pytest.approx(expected, rel=2e-4)


def doubtful(fit: Fit) -> dict[str, Fit]:
    """The fit as it is, and with one thing the matter that only the budget asked about brings out."""
    two, three = fit.approach_2, fit.approach_3
    assert two.loss_law is not None
    assert three.draws is not None
    wild = np.exp(2 * np.random.default_rng(0).standard_normal(three.draws.shape))
    return {
        "as it is": fit,
        "no floor": replace(fit, approach_2=replace(two, loss_law=replace(two.loss_law, floor=0.0))),
        "below 6ND": replace(fit, approach_3=replace(three, cost=CostLaw(40.0, 0.86))),
        "wide": replace(fit, approach_3=replace(three, draws=three.draws * wild)),
        "no draws": replace(fit, approach_2=replace(two, draws=None)),
    }


@needs_node
@pytest.mark.parametrize("trouble", ["as it is", "no floor", "below 6ND", "wide", "no draws"])
@pytest.mark.parametrize("factor", [0.5, 7.3, 300.0])
def test_statuses_are_those_of_the_fit(
    reported: Reported, report_data: ReportData, factor: float, trouble: str
) -> None:
    fit = doubtful(reported.fit)[trouble]
    flops = factor * fit.largest_flops
    data = calculator_data(replace(report_data, fit=fit))
    assert data is not None
    each = (
        "const p = calc.predict(a, C, data.level); return [calc.status(a, C, p, data.order), p.loss.interval]"
    )
    found = in_node(f"data.approaches.map((a) => {{ const C = {flops!r}; {each}; }})", data)
    predicted = fit.predict(flops).values()
    assert [status for status, _ in found] == [prediction.status for prediction in predicted]
    assert [bounds is None for _, bounds in found] == [p.loss_interval is None for p in predicted]
    if trouble == "no floor" and factor > 1:
        assert fit.predict(flops)["approach_2"].loss_interval is None


@needs_node
@pytest.mark.parametrize("served", [1e3, 1e9, 1e14])
def test_serving_agrees_with_the_frontier(reported: Reported, report_data: ReportData, served: float) -> None:
    flops = reported.fit.agreement.target
    data = calculator_data(report_data)
    assert data is not None
    found = in_node(f"calc.serve(data.approaches[2], {flops!r}, {served!r})", data)
    source = from_fit(reported.fit)[2]
    loss = reported.fit.approach_3.predict(flops).loss
    assert loss is not None
    expected = answer_serving(source, loss, served)
    assert found["loss"] == pytest.approx(loss, rel=1e-12)
    assert found["params"] == pytest.approx(expected.params, rel=1e-6)
    assert found["tokens"] == pytest.approx(expected.tokens, rel=1e-6)
    assert found["training"] == pytest.approx(expected.training_flops, rel=1e-6)
    assert found["saving"] == pytest.approx(expected.saving, abs=1e-8)


def test_draws_are_thinned_evenly_and_keep_their_interval(report_data: ReportData) -> None:
    rng = np.random.default_rng(0)
    law = report_data.fit.approach_3
    theta = law.theta()
    assert theta is not None
    many = replace(law, draws=theta * np.exp(0.02 * rng.standard_normal((5000, 5))))
    data = calculator_data(replace(report_data, fit=replace(report_data.fit, approach_3=many)))
    assert data is not None
    assert len(data["approaches"][2]["draws"]) == 4 * ((MAX_DRAWS * 5 * 4 + 2) // 3)
    assert calculator_data(replace(report_data, fit=without_numbers(report_data.fit))) is None


def without_numbers(fit: Fit) -> Fit:
    """The fit with every approach emptied."""
    return replace(
        fit,
        approach_1=replace(fit.approach_1, params_law=None),
        approach_2=replace(fit.approach_2, params_law=None),
        approach_3=replace(fit.approach_3, E=None),
    )


def test_embedded_data_cannot_end_its_element() -> None:
    assert "<" not in as_script({"notes": ["</script><script>"]})


@needs_browser
def test_in_a_browser(reported: Reported, tmp_path: Path) -> None:
    """Chromium runs the page from disk; the calculator shows the target's prediction, without an error."""
    output = in_browser(reported.written.html, tmp_path)
    prediction = reported.fit.predict(reported.fit.agreement.target)["approach_3"]
    # Both write three digits; the page starts from four digits of the target.
    assert prediction.params is not None
    shown = re.search(r"Approach 3</td><td>([0-9.]+)([kMBT]?)", output)
    assert shown is not None
    scale = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[shown[2]]
    assert float(shown[1]) * scale == pytest.approx(prediction.params, rel=6e-3), counted(prediction.params)


@needs_node
def test_numbers_are_read_as_they_are_written_or_not_at_all() -> None:
    written = {"1e21": 1e21, "2.5T": 2.5e12, "1 000 000": 1e6, "1,000,000": 1e6, "12,000": 12000.0}
    found = in_node("data.map(calc.parse)", [*written, "6,5e12", "1,00", "0,5", ",5", "1e", "-3"])
    assert found[: len(written)] == pytest.approx(list(written.values()))
    assert found[len(written) :] == [None] * 6, "a comma is no decimal point here, and is not dropped"


@needs_node
def test_draws_beyond_single_precision_are_carried(reported: Reported, report_data: ReportData) -> None:
    three = reported.fit.approach_3
    assert three.draws is not None
    steep = three.draws.copy()
    steep[:, 1], steep[:, 3] = 1e60, 30.0
    fit = replace(reported.fit, approach_3=replace(three, draws=steep))
    data = calculator_data(replace(report_data, fit=fit))
    assert data is not None
    flops = fit.largest_flops
    found = in_node(f"calc.predict(data.approaches[2], {flops!r}, data.level)", data)
    expected = fit.predict(flops)["approach_3"].tokens_interval
    assert found["tokens"]["interval"] == pytest.approx(expected, rel=2e-3)
