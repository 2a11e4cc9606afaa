"""The page's calculator says what ``isoflop predict`` says: its JavaScript, run by node, beside the program."""

import base64
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config.compose import compose_config
from harness.config.predict import ROOT, PredictConfig
from harness.errors import UserError
from harness.fit import CostLaw, Fit, FitOptions, fit_points, load_fit, read_points
from harness.fit.bootstrap import Interval
from harness.fit.estimate import marked
from harness.predict.question import Question, ask
from harness.predict.result import PredictResult
from harness.predict.source import choose, from_fit
from harness.report import calculator
from harness.report.calculator import MAX_DRAWS, as_script, calculator_data
from harness.report.data import ReportData
from harness.report.text import counted, fixed, interval, power, ratio, with_interval
from harness.runs.frozen import frozen_plan
from harness.workflow.predict import answer_question
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported
from tests.report.javascript import in_node, needs_node

RESULTS = Path(__file__).parents[2] / "results"
PAPER = "the paper's points"
FITS = ("demo", "cpu_frontier", "one_gpu", "kaplan-fixed", PAPER)
CLOSE = 1e-9
NAMES = {name: name for name in ("params", "tokens", "flops", "loss")} | {"ratio": "tokens_per_param"}


@cache
def fit_named(name: str) -> Fit:
    if name != PAPER:
        return load_fit(RESULTS / name)
    points = os.environ.get("ISOFLOP_HOFFMANN_POINTS")
    if not points:
        pytest.skip("ISOFLOP_HOFFMANN_POINTS names no file")
    return fit_points(read_points(points), FitOptions(draws=60, backtest=False))


def data_of(fit: Fit) -> dict[str, Any]:
    points = read_points(RESULTS / "demo" / "runs.csv")
    found = calculator_data(ReportData("", fit, points, points))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)


def questions(fit: Fit, number: int) -> list[tuple[str, float]]:
    """Random questions of every kind, from far below the runs to far beyond them."""
    rng = np.random.default_rng(0)
    largest = fit.largest_flops
    kinds = {
        "flops": np.exp(rng.uniform(math.log(fit.smallest_flops / 1e3), math.log(1e6 * largest), number)),
        "params": np.exp(rng.uniform(math.log(1e3), math.log(1e12), number)),
        "tokens": np.exp(rng.uniform(math.log(1e4), math.log(1e14), number)),
        "loss": rng.uniform(0.2, 6, number),
    }
    return [(kind, float(value)) for kind, values in kinds.items() for value in values]


@needs_node
@pytest.mark.parametrize("name", FITS)
def test_every_printed_digit_and_doubt_is_that_of_predict(name: str) -> None:
    fit = fit_named(name)
    asked = questions(fit, 60)
    each = "(a) => { const one = calc.ask(a, { kind, value }, data.order); return [one, texts(one, a.label, kind)]; }"
    options = "{ labels: [label], kind, headings: [], timed: () => [] }"
    found = in_node(
        f"(() => {{ const texts = (one, label, kind) => calc.tables.optima([one], {options}).rows[0].slice(0, -1);"
        f" return data.asked.map(([kind, value]) => data.approaches.map({each})); }})()",
        {**data_of(fit), "asked": asked},
    )
    wrong = []
    for (kind, value), row in zip(asked, found, strict=True):
        for source, (ours, texts) in zip(from_fit(fit), row, strict=True):
            expected = ask(source, Question(kind, value))
            assert (ours["status"], ours["flags"], ours["notes"]) == (
                expected.status,
                list(expected.flags),
                list(expected.notes),
            )
            for mine, theirs in (
                *((n, n) for n in ("params", "tokens", "flops", "loss")),
                ("ratio", "tokens_per_param"),
            ):
                assert_close(ours.get(mine), getattr(expected, theirs))
                assert_bounds(ours["intervals"].get(mine), getattr(expected, f"{theirs}_interval"))
            written = [
                source.name.replace("_", " ").capitalize(),
                with_interval(counted(expected.params), interval(expected.params_interval)),
                with_interval(counted(expected.tokens), interval(expected.tokens_interval)),
                with_interval(
                    ratio(expected.tokens_per_param), interval(expected.tokens_per_param_interval, "ratio")
                ),
                *([] if kind == "flops" else [flops_text(expected.flops, expected.flops_interval)]),
                marked(
                    with_interval(fixed(expected.loss, 4), interval(expected.loss_interval, "fixed", 4)),
                    expected.loss_kind,
                ),
            ]
            if texts != written and expected.params is not None:
                wrong.append((kind, value, texts, written))
    assert wrong == []


