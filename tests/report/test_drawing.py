"""Figures drawn by several processes are those of one, and a process that dies loses none."""

from pathlib import Path

import pytest

from harness.report import drawing
from harness.report.data import ReportData
from harness.report.drawing import draw_all
from harness.report.figures.catalogue import FIGURES
from scripts.redraw import report_data

SOME = tuple(
    entry for entry in FIGURES if entry.name in ("isoflop", "tasks", "curvature", "cycle", "backtest")
)


@pytest.fixture(scope="module")
def demo() -> ReportData:
    data = report_data(Path(__file__).parents[2] / "results" / "demo")
    assert data is not None
    return data


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "MANY_RUNS", 1)
    monkeypatch.setattr(drawing.cores, "available", lambda: 2)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("style", ["default", "paper"])
def test_several_processes_draw_what_one_does(
    style: str, demo: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = draw_all(demo, SOME, tmp_path / "one", style)
    monkeypatch.setattr(drawing, "MANY_RUNS", 1)
    monkeypatch.setattr(drawing.cores, "available", lambda: 2)
    here: list[str] = []
    draw = drawing.draw
    monkeypatch.setattr(
        drawing, "draw", lambda data, entry, *more: here.append(entry.name) or draw(data, entry, *more)
    )
    two = draw_all(demo, SOME, tmp_path / "two", style)
    assert len(here) == 3, "the others were drawn elsewhere"
    assert two == one
    assert [isinstance(drawn, str) for drawn in one].count(True) == 2, "tasks and cycle have no data"
    assert files(tmp_path / "two") == files(tmp_path / "one")
    assert len(files(tmp_path / "one")) == 12


def test_what_a_dead_process_has_not_drawn_is_drawn_here(
    several: None, demo: ReportData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing.sys, "executable", "/bin/false")
    drawn = draw_all(demo, SOME, tmp_path)
    assert sum(not isinstance(one, str) for one in drawn) == 3
    assert len(files(tmp_path)) == 12


def test_without_a_folder_no_process_is_started(
    several: None, demo: ReportData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing.subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    drawn = draw_all(demo, SOME, None)
    assert sum(not isinstance(one, str) for one in drawn) == 3
