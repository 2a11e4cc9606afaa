"""The page tells the program's times and the program's best model of a time: its JavaScript beside the Python."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit.bootstrap import Interval
from harness.fit.estimate import FrontierSource
from harness.predict.fixed_time import answer_time, flops_in
from harness.predict.source import choose, from_fit
from harness.report.calculator import calculator_data
from harness.report.data import ReportData
from harness.report.html import render
from harness.runs.frozen import frozen_plan
from harness.text import duration
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported
from tests.report.javascript import in_browser, in_node, needs_browser, needs_node

OWN, H100, A100 = 0, 1, 3
# Up to rounding, of which the tokens of a run that is little but its start have more.
SECONDS, TOKENS, FLOPS = 1e-11, 1e-8, 1e-9


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)


def law_of(report_data: ReportData) -> FrontierSource:
    return choose(from_fit(report_data.fit), "approach_3")[1]


@needs_node
@pytest.mark.parametrize("device", [OWN, H100])
def test_seconds_agree_within_and_beyond_the_ladder(report_data: ReportData, device: int) -> None:
    clock = report_data.devices[device].clock
    first, last = clock.params[0], clock.params[-1]
    sizes = [*np.geomspace(first / 30, 30 * last, 23), *clock.params[::9], first, last]
    tokens = [1.0, 1e3, 4.2e4, 1e6, 3.3e8, 1e13, 1e18]
    data = calculator_data(report_data)
    each = "sizes.map((n) => tokens.map((d) => calc.seconds(calc.makeClock(data.devices[at]), n, d)))"
    found = in_node(
        f"(({{ sizes, tokens, at, data }}) => {each})(data)",
        {"sizes": list(map(float, sizes)), "tokens": tokens, "at": device, "data": data},
    )
    expected = clock.seconds(np.array(sizes)[:, None], np.array(tokens)[None, :])
    assert np.array(found) == pytest.approx(expected, rel=SECONDS)


@needs_node
@pytest.mark.parametrize("device", [OWN, H100])
def test_tokens_of_a_time_agree(report_data: ReportData, device: int) -> None:
    clock = report_data.devices[device].clock
    sizes = np.geomspace(clock.params[0], clock.params[-1], 37)
    times = [0.5 * clock.start_seconds, *(clock.start_seconds * np.array([1.02, 1.5, 10, 1e3, 1e6]))]
    found = in_node(
        "data.times.map((t) => calc.tokensIn(calc.makeClock(data.device), data.sizes.map(Math.log), t).map(Math.exp))",
        {"device": calculator_data(report_data)["devices"][device], "times": times, "sizes": sizes.tolist()},  # type: ignore[index]
    )
    for time, row in zip(times, found, strict=True):
        expected = clock.tokens(sizes, time)
        assert [value is None for value in row] == np.isnan(expected).tolist()
        able = ~np.isnan(expected)
        assert np.array(row, dtype=float)[able] == pytest.approx(expected[able], rel=TOKENS)
    assert found[0] == [None] * len(sizes)


@needs_node
@pytest.mark.parametrize("device", [OWN, H100])
@pytest.mark.parametrize("trouble", ["as it is", "no draws", "wild draws"])
def test_the_best_model_of_a_time_agrees(report_data: ReportData, device: int, trouble: str) -> None:
    law = report_data.fit.approach_3
    assert law.draws is not None
    wild = law.draws * np.exp(0.3 * np.random.default_rng(0).standard_normal(law.draws.shape))
    draws = {"as it is": law.draws, "no draws": None, "wild draws": wild}[trouble]
    law = replace(law, draws=draws, status="ok", flags=(), notes=())
    report_data = replace(report_data, fit=replace(report_data.fit, approach_3=law))
    clock, source = report_data.devices[device].clock, law_of(report_data)
    times = [clock.start_seconds * factor for factor in (1.3, 4, 20, 100, 600, 1e5, 1e6)]
    each = "calc.bestOfTime(data.approaches[2], clock, t, data.order)"
    found = in_node(
        f"((clock) => data.times.map((t) => {each}))(calc.makeClock(data.devices[data.at]))",
        {**(calculator_data(report_data) or {}), "times": times, "at": device},
    )
    flags = set()
    for time, ours in zip(times, found, strict=True):
        expected = answer_time(source, clock, time)
        for name in ("params", "tokens", "flops", "loss"):
            assert ours[name] == pytest.approx(getattr(expected, name), rel=TOKENS)
        for name in ("params", "tokens", "loss"):
            assert_same(ours["intervals"][name], getattr(expected, f"{name}_interval"), TOKENS)
        assert (ours["status"], ours["flags"], ours["notes"]) == (
            expected.status,
            list(expected.flags),
            list(expected.notes),
        )
        flags |= set(expected.flags)
    assert "at_edge" in flags
    assert ("wide_interval" in flags) == (trouble == "wild draws")


def assert_same(ours: list[float] | None, expected: Interval | None, tolerance: float) -> None:
    """Both ends within a tolerance of the logarithm; what is zero or infinite is so for both."""
    assert (ours is None) == (expected is None)
    for mine, other in zip(ours or (), expected or (), strict=True):
        end = float(mine)
        assert (
            end == other
            if other in (0.0, math.inf)
            else math.log(end / other) == pytest.approx(0, abs=tolerance)
        )


@needs_node
@pytest.mark.parametrize("device", [OWN, H100])
@pytest.mark.parametrize("approach", [0, 1, 2])
def test_the_compute_optimal_model_of_a_time_agrees(
    report_data: ReportData, device: int, approach: int
) -> None:
    clock = report_data.devices[device].clock
    times = [clock.start_seconds * factor for factor in (0.9, 1.0, 1.3, 20, 600, 1e5)]
    found = in_node(
        f"data.times.map((t) => calc.flopsIn(data.approaches[{approach}], calc.makeClock(data.devices[{device}]), t))",
        {**(calculator_data(report_data) or {}), "times": times},
    )
    assert found[:2] == [None, None], "a run's start takes as long"
    frontier = from_fit(report_data.fit)[approach].frontier
    assert frontier is not None
    assert found[2:] == pytest.approx([flops_in(frontier, clock, time) for time in times[2:]], rel=FLOPS)


@needs_node
def test_a_ladder_of_one_size_and_a_time_too_short_for_it(report_data: ReportData) -> None:
    clock, data = report_data.devices[OWN].clock, calculator_data(report_data)
    assert data is not None
    columns = len(clock.log_tokens)
    own = data["devices"][OWN]
    single = {**own, "params": own["params"][-1:], "seconds": own["seconds"]}
    single["seconds"] = in_node(
        f"Buffer.from(data, 'base64').subarray(-8 * {columns}).toString('base64')", own["seconds"]
    )
    assert in_node("calc.seconds(calc.makeClock(data), 1, 1e6)", single) == pytest.approx(
        float(clock.seconds(clock.params[-1], 1e6)), rel=SECONDS
    )
    each = "calc.bestOfTime(data.approaches[2], calc.makeClock(data.single), t, data.order)"
    long, short = in_node(f"[1e4, {clock.start_seconds!r}].map((t) => {each})", {**data, "single": single})
    assert short is None
    assert long["params"] == pytest.approx(clock.params[-1])
    assert "at_edge" in long["flags"]
    with pytest.raises(UserError):
        answer_time(law_of(report_data), clock, clock.start_seconds)


@needs_browser
def test_hours_in_a_browser_have_two_answers(
    reported: Reported, report_data: ReportData, tmp_path: Path
) -> None:
    shown = in_browser(reported.written.html, tmp_path, device="a100 (assumed)", unit="hours", amount="0.02")
    found = answer_time(law_of(report_data), report_data.devices[A100].clock, 72.0)
    share = f"{100 * found.flops / (72 * 3.12e14):.2g}% of its peak"
    assert f"The best model of {duration(72)} on a100 (assumed), {share}, $0.03," in shown
    assert numbers(shown, "best of the time") == pytest.approx([found.params, found.tokens], rel=6e-3)
    assert numbers(shown, "compute-optimal") == pytest.approx(
        [found.plain_params, found.plain_tokens], rel=6e-3
    )
    assert "time on a100 (assumed)" in shown
    assert "not measured" in shown


@pytest.mark.slow
@needs_browser
def test_dollars_in_a_browser_need_a_price(reported: Reported, tmp_path: Path) -> None:
    shown = in_browser(reported.written.html, tmp_path, unit="dollars", amount="1")
    assert "Enter the price of an hour of made_up, in dollars." in shown
    shown = in_browser(reported.written.html, tmp_path, unit="dollars", amount="1", price="2")
    assert "The best model of 30 min on made_up, $1.00," in shown
    assert "assumed" not in shown
    shown = in_browser(reported.written.html, tmp_path, unit="hours", amount="0.0002")
    assert "0.72 s is less than a run's start takes, 1 s on made_up; ask for more." in shown


@needs_browser
def test_without_devices_the_page_asks_for_flops_alone(report_data: ReportData, tmp_path: Path) -> None:
    from harness.report.content import make_content

    page = tmp_path / "page.html"
    page.write_text(render(make_content(replace(report_data, devices=()), entries=())), encoding="utf-8")
    shown = in_browser(page, tmp_path)
    assert "Approach 3" in shown
    assert "time on" not in shown


def numbers(shown: str, row: str) -> list[float]:
    """N and D of a row of the calculator's table."""
    found = re.search(rf"{row}</td><td[^>]*>([0-9.]+)([kMBT]?)[^<]*</td><td[^>]*>([0-9.]+)([kMBT]?)", shown)
    assert found is not None
    scale = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
    return [float(found[1]) * scale[found[2]], float(found[3]) * scale[found[4]]]
