"""The styles of figures, and the files of each."""

import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.text import Annotation
from PIL import Image

from harness import UserError, figures, load_sweep
from harness.config.compose import compose_config
from harness.report.data import ReportData
from harness.report.figure_data import COLOUR_BAR
from harness.report.figures import approaches
from harness.report.figures.catalogue import FIGURES
from harness.report.files import write_report
from harness.report.saving import ENDINGS, save
from harness.report.style import figure_style
from harness.report.style_names import DEFAULT, PAPER, SLIDES, STYLE_NAMES
from harness.report.styles import STYLES
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import FEW, Reported
from tests.report.scored import with_tasks
from tests.tune.synthetic import Truth
from tests.tune.test_fit import fitted

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)


def far(data: ReportData) -> ReportData:
    """As if the runs were large: the figure reaches to released models."""
    points = data.points
    return replace(
        data,
        fit=replace(data.fit, smallest_flops=1e18, largest_flops=1e21),
        points=replace(
            points, params=points.params * 1e4, tokens=points.tokens * 1e4, flops=points.flops * 1e8
        ),
    )


def test_the_names_are_those_of_the_styles() -> None:
    assert tuple(STYLES) == STYLE_NAMES
    assert all(name == style.name for name, style in STYLES.items())


@pytest.mark.parametrize("name", STYLE_NAMES)
def test_the_same_numbers_make_the_same_bytes_in_four_formats(
    name: str, report_data: ReportData, tmp_path: Path
) -> None:
    entry = FEW[0]
    for folder in ("one", "two"):
        with figure_style(name):
            save(entry.draw(report_data), tmp_path / folder, "figure")
    one, two = (
        {path.name: path.read_bytes() for path in sorted((tmp_path / folder).iterdir())}
        for folder in ("one", "two")
    )
    assert set(one) == {f"figure{ending}" for ending in ENDINGS}
    assert one == two
    svg = one["figure.svg"].decode()
    assert ">parameters N</text>" in svg, "letters are text"
    assert "<dc:date>" not in svg


def test_a_figure_for_a_paper_is_as_wide_as_a_column_or_a_page(report_data: ReportData) -> None:
    with figure_style(PAPER):
        for entry, width in ((figures.ENTRIES["tokens_per_param"], 3.35), (figures.ENTRIES["isoflop"], 6.9)):
            figure = entry.draw(report_data)
            figure.draw_without_rendering()
            assert figure.get_figwidth() == pytest.approx(width)
            ticks = [label for axes in figure.axes for label in axes.get_xticklabels()]
            assert {label.get_fontfamily()[0] for label in ticks} == {"DejaVu Serif"}
            assert {label.get_fontsize() for label in ticks} == {7}


