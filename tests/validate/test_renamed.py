"""``rematch``, the old name of ``validate``: what was typed or stored with it keeps working, and says the new name."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.config import overrides
from harness.config.compose import compose_config
from harness.config.frozen import load_config
from harness.config.overrides import refuse_unread
from harness.errors import UserError
from harness.files import file_sha256, json_text
from harness.validate.files import FILE, HASH, register
from harness.validate.prediction import LATER, Candidate, RegisteredPrediction
from tests.validate.test_prediction import made


@pytest.fixture(autouse=True)
def says_again() -> Iterator[None]:
    """A name is said once in a process; here, once in a test."""
    overrides.say.cache_clear()
    yield
    overrides.say.cache_clear()


def test_old_overrides_are_the_new_ones(capsys: pytest.CaptureFixture[str]) -> None:
    old, yaml = compose_config(["name=x", "rematch.budget=1e9", "rematch.seeds=[3,4]"])
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "isoflop: 'rematch.budget' is called 'validate.budget' now",
        "isoflop: 'rematch.seeds' is called 'validate.seeds' now",
    ]
    new, again = compose_config(["name=x", "validate.budget=1e9", "validate.seeds=[3,4]"])
    assert (old, yaml) == (new, again)
    assert (new.validate.budget, new.validate.seeds) == (1e9, [3, 4])
    assert "rematch" not in yaml
    assert capsys.readouterr().err == ""


def test_the_old_experiment_is_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    old = compose_config(["experiment=rematch"])
    said = capsys.readouterr().err
    assert said == "isoflop: 'experiment=rematch' is called 'experiment=validate' now\n"
    assert old == compose_config(["experiment=validate"])
    assert old[0].name == "cpu_validation"
    assert old[0].validate.budget == 6e13


def test_an_experiment_of_ones_own_by_the_old_name_is_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    (tmp_path / "configs" / "experiment" / "rematch.yaml").write_text("# @package _global_\nname: mine\n")
    monkeypatch.chdir(tmp_path)
    assert compose_config(["experiment=rematch"])[0].name == "mine"
    assert capsys.readouterr().err == ""


def test_an_old_section_of_a_file_is_read_and_overrides_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    (tmp_path / "configs" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nname: mine\nrematch:\n  fit: ${runs_dir}/old\n  budget: 1e9\n  seeds: [5]\n"
    )
    monkeypatch.chdir(tmp_path)
    config, yaml = compose_config(["experiment=mine", "validate.seeds=[0,1,2]"])
    assert (config.validate.fit, config.validate.budget) == ("runs/old", 1e9)
    assert config.validate.seeds == [0, 1, 2], "the default, but asked for"
    assert "rematch" not in yaml
    assert capsys.readouterr().err == "isoflop: 'rematch:' is called 'validate:' now\n"
    config, _ = compose_config(["experiment=mine", "rematch.budget=2e9", "runs_dir=there"])
    assert (config.validate.fit, config.validate.budget, config.validate.seeds) == ("there/old", 2e9, [5])
    (tmp_path / "configs" / "experiment" / "mine.yaml").write_text(
        "# @package _global_\nname: mine\nrematch:\n  budgets: 1e9\n"
    )
    with pytest.raises(
        UserError, match=r"there is no key 'validate.budgets'; did you mean 'validate.budget'"
    ):
        compose_config(["experiment=mine"])


def test_a_command_that_does_not_read_it_refuses_the_old_name() -> None:
    refuse_unread("validate", ["rematch.budget=1"])
    with pytest.raises(UserError, match="plan: does not read 'validate'; 'isoflop validate' does"):
        refuse_unread("plan", ["rematch.budget=1"])


def test_a_sweep_of_the_old_name_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    _, yaml = compose_config(["name=x", "validate.budget=1.2e13"])
    assert yaml.count("\nvalidate:\n") == 1
    assert load_config(yaml.replace("\nvalidate:\n", "\nrematch:\n")).validate.budget == 1.2e13
    assert capsys.readouterr().err == ""


def test_a_prediction_of_an_earlier_version_is_read_and_stands(tmp_path: Path) -> None:
    now = made(draws=40).prediction
    data = earlier(now.to_json())
    read = RegisteredPrediction.from_json(data)
    assert [one.factor for one in read.candidates] == [0.25, 1, 4]
    assert [one.loss for one in read.candidates] == [one.loss for one in now.candidates]
    assert earlier(read.to_json()) == data
    (tmp_path / FILE).write_text(json_text(data))
    (tmp_path / HASH).write_text(f"{file_sha256(tmp_path / FILE)}  {FILE}\n")
    assert register(tmp_path, now, trained=True) == read
    with pytest.raises(UserError, match=r"candidates\[1\].run_ids.7 was registered as None and would now be"):
        register(tmp_path, replace(now, candidates=with_another_seed(now)), trained=True)


def earlier(data: dict[str, Any]) -> dict[str, Any]:
    """A prediction's JSON as versions before 2026-11-28 wrote it."""
    kept = {key: value for key, value in data.items() if key == "scatter" or key not in LATER}
    kept["contenders"] = [
        {key: value for key, value in one.items() if key not in LATER} for one in kept.pop("candidates")
    ]
    return kept


def with_another_seed(prediction: RegisteredPrediction) -> tuple[Candidate, ...]:
    """The candidates, of which the second has one run more."""
    first, second, *others = prediction.candidates
    return (first, replace(second, run_ids={**second.run_ids, "7": "another"}), *others)
