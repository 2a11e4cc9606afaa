"""What is in each figure: the right curves, ranges, keys and verdicts."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.contour import ContourSet

from harness.fit import FitOptions
from harness.fit.approach_1 import smooth
from harness.report.data import MissingError, ReportData
from harness.report.figure_data import COLOUR_BAR
from harness.report.figures import (
    approaches,
    contours,
    measured_time,
    residuals,
    schedule_lengths,
    training_curves,
)
from harness.report.figures.catalogue import FIGURES, FigureEntry
from harness.report.line import LOOKS
from harness.report.style import APPROACH_NAMES, figure_style
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)


def test_curves_are_smoothed_as_the_envelope_is_and_counted_as_the_fit_counts(
    report_data: ReportData,
) -> None:
    points = report_data.points
    twice = replace(report_data, points=replace(points, flops=points.flops * 2))
    with figure_style():
        axes, other = (training_curves.draw_training_curves(data).axes[0] for data in (report_data, twice))
    lines = {line.get_label().split()[1]: line for line in axes.lines if line.get_label().startswith("_run")}
    assert set(lines) == {run for run in points.run_id if run in report_data.curves}
    for run, line in lines.items():
        curve = report_data.curves[run]
        drawn = np.asarray(line.get_ydata())
        smoothed = smooth(curve, FitOptions().smoothing_steps)
        assert set(drawn.tolist()) <= set(smoothed.tolist())
        end = points.flops[points.run_id.index(run)]
        assert float(line.get_xdata()[-1]) == pytest.approx(end, rel=0.01)
    far = max(float(line.get_xdata()[-1]) for line in other.lines if line.get_label().startswith("_run"))
    near = max(float(line.get_xdata()[-1]) for line in lines.values())
    assert far == pytest.approx(2 * near)


def test_the_envelope_is_broken_where_runs_end_and_the_next_are_higher() -> None:
    flops = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 2.0])
    loss = np.array([5.0, 4.0, 4.5, 4.6, 3.0, 5.0, 4.9])
    envelope = np.column_stack((flops, flops, flops, loss))
    pieces = training_curves.envelope_pieces(envelope, [2.5, 4.5, 9.0])
    # The rise at 3 to 4 is noise of one run; at 4.5 a run ends and the loss falls; then another seed's begins.
    assert [piece[:, 0].tolist() for piece in pieces] == [[1, 2], [3, 4, 5], [1, 2]]


def test_panels_without_an_envelope_are_left_out(report_data: ReportData) -> None:
    none = replace(
        report_data.fit.approach_1, params_law=None, tokens_law=None, envelope=None, a=None, b=None
    )
    with figure_style():
        drawn = training_curves.draw_training_curves(
            replace(report_data, fit=replace(report_data.fit, approach_1=none))
        )
    shown = [axes for axes in drawn.axes if axes.get_label() != COLOUR_BAR]
    assert [axes.get_ylabel() for axes in shown] == ["training loss (nats per token)"]


def test_the_line_of_kaplan_is_in_no_corner(report_data: ReportData) -> None:
    with figure_style():
        for data in (report_data, replace(report_data, fit=replace(report_data.fit, largest_flops=1e21))):
            for axes in approaches.draw_approaches(data).axes:
                for line in axes.lines:
                    if line.get_label() == approaches.KAPLAN:
                        low, high = axes.get_ylim()
                        y = np.asarray(line.get_ydata())
                        assert np.mean((y > low) & (y < high)) >= approaches.LEAST_SEEN
        small = approaches.draw_approaches(report_data)
    assert not any(line.get_label() == approaches.KAPLAN for axes in small.axes for line in axes.lines)
    assert "Kaplan" not in approaches.more(report_data)


def test_approaches_that_agree_are_all_to_be_seen(report_data: ReportData) -> None:
    fit = report_data.fit
    same = replace(fit.approach_2, name="approach_1")
    agree = replace(report_data, fit=replace(fit, approach_1=same))
    with figure_style():
        axes = approaches.draw_approaches(agree).axes[0]
    one, two = (
        next(line for line in axes.lines if line.get_label() == APPROACH_NAMES[n])
        for n in LOOKS
        if n != "approach_3"
    )
    assert np.allclose(one.get_ydata(), two.get_ydata())
    assert two.get_linewidth() < one.get_linewidth()
    assert two.get_zorder() > one.get_zorder()


def test_both_panels_of_overtraining_have_one_range_and_one_key(report_data: ReportData) -> None:
    with figure_style():
        figure = contours.draw_overtraining(report_data)
    left, right = [axes for axes in figure.axes if axes.get_label() != COLOUR_BAR]
    assert left.get_xlim() == right.get_xlim()
    top = right.get_ylim()[1]
    for line in right.lines:
        if "C = " in line.get_label():
            y = np.asarray(line.get_ydata())
            assert min(y[0], y[-1]) >= top * (1 - 1e-9), "every curve reaches the top on both sides"
    (key,) = figure.legends
    written = [text.get_text() for text in key.get_texts()]
    assert {"runs", "D/N = 20", "beyond the runs' compute"} <= set(written)


def test_contours_and_runs_have_one_scale_of_colours(report_data: ReportData) -> None:
    with figure_style():
        figure = contours.draw_contours(report_data)
    (bar,) = [axes for axes in figure.axes if axes.get_label() == COLOUR_BAR][:1]
    drawn = next(part for part in figure.axes[0].collections if isinstance(part, ContourSet))
    runs = next(part for part in figure.axes[0].collections if isinstance(part, PathCollection))
    assert drawn.norm is runs.norm
    assert bar.get_yticks() == pytest.approx(drawn.levels)
    assert [float(text.get_text()) for text in bar.get_yticklabels()] == pytest.approx(
        drawn.levels, abs=0.006
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "No structure found by its tests, at the 1% level."),
        (("misfit",), "Misfit: it bends."),
        (("wide_interval", "misfit", "misfit"), "Misfit: it bends; it bends."),
        (("shared_noise",), "Shared noise: it bends."),
    ],
)
def test_residuals_have_their_verdict_above_them(
    report_data: ReportData, flags: tuple[str, ...], said: str
) -> None:
    law = replace(report_data.fit.approach_3, flags=flags, notes=("it bends",) * len(flags))
    data = replace(report_data, fit=replace(report_data.fit, approach_3=law))
    assert residuals.residual_verdict(law) == said
    with figure_style():
        figure = residuals.draw_residuals(data)
    assert said in " ".join(" ".join(text.get_text().split()) for text in figure.axes[0].texts)
    assert [axes.get_xlabel() for axes in figure.axes[:4]] == list(residuals.AXES.values())
    ratio = np.concatenate([line.get_xdata() for line in figure.axes[3].lines if line.get_marker() == "o"])
    assert sorted(ratio) == pytest.approx(sorted(data.points.tokens / data.points.params))


def test_no_verdict_where_residuals_were_not_tested(report_data: ReportData) -> None:
    law = replace(report_data.fit.approach_3, flags=(), notes=())
    assert residuals.residual_verdict(replace(law, fit_error=None)) == ""
    exact = replace(report_data.fit.approach_2, flags=(), notes=())
    assert residuals.residual_verdict(exact) == ""


def test_a_residual_far_off_stands_at_the_edge_and_hides_no_others() -> None:
    values = np.concatenate((np.linspace(-1, 1, 60), [40.0]))
    assert residuals.reach(values) < 3
    assert residuals.reach(values[:-1]) == pytest.approx(1.15)


def test_the_lowest_loss_of_a_time_is_of_runs_that_took_no_longer(report_data: ReportData) -> None:
    with figure_style():
        axes = measured_time.draw_measured_time(report_data).axes[0]
    records = [one for one in report_data.records.values() if one.run_id in report_data.points.run_id]
    unit = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0}[axes.get_xlabel().split()[0]]
    step = next(line for line in axes.lines if line.get_label() == "lowest loss of a run no longer")
    assert len(step.get_xdata()) == len(records)
    for time, loss in zip(np.asarray(step.get_xdata()), np.asarray(step.get_ydata()), strict=True):
        within = [
            one.loss for one in records if one.seconds / unit <= time * (1 + 1e-9) and one.loss is not None
        ]
        assert loss == pytest.approx(min(within))
    with pytest.raises(MissingError, match="how long the runs trained is unknown"):
        measured_time.draw_measured_time(replace(report_data, records={}))


def test_other_seeds_stand_beside_their_length() -> None:
    runs = [schedule_lengths.CycleRun(1e6, h, 3 + 0.01 * h) for h in (1.0, 2.0)]
    runs += [
        schedule_lengths.CycleRun(1e6, 1.0, 3.05, seed=1),
        schedule_lengths.CycleRun(1e6, 1.0, 2.99, seed=2),
    ]
    with figure_style():
        axes = schedule_lengths.draw_cycles(runs).axes[0]
    line, others = (axes.lines[0], axes.lines[1])
    assert line.get_xdata().tolist() == [1.0, 2.0]
    assert others.get_markerfacecolor() == "none"
    assert all(0.9 < x < 1 for x in others.get_xdata())
    assert list(others.get_ydata()) == pytest.approx([0.04, -0.02])


@pytest.mark.parametrize("entry", FIGURES, ids=lambda entry: entry.name)
def test_a_caption_stands_alone(entry: FigureEntry) -> None:
    assert len(entry.caption.split()) > 35
    assert entry.caption.endswith(".")
    if "loss" in entry.caption.lower() and entry.name != "fixed_time":
        assert any(unit in entry.caption for unit in ("nats per token", "in percent", "bits per byte"))
