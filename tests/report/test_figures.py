"""Figures and tables say what the fit says, and say why where it says nothing."""

import math
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from harness.fit import FitOptions, fit_points, read_points
from harness.fit.laws import CostLaw
from harness.fit.results import Approach3
from harness.predict.fixed_time import answer_time, within_ladder
from harness.predict.source import choose, from_fit
from harness.report.axes import log_flops
from harness.report.data import MissingError, ReportData
from harness.report.diagnostics import diagnostics
from harness.report.figures import (
    approaches,
    contours,
    fixed_time,
    schedule_lengths,
    tasks,
    training_curves,
)
from harness.report.figures.catalogue import FIGURES
from harness.report.figures.response_surfaces import draw_tuning
from harness.report.line import frontier_line
from harness.report.published import (
    KNOWN_MODELS,
    TABLE_2,
    TABLE_A3,
    TABLE_A4,
    kaplan_frontier,
    published_theta,
)
from harness.report.style import figure_style, panels
from harness.report.tables import compute, frontier
from harness.report.tables import fixed_time as fixed_time_table
from harness.report.tables.tasks import build as task_tables
from harness.report.tables.tasks import fits_table
from harness.report.text import dollars, interval, power, ratio, significant, times, typeset
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported
from tests.report.scored import with_tasks
from tests.tune.synthetic import Truth
from tests.tune.test_fit import fitted

PUBLISHED = os.environ.get("ISOFLOP_HOFFMANN_POINTS")
E, A, B, ALPHA, BETA = published_theta("hoffmann2022")
PAPER = Approach3(
    E=E,
    A=A,
    B=B,
    alpha=ALPHA,
    beta=BETA,
    a=BETA / (ALPHA + BETA),
    b=ALPHA / (ALPHA + BETA),
    largest_flops=3e21,
)


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)


def test_line_is_the_prediction_and_its_interval(reported: Reported) -> None:
    for approach in reported.fit.approaches:
        line = frontier_line(approach, *(1e11, 1e14), also=(7e13,))
        assert line is not None
        at = int(np.argmin(np.abs(line.flops - 7e13)))
        prediction = approach.predict(7e13)
        assert line.params.value[at] == pytest.approx(prediction.params)
        assert line.tokens.value[at] == pytest.approx(prediction.tokens)
        assert (line.ratio.low[at], line.ratio.high[at]) == pytest.approx(
            prediction.tokens_per_param_interval
        )
        assert line.measured.any()
        assert not line.measured.all()


def test_the_price_of_another_ratio_is_none_at_the_optimum_and_grows_away_from_it() -> None:
    per_param, excess, multiple = contours.penalty(PAPER, 1e21)
    best = PAPER.predict(1e21)
    at = int(np.argmin(excess))
    assert per_param[at] == pytest.approx(best.tokens_per_param, rel=0.05)
    assert abs(excess[at]) < 1e-4
    assert multiple[at] == pytest.approx(1, abs=1e-3)
    assert (np.diff(excess[:at]) < 0).all()
    assert (np.diff(excess[at:]) > 0).all()
    # Spending the multiple at that ratio does reach the optimum's loss.
    grown = math.sqrt(multiple[0] * 1e21 / (6 * per_param[0]))
    assert float(PAPER.loss(grown, grown * per_param[0])) == pytest.approx(best.loss, abs=1e-9)


def test_optimum_for_a_size_inverts_the_frontier() -> None:
    for params in TABLE_A3:
        found = compute.optimum_for(PAPER, params)
        assert found is not None
        prediction = PAPER.predict(found.flops)
        assert prediction.params == pytest.approx(params, rel=1e-9)
        assert found.flops == pytest.approx(6 * params * found.tokens, rel=1e-9)
    assert compute.optimum_for(replace(PAPER, a=None), 1e9) is None


