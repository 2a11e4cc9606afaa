"""What ``isoflop fit`` says of runs and curves that are not there."""

from pathlib import Path

import pytest

from harness.cli import main
from harness.runs.frozen import frozen_plan
from tests.report.synthetic import make_sweep


def test_runs_that_have_not_ended_and_curves_that_cannot_be_read_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_sweep(tmp_path / "synthetic")
    told = ["fit", "experiment=demo", f"runs_dir={tmp_path}", "name=synthetic", "analysis.draws=0"]
    main(told)
    printed = capsys.readouterr().out
    assert "planned runs" not in printed
    assert "readable" not in printed

    cells = frozen_plan(folder).cells
    paths = [folder.cell(cell.run_id) for cell in cells[:4]]
    paths[0].record.unlink()
    paths[1].curve.unlink()
    paths[2].curve.write_text("")
    paths[3].curve.write_text(paths[3].curve.read_text().splitlines()[0] + "\nnonsense\n")
    main(told)
    printed = capsys.readouterr().out
    assert f"{len(cells) - 1} of {len(cells)} planned runs have ended" in printed
    assert "3 finished runs have no readable curve.csv" in printed
    assert all(cell.run_id in printed for cell in cells[1:4])
