"""``isoflop predict``: every question through Hydra, JSON, the experiment it writes, and errors in one line."""

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from harness.config.compose import compose_config
from harness.config.predict import ROOT, PredictConfig
from harness.errors import UserError
from harness.fit.fitted import Fit
from harness.fit.laws import LossLaw, PowerLaw
from harness.fit.results import Agreement, Approach1, Approach2, Approach3
from harness.fit.store import load_fit, write_fit
from harness.model.counts import flops_per_token
from harness.plan.plan import make_plan
from harness.predict.result import PredictResult
from harness.workflow.predict import print_answer
from tests.imports import imported
from tests.predict.laws import SMALL


def ask(*overrides: str) -> tuple[PredictResult, str]:
    """The report and what was printed."""
    config, _ = compose_config(overrides, ROOT, PredictConfig)
    out = StringIO()
    return print_answer(config, Console(file=out, width=140)), out.getvalue()


@pytest.fixture
def fit_folder(tmp_path: Path) -> Path:
    """A fit as the fit room writes it: approach 1 void, approaches 2 and 3 with draws."""
    rng = np.random.default_rng(0)
    theta = SMALL.theta * np.exp(0.01 * rng.standard_normal((100, 5)))
    optimum = SMALL.at_flops(1e14)
    a, b = 0.53, 0.47
    scale_n, scale_d = optimum.params / 1e14**a, optimum.tokens / 1e14**b
    row = np.array([np.log(scale_n), a, np.log(scale_d), b, 1.2, 3.0, 0.15])
    powers = row + 0.002 * rng.standard_normal((100, 7))
    common: dict[str, Any] = {"n_points": 40, "smallest_flops": 1e12, "largest_flops": 1e14}
    E, A, B, alpha, beta = (float(v) for v in SMALL.theta)
    surface = {"E": E, "A": A, "B": B, "alpha": alpha, "beta": beta, "a": a, "b": b}
    fit = Fit(
        approach_1=Approach1(
            status="no_curves", flags=("no_curves",), notes=("no training curves",), **common
        ),
        approach_2=Approach2(
            a=a,
            b=b,
            params_law=PowerLaw(float(scale_n), a),
            tokens_law=PowerLaw(float(scale_d), b),
            loss_law=LossLaw(1.2, float(np.exp(3.0)), 0.15),
            draws=powers,
            **common,
        ),
        approach_3=Approach3(cost=SMALL.cost, draws=theta, **surface, **common),
        count="params",
        compute="flops",
        n_points=40,
        excluded=(),
        notes=(),
        bootstrap={},
        level=0.9,
        smallest_flops=1e12,
        largest_flops=1e14,
        agreement=Agreement(target=1e15, params_opt={}, ratio=None, status="unknown", message=""),
    )
    write_fit(fit, tmp_path / "fit")
    return tmp_path / "fit"


def test_a_budget_from_a_fit_has_intervals_and_every_approach(fit_folder: Path) -> None:
    report, text = ask(f"fit={fit_folder}", "budget=1e13", "ladder=tiny", "vocab_size=257", "seq_len=128")
    assert [a.approach for a in report.answers] == ["approach_1", "approach_2", "approach_3"]
    assert report.answers[0].params is None
    for answer in report.answers[1:]:
        assert answer.params_interval[0] < answer.params < answer.params_interval[1]
    assert report.answer.params == pytest.approx(SMALL.at_flops(1e13).params, rel=1e-9)
    assert report.decides == "approach_3"
    assert "no training curves" in text
    assert "approach 3" in text
    run = report.run
    assert run is not None
    assert run["flops"] == pytest.approx(1e13, rel=0.02)
    assert run["flops_count"] == "appendix_f"
    assert "as a run" in text


def doubt(folder: Path, *approaches: str, code: str = "misfit") -> None:
    """Something serious speaks against these approaches of the fit from here on."""
    fit = load_fit(folder)
    doubted = {
        name: replace(getattr(fit, name), status=code, flags=(code,), notes=("for the test",))
        for name in approaches
    }
    write_fit(replace(fit, **doubted), folder)