def test_the_published_law_gives_somewhat_more_tokens_than_the_published_table() -> None:
    """Hoffmann et al. 2022, Table A3: its own unrounded law gives 6 to 19% more tokens than printed."""
    for params, row in TABLE_A3.items():
        found = compute.optimum_for(PAPER, params)
        assert found is not None
        assert 1.06 < found.tokens / row["approach_3"].tokens < 1.19
    # A misprint of the paper: its own 12.0T tokens need ten times the printed FLOPs.
    assert 6 * 175e9 * TABLE_A3[175e9]["approach_3"].tokens == pytest.approx(1.26e25, rel=0.01)


def test_table_a4_is_reproduced_to_its_two_decimals() -> None:
    for model in TABLE_A4:
        assert compute.blocks_over_6nd(model) == pytest.approx(model.ratio, abs=0.005)


def test_published_numbers_are_consistent() -> None:
    for row in TABLE_2.values():
        assert row.a + row.b == pytest.approx(1, abs=0.011)
    chinchilla = next(model for model in KNOWN_MODELS if model.name == "Chinchilla")
    gopher = next(model for model in KNOWN_MODELS if model.name == "Gopher")
    assert chinchilla.flops == pytest.approx(5.76e23, rel=0.03)
    assert gopher.flops == pytest.approx(5.76e23, rel=0.15)
    # Kaplan et al.: N grows much faster than D; together as C.
    small, large = (kaplan_frontier().at_flops(c) for c in (1e21, 1e23))
    assert large.params / small.params == pytest.approx(100**0.73)
    assert large.tokens / small.tokens == pytest.approx(100**0.27)
    # The printed 1.3e9 C^0.73 and 2e10 C^0.27 are of petaFLOP-days.
    assert kaplan_frontier().at_flops(1e15 * 86400).params == pytest.approx(1.3e9, rel=1e-5)
    assert kaplan_frontier().at_flops(1e15 * 86400).tokens == pytest.approx(2e10, rel=1e-5)


def test_tables_hold_the_fit_s_numbers(report_data: ReportData) -> None:
    rows = frontier.frontier_table(report_data).rows
    assert len(rows) == len(report_data.fit.approach_2.budgets) == 4
    approach = report_data.fit.approach_3
    cells = frontier.exponents_table(report_data).rows[2]
    assert str(cells[1]).startswith(f"{approach.a:.3f} (")
    assert cells[5] == f"{(approach.a or 0) - 0.46:+.3f}"
    with pytest.raises(MissingError, match="beyond"):
        compute.sizes_table(report_data)


def test_every_figure_is_drawn(report_data: ReportData) -> None:
    faster = replace(report_data.ablations[0], changed="rates", factor=2.0)
    tuned = replace(report_data, tuning=fitted(Truth()), ablations=(*report_data.ablations, faster))
    with figure_style():
        for entry in FIGURES:
            assert entry.draw(with_tasks(tuned)).axes, entry.name


def test_tasks_are_on_the_page(report_data: ReportData) -> None:
    data = with_tasks(report_data)
    with figure_style():
        error, accuracy = tasks.draw_tasks(data).axes
    seen = sum(len(line.get_xdata()) for line in error.lines if line.get_marker() == "o")
    assert seen == sum(bool(record.tasks) for record in data.records.values())
    assert (error.get_ylabel(), accuracy.get_ylabel()) == ("error", "accuracy")
    shown, about = task_tables(data.records.values())
    assert len(shown.rows[0][2:]) == len({record.budget for record in data.records.values() if record.tasks})
    assert shown.rows[0][1] == "25.0%"
    assert about.rows[0][3] == "20.0%"
    assert fits_table(data.tasks).rows[0][0] == "word"


def test_what_has_no_ground_is_left_out_with_a_reason(report_data: ReportData) -> None:
    fit = report_data.fit
    empty = replace(
        fit,
        approach_1=replace(fit.approach_1, params_law=None, envelope=None, draws=None, a=None),
        approach_2=replace(fit.approach_2, params_law=None, budgets=(), draws=None, a=None),
        approach_3=Approach3(status="too_few_points", cost=CostLaw()),
        counting=(),
        backtest=None,
    )
    bare = replace(report_data, fit=empty, curves={}, ablations=(), records={})
    with figure_style():
        for entry in FIGURES:
            with pytest.raises(MissingError, match=r"\w+"):
                entry.draw(bare)
    with pytest.raises(MissingError, match="no training curves"):
        training_curves.draw_training_curves(replace(report_data, curves={}))


