"""An evaluation on a real Slurm: one job array scores the models, and the dependent job fits and ends."""

import json
from pathlib import Path

import pytest

from harness.cli import main
from tests.evaluate.test_command import SETTINGS
from tests.launch.slurm.sweeps import SLURM, Sweep
from tests.train.small import overrides

pytestmark = pytest.mark.slow


def test_models_are_scored_by_one_job_array(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["sweep", *overrides(tmp_path, text_folder, *SETTINGS)])
    told = overrides(
        tmp_path,
        text_folder,
        *SETTINGS,
        *SLURM,
        "analysis.draws=20",
        "evaluate.items=50",
        "launcher.workers=2",
    )
    small = Sweep(tmp_path, told, capsys)
    said = small.isoflop("evaluate")
    assert "submitted job array" in said
    small.isoflop("evaluate")
    assert len(small.submissions) == 1, "nothing is submitted twice"
    told_by_job = small.wait_for_the_dependent_job()
    assert small.report_state() == "COMPLETED", told_by_job
    assert "Accuracy of the run with the lowest loss at each budget" in told_by_job
    scored = [json.loads(path.read_text()) for path in (small.path / "cells").glob("*/tasks.json")]
    assert len(scored) == 6
    assert all(len(one["tasks"]) >= 3 for one in scored)
    assert len(small.submissions) == 1
    assert (small.path / "tasks" / "word" / "accuracy.json").exists()
