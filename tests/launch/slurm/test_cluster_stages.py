"""Commands of several stages on a real Slurm: each is submitted once, and the rest comes after the arrays."""

import csv
import json
from pathlib import Path

import pytest

from harness.config.compose import compose_config
from harness.runs.ablations import read_ablations
from harness.runs.files import SweepFolder
from tests.commands.test_tune import TUNE
from tests.commands.test_validate import GRID, QUESTION, fitted
from tests.launch.slurm.sweeps import SLURM, Sweep, wait_for
from tests.train.small import overrides

pytestmark = pytest.mark.slow

QUICK = (*SLURM, "launcher.workers=2", "analysis.draws=20")
FOLLOWUP = "'followup.seeds=[1]','followup.rates=[0.5]','followup.horizons=[2]'"


def test_arms_their_follow_ups_and_the_comparison_come_of_one_submission(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = (f"+arms.cut=['schedule.horizon=4',{FOLLOWUP}]", "+arms.whole=[]")
    told = overrides(tmp_path, text_folder, *QUICK, "grid.budgets=[2e8]", *arms)
    both = Sweep(tmp_path, told, capsys)
    cut, whole = (Sweep(tmp_path, told, capsys, f"small-{arm}") for arm in ("cut", "whole"))
    said = both.isoflop("compare")
    assert f"job {both.last.report_job} compares when the arms have ended" in said
    both.isoflop("compare")
    assert [len(one.submissions) for one in (both, cut, whole)] == [1, 1, 1], "nothing is submitted twice"
    wait_for("the arms are compared", (both.path / "compare.json").exists, 400)
    assert [len(one.submissions) for one in (both, cut, whole)] == [2, 2, 1]

    folder = SweepFolder(cut.path)
    with folder.table.open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "0", "0", "1"]
    ablations = read_ablations(folder.ablations)
    assert {(one.changed, one.factor) for one in ablations} == {("rates", 0.5), ("horizons", 2.0)}
    assert all(one.loss is not None for one in ablations)
    assert folder.report.exists()
    found = json.loads((both.path / "compare.json").read_text())
    assert [(arm["name"], arm["runs"]) for arm in found["arms"]] == [("cut", 4), ("whole", 3)]
    assert "comparison: " in both.wait_for_the_dependent_job()
    assert both.report_state() == "COMPLETED"


def test_tune_ends_in_a_recipe(
    cluster: Path,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    told = overrides(tmp_path, text_folder, *QUICK, *TUNE, "write=mine")
    tuning = Sweep(tmp_path, told, capsys, "small-tune")
    tuning.isoflop("tune")
    assert "recipe=mine" in tuning.wait_for_the_dependent_job()
    assert tuning.report_state() == "COMPLETED"
    config, _ = compose_config(["experiment=demo", "recipe=mine"])
    assert "18 runs of small-tune" in config.recipe.source


def test_a_validation_is_registered_before_it_is_submitted_and_judged_after_it(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted(tmp_path, text_folder)
    asked = [*GRID, f"validate.fit={tmp_path}/runs/small", *QUESTION, "validate.seeds=[0]"]
    again = Sweep(tmp_path, overrides(tmp_path, text_folder, *QUICK, *asked), capsys, "again")
    again.isoflop("validate")
    registered = (again.path / "prediction.json").read_text()
    assert not (again.path / "validation.json").exists()
    verdict = again.wait_for_the_dependent_job()
    assert again.report_state() == "COMPLETED", verdict
    assert json.loads((again.path / "validation.json").read_text())["verdict"] in " ".join(verdict.split())
    assert (again.path / "prediction.json").read_text() == registered