def test_the_cost_of_a_longer_schedule_is_drawn_and_said(report_data: ReportData) -> None:
    axes = schedule_lengths.draw_schedule_lengths(report_data).axes[0]
    assert axes.lines[0].get_xdata().tolist() == [1.0, 1.5, 5.0]
    assert axes.lines[0].get_ydata() == pytest.approx([0.0, 0.01, 0.08])
    (said,) = [finding for finding in diagnostics(report_data) if "schedules longer" in finding.text]
    assert (
        "ended higher by +0.0100 at 1.5 times; +0.0800 at 5 times (nats per token, mean over budgets)"
        in said.text
    )
    assert (said.level, "chosen for being the lowest" in said.text) == ("caution", True), (
        "no replicates, no luck known"
    )
    assert not any("peak learning rate was tried" in finding.text for finding in diagnostics(report_data))
    better = tuple(replace(ablation, loss=ablation.loss_of - 0.05) for ablation in report_data.ablations)
    (warned,) = [
        f for f in diagnostics(replace(report_data, ablations=better)) if "schedules longer" in f.text
    ]
    assert warned.level == "caution"


def test_figures_of_special_runs_need_their_runs() -> None:
    with figure_style():
        with pytest.raises(MissingError):
            schedule_lengths.draw_cycles([schedule_lengths.CycleRun(1e6, 1.0, 3.0)])
        longer = [
            schedule_lengths.CycleRun(n, h, 3 + 0.02 * (h - 1) ** 2)
            for n in (1e6, 4e6)
            for h in (1.0, 1.25, 2.0)
        ]
        axes = schedule_lengths.draw_cycles(longer).axes[0]
        assert [line.get_label() for line in axes.lines[:2]] == ["N = 1.00M", "N = 4.00M"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e12, "10¹²"),
        (6.31e12, "6.3 × 10¹²"),
        (2.5e-7, "2.5 × 10⁻⁷"),
        (950.0, "950"),
        (8650.0, "8650"),
        (0.0, "0"),
    ],
)
def test_powers(value: float, text: str) -> None:
    assert power(value) == text


def test_ratios_have_no_more_digits_than_they_carry() -> None:
    assert [ratio(v) for v in (20.4, 9.4, 0.31, 1234.0, None)] == ["20", "9.4", "0.31", "1234", "–"]
    assert [times(v) for v in (1.5, 10.0, 276.0, 2372.0)] == ["1.5×", "10×", "276×", "2372×"]


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED, reason="ISOFLOP_HOFFMANN_POINTS does not name the published points")
def test_published_points_make_every_figure_that_points_allow(tmp_path: Path) -> None:
    table = read_points(str(PUBLISHED))
    fit = fit_points(table, FitOptions(draws=60, exclude_highest=5))
    gone = {excluded.run for excluded in fit.excluded}
    used = table.select(np.array([run not in gone for run in table.run_id]))
    report_data = ReportData("published", fit, used, table)
    assert len(used) == 240
    with figure_style():
        for entry in FIGURES:
            if entry.name in (
                *(
                    "training_curves",
                    "counting",
                    "bowls",
                    "recipe_cost",
                    "cycle",
                    "fixed_time",
                    "measured_time",
                    "backtest",
                    "tasks",
                ),
            ):
                with pytest.raises(MissingError):
                    entry.draw(report_data)
            else:
                entry.draw(report_data).savefig(tmp_path / f"{entry.name}.png")
    rows = compute.sizes_table(report_data).rows
    assert len(rows) == 2 * len(TABLE_A3)


