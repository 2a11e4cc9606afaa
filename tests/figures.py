"""Reports with few figures: drawing all takes most of a report's time, and ``tests/report`` draws each of them."""

from pathlib import Path

import pytest

from harness.report.data import ReportData
from harness.report.figures.catalogue import FIGURES
from harness.report.files import Written, write_report
from harness.report.style_names import DEFAULT
from harness.workflow import report as workflow


def draw_only(monkeypatch: pytest.MonkeyPatch, *names: str, first: bool = False) -> None:
    """Commands that run in this process draw the figures of these names alone.

    Args:
        first: the first report has them all.
    """
    chosen = tuple(entry for entry in FIGURES if entry.name in names)
    assert len(chosen) == len(names), f"no such figure among {names}"

    left = [FIGURES] if first else []

    def write(data: ReportData, folder: Path, style: str = DEFAULT) -> Written:
        return write_report(data, folder, left.pop() if left else chosen, style)

    monkeypatch.setattr(workflow, "write_report", write)