@pytest.mark.parametrize(
    "name", [PAPER, *(pytest.param(wide, marks=pytest.mark.slow) for wide in (DEFAULT, SLIDES))]
)
@pytest.mark.parametrize("entry", [entry.name for entry in FIGURES])
def test_nothing_leaves_the_figure_and_no_labels_of_an_axis_touch(
    name: str, entry: str, report_data: ReportData
) -> None:
    faster = replace(report_data.ablations[0], changed="rates", factor=2.0)
    data = with_tasks(
        replace(report_data, tuning=fitted(Truth()), ablations=(*report_data.ablations, faster))
    )
    with figure_style(name):
        figure = figures.ENTRIES[entry].draw(data)
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        whole = figure.bbox
        for legend in figure.legends:
            box = legend.get_window_extent(renderer)
            assert box.x0 >= whole.x0 - 1, "the key is as wide as the figure at most"
            assert box.x1 <= whole.x1 + 1
            for axes in figure.axes:
                assert not box.overlaps(axes.get_window_extent())
        for axes in (one for one in figure.axes if one.get_label() != COLOUR_BAR):
            assert min(axes.get_window_extent().size) > 20, "a panel has room"
            for label in (axes.xaxis.label, axes.yaxis.label):
                written = label.get_window_extent(renderer)
                assert written.y0 >= whole.y0 - 2, label.get_text()
                assert written.y1 <= whole.y1 + 2, label.get_text()
                assert written.x1 <= whole.x1 + 2, label.get_text()
            low, high = sorted(axes.get_xlim())
            labels = [tick.label1 for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
            boxes = [label.get_window_extent(renderer) for label in labels if label.get_text()]
            assert not any(one.overlaps(two) for one, two in pairwise(boxes)), (
                entry,
                [label.get_text() for label in labels],
            )


@pytest.mark.parametrize("name", STYLE_NAMES)
def test_the_names_of_models_do_not_touch(name: str, report_data: ReportData) -> None:
    with figure_style(name):
        figure = approaches.draw_approaches(far(report_data))
        figure.draw_without_rendering()
        for axes in figure.axes:
            written = [one for one in axes.texts if isinstance(one, Annotation) and one.get_text()]
            names = [one for one in written if one.get_text() != "not bounded"]
            assert len(names) == 6
            boxes = [one.get_window_extent() for one in names]
            # the boxes of letters without the rows' spacing
            boxes = [box.shrunk(1, 0.75) for box in boxes]
            for i, box in enumerate(boxes):
                for other, text in zip(boxes[i + 1 :], names[i + 1 :], strict=True):
                    assert not box.overlaps(other), (names[i].get_text(), text.get_text())
                assert box.x1 <= axes.get_window_extent().x1 + 1, names[i].get_text()


def test_lines_on_slides_are_thicker(report_data: ReportData) -> None:
    widths = {}
    sweep = load_sweep(ROOT / "results/demo")
    for name in STYLE_NAMES:
        figure = figures.isoflop(sweep.saved_fit(), sweep, style=name)
        widths[name] = max(line.get_linewidth() for line in figure.axes[1].lines)
    assert widths[PAPER] < widths[DEFAULT] < widths[SLIDES]


def test_the_page_is_the_same_in_every_style(report_data: ReportData, tmp_path: Path) -> None:
    pages, drawings = set(), set()
    for name in STYLE_NAMES:
        written = write_report(report_data, tmp_path / name, FEW, name)
        pages.add(written.html.read_bytes())
        drawings.add((written.figures / "isoflop.pdf").read_bytes())
    assert len(pages) == 1
    assert len(drawings) == len(STYLE_NAMES)


def test_files_of_a_figure_that_has_nothing_to_show_any_more_are_removed(
    report_data: ReportData, tmp_path: Path
) -> None:
    entries = tuple(entry for entry in FIGURES if entry.name == "training_curves")
    written = write_report(report_data, tmp_path, entries)
    assert {path.suffix for path in written.figures.iterdir()} == set(ENDINGS)
    write_report(replace(report_data, curves={}), tmp_path, entries)
    assert list(written.figures.iterdir()) == []


def test_a_figure_of_the_library_keeps_its_style_in_any_settings(reported: Reported) -> None:
    sweep = load_sweep(reported.folder.path)

    def picture(**settings: Any) -> np.ndarray:
        with matplotlib.rc_context(settings):
            figure = figures.isoflop(reported.fit, sweep, style=PAPER)
            content = io.BytesIO()
            figure.savefig(content, format="png", dpi=100, transparent=False, facecolor="white")
        return np.asarray(Image.open(content).convert("RGB"))

    own = picture(**{"font.family": "monospace", "xtick.labelsize": 20, "ytick.color": "red"})
    assert (own == picture()).all()


def test_there_is_no_other_style(reported: Reported) -> None:
    sweep = load_sweep(reported.folder.path)
    with pytest.raises(UserError, match="no style 'poster'; choose one of default, paper, slides"):
        figures.isoflop(reported.fit, sweep, style="poster")
    with pytest.raises(UserError, match="style"):
        compose_config(["experiment=demo", "style=poster"])
