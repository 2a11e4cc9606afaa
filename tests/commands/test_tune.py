"""``isoflop tune`` as a user runs it, and the recipe it leaves."""

import json
import math
from pathlib import Path

import pytest

from harness.cli import main
from harness.config.compose import compose_config
from harness.plan.recipe_rules import RecipeConfig, Rule
from harness.tune.recipe import recipe_yaml
from harness.tune.sequential.rounds import STOPPED
from tests.train.small import overrides
from tests.tune.test_fit import Truth, fitted

TUNE = (
    "tune.params=[4000,7000]",
    "tune.rates=[0.5,1,2]",
    "tune.batches=[1,2,4]",
    "tune.tokens_per_param=2",
    "tune.min_steps=5",
    "tune.draws=200",
)

ROUNDS = (
    "tune=sequential",
    "tune.axes=[rate,embedding]",
    "tune.params=[4000,7000]",
    "tune.horizons=[1]",
    "tune.tokens_per_param=2",
    "tune.min_steps=5",
    "tune.rounds=2",
    "tune.tolerance=0",
    "tune.draws=200",
    # far enough apart, and all of them fitted, that both minima stand out of the noise on any machine
    "tune.steps.rate=5",
    "tune.steps.embedding=10",
    "tune.window=2",
)


@pytest.mark.slow
def test_tune_trains_fits_draws_and_writes_a_recipe_that_plan_uses(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = overrides(tmp_path, text_folder, "launcher.workers=1", *TUNE)
    main(["tune", *arguments])
    folder = tmp_path / "runs" / "small-tune"
    found = sorted(folder.glob("cells/*/record.json"))
    assert len(found) == 18
    tuned = json.loads((folder / "tune.json").read_text())
    assert [size["runs"] for size in tuned["sizes"]] == [9, 9]
    assert len((folder / "runs.csv").read_text().splitlines()) == 19
    assert len(json.loads((folder / "plan.json").read_text())["cells"]) == 18
    for ending in ("png", "pdf"):
        assert (folder / "figures" / f"bowls.{ending}").stat().st_size > 10_000
    assert "name: small-tune" in (folder / "small-tune.yaml").read_text()
    capsys.readouterr()

    # nothing finished is repeated; the recipe is written where 'plan' finds it
    stamps = {path: path.stat().st_mtime_ns for path in found}
    main(["tune", *arguments, "write=mine"])
    assert "nothing to train" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert json.loads((folder / "tune.json").read_text()) == tuned
    text = (tmp_path / "configs" / "recipe" / "mine.yaml").read_text()
    config, _ = compose_config(["experiment=demo", "recipe=mine"])
    assert config.recipe.name == "mine"
    assert "18 runs of small-tune" in config.recipe.source
    assert json.loads((folder / "plan.json").read_text())["cells"][0]["spec"]["data"] in text
    assert config.recipe.lr.value == pytest.approx(tuned["rate"]["rule"]["value"])
    capsys.readouterr()
    main(["plan", *overrides(tmp_path, text_folder, "recipe=mine"), "recipe.min_steps=20"])
    assert "cells" in capsys.readouterr().out


def test_a_recipe_survives_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = RecipeConfig(
        name="old",
        count="non_embedding",
        lr=Rule(0.009, -0.6, 2.5e4, maximum=0.03),
        batch_tokens=Rule(512, minimum=128),
        beta2=Rule(0.98, tokens=-0.1, tokens_at=1e6),
        warmup_tokens_per_param=1.0,
        eps=1e-9,
    )
    fit = fitted(Truth())
    (tmp_path / "configs" / "recipe").mkdir(parents=True)
    (tmp_path / "configs" / "recipe" / "mine.yaml").write_text(recipe_yaml("mine", fit, before, {}))
    config, _ = compose_config(["recipe=mine"])
    read = config.recipe
    assert read.lr == fit.rate.rule
    assert read.batch_tokens == fit.batch.rule
    assert read.lr.maximum == math.inf
    for name in (
        "count",
        "beta2",
        "weight_decay",
        "min_steps",
        "warmup_share",
        "warmup_tokens_per_param",
        "eps",
    ):
        assert getattr(read, name) == getattr(before, name)
    assert "exponent -0." in read.source
    assert "around recipe old" in read.source


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tune"], "experiment: choose one"),
        (["tune", "experiment=demo", "tune.rates=[1,2]"], "tune.rates: one value (kept) or at least 3"),
        (["tune", "experiment=demo", "tune.rate=[1]"], "did you mean 'tune.rates'"),
        (["tune", "experiment=demo", "tune=nosuch"], "there is no tune/nosuch"),
        (["tune", "experiment=demo", "write=a/b"], "write: must be a recipe's plain name"),
        (
            ["tune", "experiment=demo", "tune.params=[1e4]", "grid.center_exponent=0"],
            "tune.tokens_per_param: set it",
        ),
        (["tune", "experiment=demo", "tune.min_steps=100000000"], "tune: nothing to train"),
        (
            ["tune", "experiment=demo", "tune=sequential", "tune.min_steps=100000000"],
            "tune: nothing to train",
        ),
        (["tune", "experiment=demo", "tune=sequential", "tune.axes=[muon]"], "'muon' needs optimizer=muon"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["data=text", f"path={text_folder}", f"cache_dir={tmp_path}/cache", f"runs_dir={tmp_path}/runs"]
    with pytest.raises(SystemExit) as left:
        main([*arguments, *own])
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.glob("runs/*/cells"))


@pytest.mark.slow
def test_tuning_in_rounds_goes_on_where_it_was_and_writes_a_recipe(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = overrides(tmp_path, text_folder, "launcher.workers=1", *ROUNDS)
    main(["tune", *arguments, "tune.rounds=1"])
    folder = tmp_path / "runs" / "small-tune"
    first = {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("cells/*/record.json")}
    main(["tune", *arguments, "write=mine"])
    tuned = json.loads((folder / "tune.json").read_text())
    assert tuned["design"] == "sequential"
    assert tuned["rounds"][0] == len(first)
    assert len(tuned["rounds"]) == 2
    assert tuned["stopped"] in STOPPED
    found = {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("cells/*/record.json")}
    assert first.items() <= found.items(), "nothing is repeated"
    assert len(found) == sum(tuned["rounds"]) == len(tuned["trials"])
    assert len(json.loads((folder / "plan.json").read_text())["cells"]) == len(found)
    assert len((folder / "runs.csv").read_text().splitlines()) == 1 + len(found)
    assert (folder / "figures" / "bowls.png").stat().st_size > 10_000
    config, _ = compose_config(["experiment=demo", "recipe=mine"])
    assert config.recipe.measured.params == [
        min(p["params"] for p in tuned["points"]),
        max(p["params"] for p in tuned["points"]),
    ]
    rules = {one["axis"]: one["rule"]["value"] for one in tuned["rules"]}
    assert config.recipe.lr.value == pytest.approx(rules["rate"])
    assert config.recipe.embedding.lr.value == pytest.approx(rules["embedding"])

    # a damaged memory of the rounds is made anew, and asks for the same runs
    (folder / "rounds.json").write_text("{")
    capsys.readouterr()
    main(["tune", *arguments])
    said = capsys.readouterr().out
    assert "the rounds are designed again" in said
    assert "nothing to train" in said
