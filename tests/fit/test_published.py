"""The published points are recognised, and nothing else is taken for them."""

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.fit import read_points, read_published
from harness.fit.law_check import check_law


def test_the_published_points_are_recognised(published_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOFLOP_HOFFMANN_POINTS", str(published_path))
    assert len(read_published()) == 245


def test_two_of_its_five_outliers_are_found(published_path: Path) -> None:
    """Besiroglu et al. 2024 leave out the five highest losses; two are of the largest models of one budget."""
    (told,) = check_law(read_points(published_path)).diverged
    assert told.note.startswith("the 2 largest models at C = 9.33e+18 end 22.6% above")


def test_another_table_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "points.csv"
    path.write_text("params,tokens,flops,loss\n1e8,2e9,1.2e18,3\n")
    with pytest.raises(UserError, match="not the published points"):
        read_published(path)
    monkeypatch.delenv("ISOFLOP_HOFFMANN_POINTS", raising=False)
    with pytest.raises(UserError, match="is unset"):
        read_published()