def flops_text(value: float | None, bounds: Interval | None) -> str:
    """FLOPs with three digits, as the page writes them."""
    if bounds is None:
        return power(value, 3)
    ends = ("not bounded" if math.isinf(end) else power(end, 3) for end in bounds)
    both = all(map(math.isinf, bounds)) or bounds == (0.0, 0.0)
    return f"{power(value, 3)} ({'not bounded' if both else ' to '.join(ends)})"


def assert_close(ours: Any, expected: float | None, tolerance: float = CLOSE) -> None:
    if expected is None or math.isnan(expected):
        assert ours is None
    else:
        assert float(ours) == pytest.approx(expected, rel=tolerance, abs=1e-300)


def assert_bounds(ours: Sequence[Any] | None, expected: Interval | None, tolerance: float = CLOSE) -> None:
    assert (ours is None) == (expected is None)
    for mine, other in zip(ours or (), expected or (), strict=True):
        assert_close(mine, other, tolerance)


def answered(fit: Fit, **asked: float) -> PredictResult:
    config, _ = compose_config(
        ["fit=.", *(f"{key}={value!r}" for key, value in asked.items())], ROOT, PredictConfig
    )
    return answer_question(config, fit)[0]


def on_the_page(fit: Fit, asked: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """``calc.answer`` to questions, of which only what is not null is given."""
    none = {"model": None, "time": None, "device": None, "served": None, "weight": 1, "unique": None}
    found = in_node(
        "data.asked.map((one) => calc.answer(data, one))",
        {**data_of(fit), "asked": [none | a for a in asked]},
    )
    assert isinstance(found, list)
    return found


@needs_node
@pytest.mark.parametrize("name", FITS)
def test_serving_and_smaller_models_are_those_of_predict(name: str) -> None:
    fit = fit_named(name)
    if fit.approach_3.theta() is None:
        found = on_the_page(fit, [{"kind": "flops", "value": fit.largest_flops, "served": 1e9}])[0]
        assert "needs L(N, D)" in found["problems"][0]
        with pytest.raises(UserError, match=r"needs L\(N, D\)"):
            answered(fit, budget=fit.largest_flops, inference_tokens=1e9)
        return
    tokens = fit.approach_3.runs.largest_tokens if fit.approach_3.runs else 1e9
    cases = [
        (flops * fit.largest_flops, share * tokens, weight)
        for flops in (0.3, 7)
        for share, weight in ((0.2, 1), (90, 3))
    ]
    found = on_the_page(fit, [{"kind": "flops", "value": c, "served": t, "weight": w} for c, t, w in cases])
    for (flops, served, weight), ours in zip(cases, found, strict=True):
        expected = answered(fit, budget=flops, inference_tokens=served, **{"serving.weight": weight})
        assert expected.serving is not None
        assert ours["decider"]["name"] == expected.decides
        theirs, mine = expected.serving, ours["serving"]
        for ours_name, name_of in (("life", ""), ("plain", "plain_")):
            for quantity in ("params", "tokens"):
                assert_close(mine[ours_name][quantity], getattr(theirs, name_of + quantity))
            assert_close(mine[ours_name]["flops"], getattr(theirs, f"{name_of}training_flops"))
        assert_close(mine["cost"], theirs.cost)
        assert_close(mine["plain_cost"], theirs.plain_cost)
        assert mine["saving"] == pytest.approx(theirs.saving, abs=1e-9)
        assert_bounds(mine["intervals"]["params"], theirs.params_interval, 1e-7)
        assert_bounds(mine["intervals"]["tokens"], theirs.tokens_interval, 1e-7)
        assert_bounds(mine["intervals"]["saving"], theirs.saving_interval, 1e-5)
        assert (mine["status"], mine["flags"], mine["notes"]) == (
            theirs.status,
            list(theirs.flags),
            list(theirs.notes),
        )
        assert_close(ours["mostSmaller"], expected.most_smaller)
        for row, other in zip(ours["smaller"], expected.overtraining, strict=True):
            assert_close(row["tokens"], other.tokens)
            assert_close(row.get("extra_training"), other.extra_training, 1e-6)
            assert_close(row.get("break_even_tokens"), other.break_even_tokens, 1e-6)
            assert row["status"] == other.status


@needs_node
@pytest.mark.parametrize("name", FITS)
def test_a_given_model_is_assessed_as_by_predict(name: str) -> None:
    fit = fit_named(name)
    runs = fit.approach_2.runs
    assert runs is not None
    models = [
        (n * runs.largest_params, d * runs.largest_tokens, c)
        for n, d, c in ((0.5, 0.5, None), (0.01, 1, 1.4), (3, 0.02, None), (1e3, 1e3, None))
    ]
    asked = [{"model": {"params": n, "tokens": d, "flops": c and 6 * c * n * d}} for n, d, c in models]
    for (n, d, c), ours in zip(models, on_the_page(fit, asked), strict=True):
        used = {} if c is None else {"budget": 6 * c * n * d}
        expected = answered(fit, params=n, tokens=d, **used)
        assert ours["decider"]["name"] == expected.decides
        for mine, theirs in zip(ours["assessments"], expected.assessments, strict=True):
            for quantity in (
                "flops",
                "loss",
                "best_params",
                "best_tokens",
                "best_loss",
                "params_ratio",
                "same_loss_flops",
            ):
                assert_close(mine.get(quantity), getattr(theirs, quantity))
            for quantity in ("loss", "best_params", "params_ratio", "compute_overhead"):
                assert_bounds(mine["intervals"].get(quantity), getattr(theirs, f"{quantity}_interval"), 1e-7)
            assert (mine["verdict"], mine["status"], mine["flags"], mine["notes"]) == (
                theirs.verdict,
                theirs.status,
                list(theirs.flags),
                list(theirs.notes),
            )


@needs_node
@pytest.mark.parametrize("name", ["demo", "cpu_frontier", "kaplan-matched", PAPER])
def test_limited_data_is_answered_as_by_predict(name: str) -> None:
    fit = fit_named(name)
    best = choose(from_fit(fit), "approach_3")[1].frontier
    assert best is not None
    flops = 3 * fit.largest_flops
    tokens, loss = float(best.at_flops(flops).tokens), float(best.at_flops(flops).loss)
    cases = [
        ("flops", flops, 2 * tokens),
        ("flops", flops, tokens / 4),
        ("flops", flops, tokens / 1e3),
        ("loss", loss, tokens / 3),
        ("loss", loss, tokens / 1e5),
    ]
    found = on_the_page(
        fit, [{"kind": kind, "value": value, "unique": unique} for kind, value, unique in cases]
    )
    out_of_reach = 0
    for (kind, value, unique), ours in zip(cases, found, strict=True):
        key = "budget" if kind == "flops" else "target_loss"
        try:
            expected = answered(fit, **{key: value, "unique_tokens": unique}).data_constrained
        except UserError:
            assert ours["limited"] is None
            assert "is out of reach of" in ours["problems"][0]
            out_of_reach += 1
            continue
        assert expected is not None
        mine = ours["limited"]
        assert_close(mine["loss"], expected.loss)
        assert mine["flags"] == list(expected.flags)
        if "hardly matter" in "".join(expected.notes):
            continue  # the loss is flat to a float's last digit
        assert mine["notes"] == list(expected.notes)
        # A minimum is found to the root of a float's rounding.
        for quantity in (
            "params",
            "tokens",
            "flops",
            "epochs",
            "effective_tokens",
            "first_repeat_flops",
            "half_worth_epochs",
        ):
            assert_close(mine[quantity], getattr(expected, quantity), 1e-6)
        assert_close(mine["last_token_worth"], expected.last_token_worth, 1e-5)
        for quantity in ("params", "epochs", "loss"):
            assert_bounds(mine["intervals"][quantity], getattr(expected, f"{quantity}_interval"), 1e-6)
    assert out_of_reach == 1
    assert found[0]["limited"]["epochs"] < 1 < found[1]["limited"]["epochs"]


@needs_node
def test_a_given_model_whose_tokens_repeat() -> None:
    fit = fit_named("demo")
    asked = {"params": 1e5, "tokens": 5e7}
    found = on_the_page(fit, [{"model": {**asked, "flops": None}, "unique": 1e6}])[0]
    assert_close(found["repeatedLoss"], answered(fit, **asked, unique_tokens=1e6).repeated_loss)


def doubtful(fit: Fit) -> dict[str, Fit]:
    """The fit as it is, and with one thing the matter that only the budget asked about brings out."""
    two, three = fit.approach_2, fit.approach_3
    assert two.loss_law is not None
    assert three.draws is not None
    wild = np.exp(2 * np.random.default_rng(0).standard_normal(three.draws.shape))
    steep = three.draws.copy()
    steep[:, 1], steep[:, 3] = 1e60, 30.0
    return {
        "as it is": fit,
        "no floor": replace(fit, approach_2=replace(two, loss_law=replace(two.loss_law, floor=0.0))),
        "below 6ND": replace(fit, approach_3=replace(three, cost=CostLaw(40.0, 0.86))),
        "wide": replace(fit, approach_3=replace(three, draws=three.draws * wild)),
        "no draws": replace(fit, approach_2=replace(two, draws=None)),
        "steep": replace(fit, approach_3=replace(three, draws=steep)),
        "no approach 1": replace(fit, approach_1=replace(fit.approach_1, params_law=None)),
    }


@needs_node
@pytest.mark.parametrize(
    "trouble", ["as it is", "no floor", "below 6ND", "wide", "no draws", "steep", "no approach 1"]
)
@pytest.mark.parametrize("factor", [0.5, 7.3, 300.0, 1e4])
def test_doubts_are_those_of_the_fit(reported: Reported, factor: float, trouble: str) -> None:
    """In the terminal, on the page's cards and in its calculator."""
    fit = doubtful(reported.fit)[trouble]
    flops = factor * fit.largest_flops
    found = on_the_page(fit, [{"kind": "flops", "value": flops}])[0]
    predicted = fit.predict(flops).values()
    assert [(a["status"], a["flags"], a["notes"]) for a in found["optima"]] == [
        (p.status, list(p.flags), list(p.notes)) for p in predicted
    ]
    for ours, expected in zip(found["optima"], predicted, strict=True):
        assert_bounds(ours["intervals"].get("params"), expected.params_interval)
        assert_bounds(ours["intervals"].get("loss"), expected.loss_interval)
    if trouble == "no floor" and factor > 1:
        assert fit.predict(flops)["approach_2"].loss_interval is None
        assert "no_floor" in found["optima"][1]["flags"]


@needs_node
def test_another_form_is_neither_computed_nor_called_ok(
    report_data: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calculator, "_kind", lambda source: "power" if source.law is None else "other")
    found = on_the_page(
        report_data.fit, [{"kind": "flops", "value": 1e13}, {"kind": "flops", "value": 1e13, "served": 1e9}]
    )
    for one in found:
        assert one["instead"]["name"] == "approach_3"
        assert one["decider"]["name"] == "approach_2"
        assert one["optima"][2]["status"] == "other_form"
        assert "isoflop predict does" in one["optima"][2]["notes"][0]
    assert "needs L(N, D)" in found[1]["problems"][0]


def test_all_draws_are_carried_bit_for_bit(report_data: ReportData) -> None:
    data = calculator_data(report_data)
    assert data is not None
    for one, source in zip(data["approaches"], from_fit(report_data.fit), strict=True):
        assert source.draws is not None
        carried = np.frombuffer(base64.b64decode(one["draws"]), "<f8").reshape(-1, one["columns"])
        assert np.array_equal(carried, source.draws.theta, equal_nan=True)


def test_more_draws_than_a_page_carries_are_taken_evenly(report_data: ReportData) -> None:
    law = report_data.fit.approach_3
    theta = law.theta()
    assert theta is not None
    many = np.tile(theta, (2 * MAX_DRAWS, 1))
    many[:, 0] = np.linspace(0, 1, len(many))
    data = data_of(replace(report_data.fit, approach_3=replace(law, draws=many)))
    three = data["approaches"][2]
    assert three["drawn"] == 2 * MAX_DRAWS
    kept = np.frombuffer(base64.b64decode(three["draws"]), "<f8").reshape(-1, 5)
    assert len(kept) == MAX_DRAWS
    assert np.diff(kept[:, 0]) == pytest.approx(1 / MAX_DRAWS, rel=0.51)


def test_without_numbers_there_is_no_calculator(report_data: ReportData) -> None:
    fit = report_data.fit
    empty = replace(
        fit,
        approach_1=replace(fit.approach_1, params_law=None),
        approach_2=replace(fit.approach_2, params_law=None),
        approach_3=replace(fit.approach_3, E=None, parameters={}),
    )
    assert calculator_data(replace(report_data, fit=empty)) is None


def test_embedded_data_cannot_end_its_element() -> None:
    assert "<" not in as_script({"notes": ["</script><script>"]})
