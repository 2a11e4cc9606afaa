"""Committed figures are those that today's code draws from the data beside them."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from harness.report.fingerprint import fingerprint, stored
from harness.report.style import BLUE, RED, figure_style, panels, save
from scripts.redraw import drawings, is_current

RESULTS = Path(__file__).parents[2] / "results"
BY_THEIR_COMMANDS = {
    "bowls.png": "isoflop tune",
    "validation.png": "isoflop validate",
    "saving.png": "isoflop compare",
    "coordinates.png": "scripts/coordinate_check.py",
    "transfer.png": "scripts/transfer_check.py",
    "tasks.png": "isoflop report, from accuracies that results/ keeps without their losses' draws",
}
"""Figures that are not made of a fit and its table: what draws them anew."""


def figure(
    title: str = "one", y: float = 2.0, colour: str = BLUE, top: float = 5.0, label: str = "runs"
) -> Figure:
    made, (axes,) = panels(1)
    axes.plot([1.0, 2.0], [1.0, y], color=colour, label=label)
    axes.set(title=title, ylim=(0, top))
    return made


def drawn(**changed: object) -> str:
    with figure_style():
        return fingerprint(figure(**changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed", [{"title": "two"}, {"y": 2.01}, {"colour": RED}, {"top": 6.0}, {"label": "cells"}]
)
def test_data_and_style_change_the_fingerprint(changed: dict[str, object]) -> None:
    assert drawn(**changed) != drawn()


def test_rounding_and_drawing_again_do_not_change_it(tmp_path: Path) -> None:
    assert drawn(y=2.0 * (1 + 1e-12)) == drawn()
    for name in ("a", "b"):
        with figure_style():
            save(figure(), tmp_path, name)
    assert stored(tmp_path / "a.png") == stored(tmp_path / "b.png") == drawn()


def test_a_figure_of_other_code_is_not_current(tmp_path: Path) -> None:
    with figure_style():
        save(figure(), tmp_path, "one")
    assert is_current(tmp_path / "one.png", figure)
    assert not is_current(tmp_path / "one.png", lambda: figure(title="two"))


def results() -> list[Path]:
    return sorted({path.parent.parent for path in RESULTS.glob("*/figures/*.png")})


def test_which_committed_figures_are_checked() -> None:
    """All but those of :data:`BY_THEIR_COMMANDS`."""
    checked = {path for folder in results() for path, _ in drawings(folder)}
    others = set(RESULTS.rglob("*.png")) - checked
    assert {path.name for path in others} <= BY_THEIR_COMMANDS.keys()
    assert len(checked) > 35


@pytest.mark.parametrize("folder", results(), ids=lambda folder: folder.name)
def test_no_committed_figure_is_older_than_the_code_that_draws_it(folder: Path) -> None:
    late = [path.name for path, draw in drawings(folder) if not is_current(path, draw)]
    assert not late, f"'python -m scripts.redraw results' draws {', '.join(late)} of {folder.name} anew"