def test_an_interval_beside_its_value_is_drawn_all_the_same(report_data: ReportData) -> None:
    """As few draws give it."""
    fit = report_data.fit
    assert fit.backtest is not None
    rows = tuple(
        replace(row, params_interval=(row.params * 1.1, row.params * 1.2)) if row.params else row
        for row in fit.backtest.rows
    )
    minima = tuple(
        replace(one, params_interval=(one.params_opt * 0.8, one.params_opt * 0.9)) if one.params_opt else one
        for one in fit.approach_2.budgets
    )
    assert rows != fit.backtest.rows
    assert minima != fit.approach_2.budgets
    two = replace(fit.approach_2, budgets=minima)
    data = replace(report_data, fit=replace(fit, approach_2=two, backtest=replace(fit.backtest, rows=rows)))
    with figure_style():
        for entry in FIGURES:
            if entry.name in ("backtest", "isoflop", "curvature"):
                entry.draw(data)


def labels_in_view(low: float, high: float, size: float, which: str = "x") -> list[Text]:
    """The labels of a log axis of FLOPs of a panel of ``size`` inches, as drawn."""
    with figure_style():
        figure, (axes,) = panels(1, width=size, height=size)
        axes.plot([low, high], [low, high])
        log_flops(axes, which)
        figure.draw_without_rendering()
        axis = axes.xaxis if which == "x" else axes.yaxis
        left, right = axis.get_view_interval()
        return [tick.label1 for tick in axis.get_major_ticks() if left <= tick.get_loc() <= right]


@pytest.mark.parametrize("size", [2.3, 3.1, 5.0])
@pytest.mark.parametrize("reach", [1.05, 1.3, 2, 4, 6, 10, 27, 60, 1e3, 1e6, 1e12])
def test_a_log_axis_has_labels_enough_that_do_not_touch(reach: float, size: float) -> None:
    for which in ("x", "y"):
        labels = labels_in_view(1e11, 1e11 * reach, size, which)
        assert (3 if size > 3 or which == "y" else 2) <= len(labels) <= 8, [one.get_text() for one in labels]
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(two) for one, two in pairwise(boxes))
        values = [one.get_text() for one in labels]
        assert len(set(values)) == len(values)


def test_a_short_axis_of_compute_has_multiples_of_powers_of_ten() -> None:
    for high in (6e11, 1e12, 2.7e12):
        shown = {label.get_text() for label in labels_in_view(1e11, high, 3.1)}
        assert shown >= {"10¹¹", "2 × 10¹¹", "5 × 10¹¹"}


def test_no_key_stands_on_data(report_data: ReportData) -> None:
    """Those that are placed by hand: of the bowls, of the approaches and of the contours."""
    with figure_style():
        for figure in (
            draw_tuning(fitted(Truth())),
            approaches.draw_approaches(report_data),
            contours.draw_contours(report_data),
        ):
            figure.draw_without_rendering()
            frames = [axes.get_window_extent() for axes in figure.axes]
            keys = [*figure.legends, *(axes.get_legend() for axes in figure.axes[:1])]
            boxes = [key.get_window_extent() for key in keys if key is not None]
            assert boxes
            assert not any(box.overlaps(frame) for box in boxes for frame in frames)


def test_a_row_of_response_surfaces_is_left_out_where_its_value_was_kept() -> None:
    tuned = fitted(Truth())
    kept = replace(
        tuned, trials=tuple(t for t in tuned.trials if t.batch_tokens == tuned.sizes[t.size].recipe_batch)
    )
    with figure_style():
        assert len(draw_tuning(tuned).axes) == 2 * len(draw_tuning(kept).axes)


def test_a_caption_explains_what_is_in_the_picture(report_data: ReportData) -> None:
    entry = next(entry for entry in FIGURES if entry.name == "approaches")
    assert "Crosses" not in entry.about(report_data).caption
    far = replace(report_data, fit=replace(report_data.fit, largest_flops=1e21))
    assert "Crosses: released models" in entry.about(far).caption


