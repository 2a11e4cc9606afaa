"""The transfer check as a tool: what it prints and writes of tunings, and what it refuses."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from harness.files import write_json
from scripts import transfer_check as tool
from tests.tune.test_transfer import tuned


def test_a_row_a_size_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, exponent in (("standard", -0.8), ("completep", 0.0)):
        fit = replace(tuned(exponent, 2), name=f"transfer-{name}-tune")
        write_json(tmp_path / name / "tune.json", fit.to_json())
    folders = [str(tmp_path / name) for name in ("standard", "completep")]
    assert tool.main([*folders, "--out", str(tmp_path / "out")]) == 0
    *lines, empty, which = capsys.readouterr().out.splitlines()
    rows = [line.split(" | ") for line in lines[2:]]
    assert (empty, which.startswith("The learning rate is AdamW's")) == ("", True)
    assert [row[0] for row in rows] == ["| standard"] * 2 + ["| completep"] * 2
    with (tmp_path / "out" / "ratios.csv").open(encoding="utf-8") as file:
        ratios = list(csv.DictReader(file))
    assert float(ratios[1]["high"]) < 0.5**0.5 < float(ratios[3]["low"])
    assert float(ratios[3]["high"]) < 2**0.5
    assert ratios[0]["low"] == "", "the first is not compared with itself"
    with (tmp_path / "out" / "rates.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 40
    assert (tmp_path / "out" / "transfer.png").stat().st_size > 10_000


def test_a_folder_without_a_tuning_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([str(tmp_path)]) == 2
    assert "isoflop tune" in capsys.readouterr().err