def test_what_something_serious_speaks_against_decides_only_where_that_is_all_there_is(
    fit_folder: Path,
) -> None:
    doubt(fit_folder, "approach_3")
    report, text = ask(f"fit={fit_folder}", "budget=1e13", "ladder=tiny", "vocab_size=257", "seq_len=128")
    assert report.decides == "approach_2"
    assert "as a run (approach 2" in text
    assert "! approach 3: for the test" in text
    assert ask(f"fit={fit_folder}", "budget=1e13", "approach=approach_3")[0].decides == "approach_3"
    doubt(fit_folder, "approach_2")
    assert ask(f"fit={fit_folder}", "budget=1e13")[0].decides == "approach_3"


def test_caution_does_not_take_the_decision_from_an_approach(fit_folder: Path) -> None:
    doubt(fit_folder, "approach_3", code="wide_interval")
    assert ask(f"fit={fit_folder}", "budget=1e13")[0].decides == "approach_3"


@pytest.mark.parametrize(
    "question",
    [
        ("budget=1e13", "inference_tokens=1e12"),
        ("budget=1e13", "unique_tokens=1e7"),
        ("params=1e5", "tokens=1e7"),
    ],
)
def test_a_question_off_the_frontier_goes_to_the_law_and_its_doubt_is_told(
    fit_folder: Path, question: tuple[str, ...]
) -> None:
    doubt(fit_folder, "approach_3")
    report, text = ask(f"fit={fit_folder}", *question)
    assert report.decides == "approach_3"
    assert "for the test" in text


def test_the_fit_room_says_the_same(fit_folder: Path) -> None:
    report, _ = ask(f"fit={fit_folder}", "budget=1e15")
    for answer, said in zip(report.answers, load_fit(fit_folder).predict(1e15).values(), strict=True):
        assert answer.approach == said.approach
        for name in ("params", "tokens", "loss", "tokens_per_param"):
            assert getattr(answer, name) == pytest.approx(getattr(said, name))
            assert getattr(answer, f"{name}_interval") == pytest.approx(getattr(said, f"{name}_interval"))


def test_the_level_can_be_changed(fit_folder: Path) -> None:
    narrow, _ = ask(f"fit={fit_folder}", "budget=1e13", "level=0.5")
    wide, _ = ask(f"fit={fit_folder / 'fit.json'}", "budget=1e13", "level=0.95")
    assert wide.answer.params_interval[0] < narrow.answer.params_interval[0]
    assert wide.answer.level == 0.95


def test_json_is_json(fit_folder: Path) -> None:
    config, _ = compose_config(
        [f"fit={fit_folder}", "budget=1e16", "inference_tokens=1e12", "unique_tokens=1e7"],
        ROOT,
        PredictConfig,
    )
    out = StringIO()
    print_answer(config, Console(file=out, width=80), as_json=True)
    data = json.loads(out.getvalue())
    assert data["answers"][2]["params"] == pytest.approx(SMALL.at_flops(1e16).params)
    assert data["answers"][2]["extrapolation"] == pytest.approx(100)
    assert data["serving"]["params"] < data["answers"][2]["params"]
    assert data["scarce"]["epochs"] > 1
    assert len(data["overtraining"]) == 6


def test_json_keys_are_those_of_earlier_versions() -> None:
    keys = ["law=hoffmann2022", "device=h100", "params=70e9", "tokens=1.4e12"]
    config, _ = compose_config(keys, ROOT, PredictConfig)
    out = StringIO()
    print_answer(config, Console(file=out, width=80), as_json=True)
    data = json.loads(out.getvalue())
    assert data["bill"]["gpu_hours"] > 1e5
    assert data["standings"][2]["overspent"] == pytest.approx(1.09, abs=0.01)
    assert {"scarce", "life_dollars", "plain_life_dollars"} <= data.keys()
    assert "overspent_interval" in data["standings"][0]


@pytest.mark.parametrize(
    "law", ["hoffmann2022", "besiroglu2024", "kaplan2020", "sardana2024", "muennighoff2023"]
)
def test_published_laws_answer_by_name(law: str) -> None:
    by_law, text = ask(f"law={law}", "budget=1e20")
    by_fit, _ = ask(f"fit={law}", "budget=1e20")
    assert by_law == by_fit
    assert 2e8 < by_law.answer.params < 5e9
    assert "no intervals" in text


def test_hoffmanns_first_two_approaches_meet_the_papers_table() -> None:
    report, _ = ask("law=hoffmann2022", "params=67e9")
    first, second, third = report.answers
    assert (first.flops, first.tokens) == pytest.approx((5.76e23, 1.5e12), rel=0.07)
    assert (second.flops, second.tokens) == pytest.approx((6.88e23, 1.7e12), rel=0.07)
    assert (third.flops, third.tokens) == pytest.approx((1.71e24, 4.1e12), rel=0.07)


