"""The calculator's form in a browser: units that keep the amount, refusals, the command, other scripts of the page."""

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from harness.config.compose import compose_config
from harness.config.predict import ROOT, PredictConfig
from harness.predict.result import decided
from harness.report.calculator import SCRIPTS
from harness.text import count
from harness.workflow.predict import answer_question
from tests.report.conftest import Reported
from tests.report.javascript import PAGE, in_browser, in_node, needs_browser, needs_node

H100 = {"device": "h100"}
FIELD = "document.getElementById('calculator-form').elements"


def told(shown: str) -> Any:
    """What :func:`note` left in the page."""
    found = re.search(r'id="calculator-copied"[^>]*>(.*?)</span>', shown, re.DOTALL)
    assert found is not None
    return json.loads(html.unescape(found[1]))


def note(expression: str) -> str:
    return f"document.getElementById('calculator-copied').textContent = JSON.stringify({expression});"


def choose_unit(unit: str) -> str:
    return f"{FIELD}.unit.value = '{unit}'; {FIELD}.unit.dispatchEvent(new Event('change', {{ bubbles: true }}));"


@needs_browser
def test_a_change_of_unit_keeps_the_amount(reported: Reported, tmp_path: Path) -> None:
    asked = [f"seen.push({FIELD}.amount.value);"]
    steps = "".join(choose_unit(unit) + asked[0] for unit in ("hours", "dollars", "hours", "flops"))
    shown = in_browser(
        reported.written.html,
        tmp_path,
        before="const seen = [];",
        then=steps + note("seen"),
        **H100,
        amount="2.5e21",
    )
    hours, dollars, again, flops = map(float, told(shown))
    assert flops == 2.5e21, "to the last digit"
    assert again == hours
    assert dollars == pytest.approx(2 * hours, rel=1e-5), "an H100 costs $2 an hour"
    overrides = [f"fit={reported.folder.path}", f"gpu_hours={hours}", "device=h100"]
    config, _ = compose_config(overrides, ROOT, PredictConfig)
    asked_flops = answer_question(config)[1].question
    assert asked_flops is not None
    assert asked_flops.value == pytest.approx(2.5e21, rel=1e-3)


@needs_browser
def test_a_price_that_comes_later_still_finds_the_amount(reported: Reported, tmp_path: Path) -> None:
    shown = in_browser(
        reported.written.html,
        tmp_path,
        amount="1e15",
        unit="dollars",
        price="3600",
        then=note(f"{FIELD}.amount.value"),
    )
    assert float(told(shown)) > 0
    assert "Enter the price" not in shown
    again = in_browser(reported.written.html, tmp_path, amount="1e15", unit="dollars")
    assert "Enter the price of an hour of made_up, in dollars." in again


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({**H100, "mfu": "140%"}, "The utilisation must be at most 100%; got 140%."),
        ({**H100, "mfu": "1.4"}, "The utilisation must be at most 100%; got 140%."),
        (
            {"amount": "1e13 tokens"},
            "The amount must be a number, such as 1e13, 2.5T or 6 × 10¹²; got “1e13 tokens”.",
        ),
        ({"amount": "-1"}, "The amount must be positive; got -1."),
        ({"question": "model", "params": "70", "tokens": "1.4"}, "Parameters: a model has"),
        (
            {"question": "model", "params": "1e6", "tokens": "1e7", "used": "1e19"},
            "times 6 × parameters × tokens",
        ),
        ({"question": "target_loss", "target_loss": "0.001"}, "no budget reaches it"),
        (
            {"question": "params", "params": "1e6", "unique": "1e6"},
            "Unique tokens: ask for a budget or a loss",
        ),
    ],
)
def test_nonsense_is_refused_in_one_line(
    reported: Reported, tmp_path: Path, fields: dict[str, str], said: str
) -> None:
    shown = in_browser(reported.written.html, tmp_path, **fields)
    problem = re.search(r'<p id="calculator-problem" class="problem" role="alert">(.*?)</p>', shown)
    assert problem is not None
    assert said in problem[1]
    assert len(problem[1]) < 250


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "6 × 10¹²", "serve": "1e9", "weight": "2"},
        {**H100, "unit": "hours", "amount": "0.01"},
        {**H100, "unit": "dollars", "amount": "0.5", "price": "3"},
        {**H100, "amount": "1e15", "mfu": "40%"},
        {"question": "target_loss", "target_loss": "1.9", "unique": "1M"},
        {"question": "params", "params": "1M"},
        {"question": "tokens", "tokens": "20M"},
        {"question": "model", "params": "1e6", "tokens": "2e7"},
    ],
)
def test_the_command_asks_the_same(reported: Reported, tmp_path: Path, fields: dict[str, str]) -> None:
    shown = in_browser(reported.written.html, tmp_path, **fields)
    found = re.search(r'<code id="calculator-command">(.*?)</code>', shown)
    assert found is not None
    program, command, *overrides = shlex.split(html.unescape(found[1]))
    assert (program, command) == ("isoflop", "predict")
    assert overrides[0].startswith("fit=/"), "the folder that the page lies in"
    overrides[0] = f"fit={reported.folder.path}"
    result = answer_question(compose_config(overrides, ROOT, PredictConfig)[0])[0]
    status = re.search(r'<p id="calculator-status"[^>]*>(.*?)</p>', shown)
    assert status is not None
    params, tokens, _ = decided(result)
    assert params is not None
    assert tokens is not None
    label = result.decides.replace("_", " ").capitalize()
    assert status[1].startswith(f"{label}: N = {count(params)}, D = {count(tokens)}; status: ")


