"""``train.export``: its values, and what earlier versions wrote for them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config.compose import compose_config
from harness.config.frozen import config_at, load_config
from harness.errors import UserError
from harness.train.config import TrainConfig
from harness.train.job import Job
from tests.train.small import overrides, small_jobs

RESULTS = Path(__file__).resolve().parents[2] / "results"
MEANT = {"none": "none", "best": "best", "all": "all"}
SWITCHES = {
    "true": "all",
    "True": "all",
    "yes": "all",
    "1": "all",
    "false": "none",
    "False": "none",
    "off": "none",
}


@pytest.mark.parametrize(
    ("value", "meant"), [*MEANT.items(), *SWITCHES.items(), (True, "all"), (False, "none")]
)
def test_switches_still_work(value: str | bool, meant: str, tmp_path: Path) -> None:
    assert TrainConfig(export=value).export == meant  # type: ignore[arg-type]
    config, yaml = compose_config(overrides(tmp_path, tmp_path, f"train.export={value}"))
    assert config.train.export == meant
    assert load_config(yaml).train.export == meant


@pytest.mark.parametrize(
    ("written", "meant"), [("true", "all"), ("false", "none"), ("True", "all"), ("best", "best")]
)
def test_a_file_that_has_a_switch_is_read(
    written: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = RESULTS / "demo" / "config.yaml"
    assert "  export: false\n" in frozen.read_text()
    earlier = frozen.read_text().partition("\n")[2].replace("  export: false\n", f"  export: {written}\n")
    assert load_config(earlier).train.export == meant
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    own = f"# @package _global_\ndefaults: [demo, _self_]\nname: own\ntrain: {{export: {written}}}\n"
    (tmp_path / "configs" / "experiment" / "own.yaml").write_text(own)
    monkeypatch.chdir(tmp_path)
    assert compose_config(["experiment=own"])[0].train.export == meant


def test_every_sweep_of_the_results_is_read() -> None:
    found = {path.parent.name: config_at(path)[0].train.export for path in RESULTS.glob("*/config.yaml")}
    assert len(found) > 5
    assert {name: value for name, value in found.items() if value != "none"} == {
        "tasks": "all",
        "tasks_code": "all",
    }


@pytest.mark.parametrize(("stored", "meant"), [(True, "all"), (False, "none"), ("best", "best")])
def test_a_job_that_was_submitted_is_read(
    stored: bool | str, meant: str, tmp_path: Path, text_folder: Path
) -> None:
    job = small_jobs(tmp_path, text_folder)[1][0]
    data = json.loads(json.dumps(job.to_json()))
    assert data["train"]["export"] == "none"
    data["train"]["export"] = stored
    assert Job.from_json(data).train.export == meant
    assert Job.from_json(Job.from_json(data).to_json()) == Job.from_json(data)


def test_another_value_is_refused() -> None:
    with pytest.raises(UserError, match="'most' is none of all, best, none"):
        replace(TrainConfig(), export="most")