def test_kaplan_at_one_petaflop_day() -> None:
    report, text = ask("law=kaplan2020", "budget=8.64e19")
    assert report.answer.params == pytest.approx(1.3e9, rel=1e-4)
    assert report.answer.tokens == pytest.approx(2e10, rel=1e-4)
    assert report.answer.loss == pytest.approx(3.1e8**0.05, rel=1e-4)
    assert "without embeddings" in text


def test_hours_and_dollars_are_budgets() -> None:
    hours, text = ask("law=hoffmann2022", "gpu_hours=1000", "device=h100", "mfu=0.5", "gpus=8")
    assert hours.answer.flops == pytest.approx(1000 * 3600 * 0.5 * 9.89e14)
    assert hours.cost.wall_hours == pytest.approx(125)
    assert "$2,000" in text
    dollars, _ = ask("law=hoffmann2022", "dollars=2000", "device=h100", "mfu=0.5")
    assert dollars.answer.flops == pytest.approx(hours.answer.flops)


def test_a_given_model_is_assessed() -> None:
    report, text = ask("law=hoffmann2022", "params=280e9", "tokens=300e9", "budget=5.76e23")
    assert "trained with 4.13x too many parameters for its compute" in text
    assert report.assessment.compute_overhead > 1
    repeated, text = ask("law=hoffmann2022", "params=1e9", "tokens=1e11", "unique_tokens=1e10")
    assert repeated.repeated_loss > repeated.assessment.loss
    assert "repeats counting less" in text


def test_serving_in_dollars_and_the_figure(tmp_path: Path) -> None:
    report, text = ask(
        "law=sardana2024",
        "target_loss=1.947",
        "inference_tokens=2e12",
        "serving.unit=dollars",
        "device=h100",
        "serving.precision=fp8",
        f"figure={tmp_path / 'figures' / 'price.png'}",
    )
    assert report.serving.weight > 1
    assert report.lifetime_cost < report.plain_lifetime_cost
    assert "in dollars" in text
    assert (tmp_path / "figures" / "price.png").stat().st_size > 10_000
    with pytest.raises(UserError, match="figure"):
        ask("law=sardana2024", "budget=1e20", "figure=x.png")


def test_the_figure_has_a_style_and_its_numbers(tmp_path: Path) -> None:
    question = ("fit=hoffmann2022", "budget=1e23", "inference_tokens=1e13")
    report, _ = ask(*question, f"figure={tmp_path / 'a.csv'}")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["series"] == "training"]
    costs = {
        row.smaller: 1 + row.extra_training for row in report.overtraining if row.extra_training is not None
    }
    assert {float(row["x"]): pytest.approx(float(row["y"]), rel=1e-5) for row in rows} == costs
    ask(*question, f"figure={tmp_path / 'a.svg'}")
    assert "tokens per parameter</text>" in (tmp_path / "a.svg").read_text()
    sizes = {}
    for style in ("default", "paper"):
        ask(*question, f"style={style}", f"figure={tmp_path / style}.png")
        with Image.open(tmp_path / f"{style}.png") as image:
            sizes[style] = image.width / image.info["dpi"][0]
    assert sizes["paper"] == pytest.approx(6.9, abs=0.02)
    assert sizes["default"] == pytest.approx(7.4, abs=0.02)
    with pytest.raises(
        UserError, match=r"no model of this table reaches the loss; name factors below 10.* smaller="
    ):
        ask(*question, "smaller=[50]", f"figure={tmp_path / 'beyond.png'}")
    ask(*question, "smaller=[1]", f"figure={tmp_path / 'same.png'}")
    with pytest.raises(UserError, match="style: 'nice' is none of default, paper, slides"):
        ask(*question, "style=nice")


def test_a_points_file_is_fitted_now(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    params = np.exp(rng.uniform(np.log(1e5), np.log(1e7), 60))
    tokens = np.exp(rng.uniform(np.log(1e7), np.log(1e9), 60))
    loss = SMALL.loss(params, tokens) * np.exp(0.002 * rng.standard_normal(60))
    rows = [f"{n:.0f},{d:.0f},{6 * n * d:.6g},{y:.6f}" for n, d, y in zip(params, tokens, loss, strict=True)]
    table = tmp_path / "points.csv"
    table.write_text("params,tokens,flops,loss\n" + "\n".join(rows) + "\n")
    report, _ = ask(f"points={table}", "budget=1e15", "analysis.draws=40", "approach=approach_3")
    assert report.compute == "6nd"
    assert report.answer.params_interval is not None


def _plan(overrides: list[str], corpus: Any) -> Any:
    """Plans an experiment as the plan command does, for a corpus that is not prepared."""
    from harness.model.ladder import build_ladder
    from harness.workflow.rules import plan_rules

    config, _ = compose_config(overrides)
    ladder = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len)
    return config, make_plan(config.name, ladder.shapes, plan_rules(config, ladder.shapes), corpus)


