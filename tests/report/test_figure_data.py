"""The table beside a figure has what the figure shows, in the units of its axes."""

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from harness.fit.results import BudgetOptimum
from harness.report.data import ReportData
from harness.report.figure_data import COLOUR_BAR, Row, rows_of, series_name, to_csv
from harness.report.figures import isoflop
from harness.report.figures.catalogue import FIGURES
from harness.report.line import frontier_line
from harness.report.style import figure_style, panels
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported
from tests.report.scored import with_tasks
from tests.tune.synthetic import Truth
from tests.tune.test_fit import fitted


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    data = from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
    faster = replace(data.ablations[0], changed="rates", factor=2.0)
    return with_tasks(replace(data, tuning=fitted(Truth()), ablations=(*data.ablations, faster)))


@pytest.fixture(scope="module")
def drawn(report_data: ReportData) -> dict[str, Figure]:
    with figure_style():
        return {entry.name: entry.draw(report_data) for entry in FIGURES}


def many(rows: list[Row], series: str, panel: int) -> list[Row]:
    return [row for row in rows if row.series == series and row.panel == panel]


@pytest.mark.parametrize("name", [entry.name for entry in FIGURES])
def test_every_panel_and_every_series_of_every_figure_is_in_its_table(
    name: str, drawn: dict[str, Figure]
) -> None:
    figure = drawn[name]
    rows = rows_of(figure)
    shown = [axes for axes in figure.axes if axes.get_visible() and axes.get_label() != COLOUR_BAR]
    assert {row.panel for row in rows} == set(range(1, len(shown) + 1))
    for number, axes in enumerate(shown, start=1):
        mine = [row for row in rows if row.panel == number]
        assert {row.x_axis for row in mine} == {" ".join(axes.get_xlabel().split())}
        drawn_values = {round(float(value), 9) for row in mine for value in (row.y, row.y_low, row.y_high)}
        for line in axes.lines:
            if line.get_transform() is not axes.transData or line.get_marker() in ("^", "v", "x"):
                continue  # across the panel, or at its edge for what lies beyond
            y = np.asarray(line.get_ydata(), dtype=float)
            y = y[np.isfinite(y)]
            if len(y) > 2:  # ends of bands have no name, and are in the table as such
                assert {round(float(value), 9) for value in y} <= drawn_values, (name, line.get_label())
        for part in axes.collections:
            if isinstance(part, PathCollection | PolyCollection | ContourSet):
                assert series_name(part) is not None, (name, type(part).__name__)


@pytest.mark.parametrize("name", [entry.name for entry in FIGURES])
def test_the_table_is_csv_of_numbers(name: str, drawn: dict[str, Figure]) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(drawn[name]))))
    assert rows
    for row in rows:
        assert float(row["x"]) == float(row["x"])
        assert row["y"] or (row["kind"] == "band" and row["y_low"] and row["y_high"])
        assert not any(value in ("nan", "inf", "-inf") for value in row.values())
        assert row["series"]
        assert not row["series"].startswith("_")


def test_the_profiles_table_has_the_runs_the_minima_and_their_intervals(report_data: ReportData) -> None:
    with figure_style():
        rows = rows_of(isoflop.draw_isoflop(report_data))
    budgets = report_data.fit.approach_2.budgets
    runs = [row for row in rows if row.panel == 1 and row.kind == "points" and "minimum" not in row.series]
    members = [run for budget in budgets for run in budget.run_ids]
    at = [report_data.points.run_id.index(run) for run in members]
    assert sorted(row.x for row in runs) == pytest.approx(sorted(report_data.points.params[at]))
    assert sorted(row.y for row in runs) == pytest.approx(sorted(report_data.points.loss[at]))
    minima = sorted(
        (row for row in rows if row.panel == 2 and row.series.endswith(": minimum")), key=lambda row: row.x
    )
    for row, budget in zip(minima, budgets, strict=True):
        assert (row.x, row.y) == pytest.approx((budget.budget, budget.params_opt))
        assert (row.y_low, row.y_high) == pytest.approx(budget.params_interval)


def test_bands_have_both_ends_and_extrapolation_its_own_name(report_data: ReportData) -> None:
    with figure_style():
        rows = rows_of(isoflop.draw_isoflop(report_data))
    name = "approach 2 (IsoFLOP)"
    line = frontier_line(report_data.fit.approach_2, *report_data.range, also=(report_data.target,))
    assert line is not None
    band = many(rows, f"{name}: interval", 2)
    assert [row.x for row in band] == pytest.approx(line.flops.tolist())
    assert [row.y_low for row in band] == pytest.approx(line.params.low.tolist())
    assert [row.y_high for row in band] == pytest.approx(line.params.high.tolist())
    assert [row.x for row in many(rows, name, 2)] == pytest.approx(line.flops[line.measured].tolist())
    beyond = {row.x for row in many(rows, f"{name}: extrapolated", 2)}
    within = {float(c) for c in line.flops[line.measured]}
    assert set(line.flops.tolist()) == beyond | within
    assert len(beyond & within) == 2, "the two ends, where dashes begin"


def test_an_end_that_is_not_bounded_is_no_number_and_stretches_no_axis(report_data: ReportData) -> None:
    fit = report_data.fit

    def opened(one: BudgetOptimum, end: float) -> BudgetOptimum:
        assert one.params_interval is not None
        return replace(one, params_interval=(one.params_interval[0], end))

    limits = {}
    for end in (1.0, math.inf, 1e200):
        first = fit.approach_2.budgets[0]
        assert first.params_interval is not None
        budgets = (opened(first, first.params_interval[1] * end), *fit.approach_2.budgets[1:])
        data = replace(report_data, fit=replace(fit, approach_2=replace(fit.approach_2, budgets=budgets)))
        with figure_style():
            figure = isoflop.draw_isoflop(data)
        left, middle = figure.axes[:2]
        limits[end] = left.get_xlim(), middle.get_ylim()
        row = min(
            (row for row in rows_of(figure) if row.panel == 2 and row.series.endswith(": minimum")),
            key=lambda row: row.x,
        )
        if end == math.inf:
            assert row.y_high == pytest.approx(row.y), "there is no arm"
    assert limits[math.inf] == limits[1.0]
    for low, high in limits[1e200]:
        assert high / low < 1e7


def test_what_has_no_name_is_decoration() -> None:
    with figure_style():
        figure, (axes,) = panels(1)
        axes.axhline(0, label="zero")
        axes.plot([1, 2], [3, 4])
        axes.plot([1, 2], [3, np.nan], label="_shown in no legend")
    (row,) = rows_of(figure)
    assert (row.series, row.kind, row.x, row.y) == ("shown in no legend", "line", 1, 3)
