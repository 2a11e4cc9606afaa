"""Committed figures are those that today's code draws from the data beside them."""

import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from harness.report.fingerprint import fingerprint, stored
from harness.report.saving import save
from harness.report.style import BLUE, RED, figure_style, panels
from scripts.redraw import drawings, folders, is_current, redraw

RESULTS = Path(__file__).parents[2] / "results"
NOT_CHECKED = {
    "tasks/figures/tasks.png": "of the runs' models results/ keeps the table alone, without the losses' draws",
    "tasks_validation/figures/validation.png": "the fit that it was registered from is not kept",
}
"""Figures of whose data a part is in no folder, and why."""


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


def test_all_committed_figures_are_checked() -> None:
    checked = {path for folder in folders(RESULTS) for path, _ in drawings(folder)}
    others = {path.relative_to(RESULTS).as_posix() for path in set(RESULTS.rglob("*.png")) - checked}
    assert others == NOT_CHECKED.keys()


@pytest.mark.parametrize("folder", folders(RESULTS), ids=lambda folder: folder.name)
def test_no_committed_figure_is_older_than_the_code_that_draws_it(folder: Path) -> None:
    late = [path.name for path, draw in drawings(folder) if not is_current(path, draw)]
    assert not late, f"'python -m scripts.redraw results' draws {', '.join(late)} of {folder.name} anew"


def test_redrawing_replaces_the_picture_and_nothing_beside_it(tmp_path: Path) -> None:
    """The table of coordinate_check has the name of the figure's own numbers."""
    folder = tmp_path / "parametrization" / "coordinates"
    shutil.copytree(RESULTS / "parametrization" / "coordinates", folder)
    table = (folder / "coordinates.csv").read_bytes()
    with figure_style():
        save(figure(), folder, "coordinates")
    (folder / "coordinates.csv").write_bytes(table)
    for name in ("coordinates.svg", "coordinates.pdf"):
        (folder / name).unlink()
    (late,) = drawings(folder)
    assert not is_current(*late)
    redraw(folder, [late])
    assert is_current(*late)
    assert {path.name for path in folder.iterdir()} == {"coordinates.csv", "coordinates.png"}
    assert (folder / "coordinates.csv").read_bytes() == table