class Corpus:
    """What a plan needs to know."""

    fingerprint = "abc"
    train_tokens = 10**9

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size


def test_the_written_experiment_is_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report, text = ask("law=besiroglu2024", "budget=1e20", "write=next", "ladder=small", "vocab_size=5000")
    assert report.experiment == "configs/experiment/next.yaml"
    assert "written: configs/experiment/next.yaml" in text
    config, plan = _plan(["experiment=next"], Corpus(5000))
    (cell,) = plan.cells
    assert config.name == "next"
    assert config.data.kind == "declared"
    assert config.data.vocab_size == 5000
    assert cell.params.total == report.run["params"]
    assert cell.tokens == report.run["tokens"]
    assert cell.spec.steps == report.run["steps"]
    assert cell.spec.optimizer.lr == report.run["lr"]
    assert cell.flops == pytest.approx(1e20, rel=0.01)


def test_serving_keeps_the_tokens_when_the_size_is_rounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report, _ = ask(
        "law=besiroglu2024", "budget=1e20", "inference_tokens=1e12", "write=served", "ladder=small"
    )
    assert report.run["tokens"] == pytest.approx(report.serving.tokens, rel=0.01)
    _, plan = _plan(["experiment=served"], Corpus(32000))
    assert plan.cells[0].tokens == report.run["tokens"]


def test_a_repeated_corpus_is_allowed_to_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report, text = ask("law=besiroglu2024", "budget=1e20", "unique_tokens=1e9", "write=again", "ladder=small")
    config, _ = _plan(["experiment=again"], Corpus(32000))
    assert config.data.unique_tokens == 10**9
    assert config.data.max_epochs >= report.run["tokens"] / 1e9
    assert "epochs" in text