def test_numbers_have_three_figures_in_one_style() -> None:
    values = (42.42, 6966859.2, 13844704654.0, 1893.5, 0.01, 0.0, None)
    assert [significant(v) for v in values] == [
        "42.4",
        "6.97 × 10⁶",
        "1.38 × 10¹⁰",
        "1890",
        "0.0100",
        "0.00",
        "–",
    ]
    assert [significant(v, 2) for v in (1.0, 9.96, 0.57)] == ["1.0", "10", "0.57"]
    assert times(5.6e4) == "5.6 × 10⁴ times"


def test_sentences_of_the_fit_are_set_in_the_style_of_the_page() -> None:
    said = "At C = 6e+12 the largest N* is 1.20 x the smallest; approach_1 and approach_3 on N* (9.1e+04 against 12)."
    assert typeset(said) == (
        "At C = 6 × 10¹² the largest N* is 1.20× the smallest; approach 1 and approach 3 on N* "
        "(9.1 × 10⁴ against 12)."
    )
    typed = "set validate.budget=1e13 or grid.budgets=[1e15,2e15]; run 3e1f and 9f2e10aa"
    assert typeset(typed) == typed


@pytest.mark.parametrize("device", [0, 1])
def test_the_best_models_of_a_time_are_drawn_as_they_are(report_data: ReportData, device: int) -> None:
    shown = replace(report_data, devices=report_data.devices[device:])
    own = shown.devices[0]
    with figure_style():
        figure = fixed_time.draw_fixed_time(shown)
        figure.draw_without_rendering()
    left, right = figure.axes
    source = choose(from_fit(report_data.fit), "approach_3")[1]
    unit = 60.0 if left.get_xlabel().startswith("minutes") else 1.0
    assert left.get_xlabel().endswith(f"on {own.label}")
    losses, sizes = ([line.get_xydata() for line in axes.lines[:2]] for axes in (left, right))
    for at in (0, 20, -1):
        found = answer_time(source, own.clock, unit * losses[0][at][0])
        assert [line[at][1] for line in losses] == pytest.approx([found.loss, found.plain_loss], rel=1e-6)
        assert [line[at][1] for line in sizes] == pytest.approx([found.params, found.plain_params], rel=1e-3)
        assert within_ladder([found], own.clock)
    top = left.child_axes
    assert [axes.get_xlabel() for axes in top] == ([] if own.price is None else ["dollars"])
    if own.price is not None:
        assert top[0].get_xlim()[0] == pytest.approx(left.get_xlim()[0] * unit / 3600 * own.price)
    caption = next(entry for entry in FIGURES if entry.name == "fixed_time").about(shown).caption
    assert own.said in caption


def test_times_are_left_out_where_nothing_tells_them(report_data: ReportData) -> None:
    law = replace(report_data.fit.approach_3, E=None, status="failed")
    lawless = replace(report_data, fit=replace(report_data.fit, approach_3=law))
    for build in (fixed_time.draw_fixed_time, fixed_time_table.fixed_time_table):
        with pytest.raises(MissingError, match="the default ladder lacks their sizes"):
            build(replace(report_data, devices=()))
        with pytest.raises(MissingError, match="approach 3 has no fit"):
            build(lawless)


def test_the_table_of_times_has_prices_where_there_are_any(report_data: ReportData) -> None:
    own = fixed_time_table.fixed_time_table(report_data)
    assert own.headings[:2] == ("time on made_up", "N")
    assert len(own.rows) >= 3
    assert all(row[0] for row in own.rows)
    priced = fixed_time_table.fixed_time_table(replace(report_data, devices=report_data.devices[3:]))
    assert priced.headings[:3] == ("time on a100 (assumed)", "dollars", "N")
    assert all(len(row) == len(priced.headings) for row in priced.rows)
    assert "not measured" in priced.note


def test_an_interval_without_an_end_says_so() -> None:
    assert interval((1e4, math.inf)) == "10.0k to not bounded"
    assert interval((0.0, 2e4)) == "0 to 20.0k"
    assert interval((math.inf, math.inf)) == interval((0.0, 0.0)) == "not bounded"
    assert [dollars(x) for x in (0.001, 0.41, 12.0, 1234.5)] == ["under 1 cent", "$0.41", "$12.00", "$1,234"]