@needs_browser
def test_scripts_of_the_page_follow_and_set_the_compute(reported: Reported, tmp_path: Path) -> None:
    send = "document.dispatchEvent(new CustomEvent('isoflop:target', { detail: { flops: 3e14, source: 'figure' } }));"
    shown = in_browser(
        reported.written.html,
        tmp_path,
        before="const heard = []; document.addEventListener('isoflop:target', ({ detail }) => heard.push(detail));",
        then=send + note(f"[heard, {FIELD}.unit.value, {FIELD}.amount.value]"),
        **H100,
        amount="2e13",
    )
    heard, unit, amount = told(shown)
    assert [one for one in heard if one["source"] == "calculator"][-1] == {
        "flops": 2e13,
        "source": "calculator",
    }
    assert heard[-1] == {"flops": 3e14, "source": "figure"}, "it does not answer what it was told"
    assert (unit, float(amount)) == ("flops", 3e14)
    assert "The best model for 3 × 10¹⁴ training FLOPs" in shown


@needs_browser
def test_doubts_are_in_words_and_explained(reported: Reported, tmp_path: Path) -> None:
    shown = in_browser(reported.written.html, tmp_path, amount="1e22")
    assert "beyond what the fit supports" in shown
    cells = re.findall(r'<td class="left">(<(?:a|span)[^>]*>[^<]*</(?:a|span)>)</td>', shown)
    assert any("extrapolation" in cell and "title=" in cell for cell in cells)
    for link in re.findall(r'href="#(status-\w+)"', shown):
        assert f'id="{link}"' in reported.html


def test_every_field_has_a_label_and_says_its_problems() -> None:
    form = (PAGE / "calculator.html").read_text(encoding="utf-8")
    fields = re.findall(r"<(?:input|select)[^>]*>", form)
    labelled = re.findall(r"<label[^>]*>[^<]+(<(?:input|select)[^>]*>)", form)
    assert fields == labelled
    assert all('aria-describedby="calculator-problem"' in one for one in fields if one.startswith("<input"))
    assert 'id="calculator-problem" class="problem" role="alert"' in form


def test_scripts_are_all_there_and_need_no_eval() -> None:
    # those of tables, of interactive figures and of a page that is watched are not the calculator's
    assert {path.stem for path in PAGE.glob("*.js")} == {*SCRIPTS, "download", "sortable", "explore", "live"}
    for name in SCRIPTS:
        code = (PAGE / f"{name}.js").read_text(encoding="utf-8")
        assert not re.search(r"\beval\b|new Function|https?://|fetch\(|import\(", code)
        assert len(code.splitlines()) <= 250


@needs_node
def test_a_command_is_quoted_for_a_shell() -> None:
    asked = {"fit": "my runs/it's", "budget": 6e12, "params": 0.1 + 0.2, "tokens": None, "device": "h100"}
    line = in_node("calc.command(data)", asked)
    given = ["fit=my runs/it's", "budget=6e12", f"params={0.1 + 0.2!r}", "device=h100"]
    assert shlex.split(line) == ["isoflop", "predict", *given]
