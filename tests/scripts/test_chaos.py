"""``scripts/chaos.py`` asks for a sweep that the program of today accepts, which trains."""

from pathlib import Path

import pytest

from harness.cli import main
from scripts import chaos


@pytest.mark.parametrize("launcher", [chaos.LOCAL, chaos.SLURM])
def test_its_sweep_can_be_planned(
    launcher: tuple[str, ...], tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").symlink_to(text_folder)
    main(["plan", *chaos.overrides(tmp_path / "calm", 6, *launcher)])
    assert "6 cells" in capsys.readouterr().out