def test_a_file_of_ones_own_is_not_overwritten(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("name: mine\n")
    with pytest.raises(UserError, match="choose another name"):
        ask("law=besiroglu2024", "budget=1e20", f"write={own}")
    fresh = tmp_path / "fresh.yaml"
    ask("law=besiroglu2024", "budget=1e20", f"write={fresh}")
    ask("law=besiroglu2024", "budget=2e20", f"write={fresh}")
    assert "C 2e+20" in fresh.read_text()


def test_the_rules_are_the_sweeps_own(
    fit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = ["experiment=demo", "name=small", "recipe.lr.value=0.004"]
    config, plan = _plan(overrides, Corpus(257))
    _, yaml = compose_config(overrides)
    (fit_folder / "config.yaml").write_text(yaml)
    (fit_folder / "plan.json").write_text(json.dumps(plan.to_json()))
    report, text = ask(f"fit={fit_folder}", "budget=5e12", "write=bigger")
    assert "differs from those of sweep" not in text
    assert report.run["rules_from"] == "sweep small"
    assert report.run["vocab_size"] == 257
    assert report.run["seq_len"] == config.seq_len
    assert "sweep small" in text
    written, again = _plan(["experiment=bigger"], Corpus(257))
    assert written.data == config.data
    assert written.recipe.lr.value == 0.004
    (cell,) = again.cells
    assert cell.params.total == report.run["params"]

    # who asks for another optimizer or model is told whose losses these are
    _, text = ask(f"fit={fit_folder}", "budget=5e12", "optimizer=muon", "model=qwen3", "seq_len=64")
    told = "sweep small in model qwen3 (llama), optimizer muon (adamw), seq_len 64 (128): N*, D* and losses are theirs"
    assert told in text
    _, text = ask(f"fit={fit_folder}", "budget=5e12", "recipe=demo", "recipe.lr.value=0.02")
    assert "sweep small in other values of recipe demo: " in text
    assert cell.tokens == report.run["tokens"]
    per_token = flops_per_token(cell.spec.shape, config.seq_len, cell.count)
    assert cell.tokens * per_token == pytest.approx(5e12, rel=0.02)


@pytest.mark.parametrize("parametrization", ["standard", "mup", "completep"])
@pytest.mark.parametrize("counted", [False, True])
def test_the_sweeps_optimizer_and_parametrization_go_with_the_answer(
    parametrization: str,
    counted: bool,
    fit_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The written ladder has one row, and its run trains as the sweep's plan would train that shape."""
    monkeypatch.chdir(tmp_path)
    overrides = [
        *("experiment=demo", "name=small", "optimizer=muon", f"parametrization={parametrization}"),
        *("optimizer.momentum=0.9", "recipe.muon.lr.value=0.013", "recipe.muon.lr.params=-0.2"),
        *("recipe.lr.params=-0.3", "recipe.weight_decay.params=0.1", "recipe.embedding.lr.value=3"),
        f"grid.count_optimizer={str(counted).lower()}",
    ]
    _, plan = _plan(overrides, Corpus(257))
    _, yaml = compose_config(overrides)
    (fit_folder / "config.yaml").write_text(yaml)
    (fit_folder / "plan.json").write_text(json.dumps(plan.to_json()))
    report, _ = ask(f"fit={fit_folder}", "budget=5e12", "write=bigger")
    assert (report.run["optimizer"], report.run["parametrization"]) == ("muon", parametrization)
    written, again = _plan(["experiment=bigger"], Corpus(257))
    (cell,) = again.cells
    assert cell.tokens == report.run["tokens"]
    assert cell.count_optimizer == written.grid.count_optimizer == counted
    assert cell.flops == pytest.approx(5e12, rel=0.02)
    # the sweep itself, with this budget and this size
    _, direct = _plan(
        [*overrides, "grid.budgets=[5e12]", f"grid.params=[{cell.params.total}]", "grid.seeds=[0]"],
        Corpus(257),
    )
    (expected,) = direct.cells
    assert cell.spec.optimizer == expected.spec.optimizer
    assert cell.spec.optimizer.muon is not None
    assert cell.spec.groups == expected.spec.groups
    assert cell.spec.parametrization == expected.spec.parametrization
    assert cell.spec.init_std == expected.spec.init_std
    assert cell.run_id == expected.run_id


def test_a_ladder_without_such_a_shape_is_said_and_refused_where_it_matters() -> None:
    report, text = ask("law=hoffmann2022", "budget=1e25")
    assert report.run is None
    assert "no shape near" in text
    with pytest.raises(UserError, match="no shape near"):
        ask("law=hoffmann2022", "budget=1e25", "write=/nowhere/x.yaml")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["budget=1e20"], "name one source"),
        (["law=hoffmann2022", "fit=x", "budget=1e20"], "name one source"),
        (["law=hoffmann2022"], "ask something"),
        (["law=hoffmann2022", "budget=1e20", "target_loss=2"], "one question"),
        (["law=hoffmann2022", "budget=1e20", "dollars=5", "device=h100"], "one question"),
        (["law=hoffmann2022", "budget=-1"], "budget: must be positive, got -1"),
        (["law=hoffmann2022", "dollars=5"], "name the device"),
        (["law=nobody", "budget=1e20"], "there is no law/nobody"),
        (["fit=nobody", "budget=1e20"], "'nobody' is neither"),
        (["fit=no/where", "budget=1e20"], "no such file"),
        (["law=hoffmann2022", "budgets=1e20"], "did you mean 'budget'"),
        (["law=hoffmann2022", "budget=1e20", "approach=approach_7"], "approach_7"),
        (["law=kaplan2020", "budget=1e20", "inference_tokens=1e12"], r"needs L\(N, D\)"),
        (["law=kaplan2020", "budget=1e20", "unique_tokens=1e9"], r"needs L\(N, D\)"),
        (["law=kaplan2020", "params=1e9", "tokens=1e9", "unique_tokens=1e9"], r"needs L\(N, D\)"),
        (["law=hoffmann2022", "params=1e9", "unique_tokens=1e9"], "budget or a target_loss"),
        (["law=hoffmann2022", "target_loss=1.5"], "not above the irreducible"),
        (["law=hoffmann2022", "budget=1e20", "level=2"], "level"),
    ],
)
def test_mistakes_are_one_clear_line(overrides: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        ask(*overrides)
    assert "\n" not in str(error.value)


def test_torch_is_not_imported() -> None:
    assert imported("import harness.commands.predict", "torch", "matplotlib") == []
