"""Figures as functions: all of the report's, without a window, from a sweep or from a bare table."""

import io
import pickle
from dataclasses import replace
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from harness import FitOptions, UserError, figures, fit_points, load_sweep, tables
from harness.fit import Fit
from harness.library.sweep import Sweep
from harness.report.figures.catalogue import FIGURES

ROOT = Path(__file__).resolve().parents[2]
# What the demo's sweep cannot show.
MISSING = {
    "cycle": "no runs whose schedule is longer",
    "tasks": "the runs were scored on no task",
    "recipe_cost": "nothing but the recipe's own values was trained",
}


@pytest.fixture(scope="module")
def sweep() -> Sweep:
    return load_sweep(ROOT / "results/demo")


@pytest.fixture(scope="module")
def fit(sweep: Sweep) -> Fit:
    return sweep.saved_fit()


def test_every_figure_of_the_report_is_a_function() -> None:
    functions = {
        name for name, value in vars(figures).items() if getattr(value, "__qualname__", None) == name
    }
    drawing = functions - {"DrawFigure", "Figure", "report_data"} & functions
    assert {entry.name for entry in FIGURES} <= drawing
    for entry in FIGURES:
        assert entry.caption in str(getattr(figures, entry.name).__doc__)


@pytest.mark.parametrize("name", [entry.name for entry in FIGURES])
def test_a_figure_is_drawn_without_a_window_or_a_trace(name: str, sweep: Sweep, fit: Fit) -> None:
    before = dict(matplotlib.rcParams)
    draw = getattr(figures, name)
    if name in MISSING:
        with pytest.raises(UserError, match=f"^figures.{name}: {MISSING[name]}"):
            draw(fit, sweep)
    else:
        figure = draw(fit, sweep)
        assert isinstance(figure, Figure)
        picture = imread(io.BytesIO(figure._repr_png_()), format="png")
        assert picture.std() > 0.02, "something is drawn"
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == []


def test_a_bare_table_has_figures_too(sweep: Sweep) -> None:
    fit = fit_points(sweep.points, FitOptions(draws=20, backtest=False))
    for draw in (figures.isoflop, figures.contours, figures.residuals, figures.tokens_per_param):
        assert draw(fit, sweep.points).axes
    with pytest.raises(UserError, match=r"figures.training_curves: there are no training curves"):
        figures.training_curves(fit, sweep.points)
    with_curves = fit_points(sweep.points, FitOptions(draws=0, backtest=False), sweep.curves)
    assert figures.training_curves(with_curves, sweep.points, sweep.curves).axes
    with pytest.raises(UserError, match=r"figures.backtest: the fit has no backtest"):
        figures.backtest(fit, sweep.points)


def test_a_fit_of_other_runs_is_refused(sweep: Sweep, fit: Fit) -> None:
    fewer = sweep.points.select(np.arange(20))
    with pytest.raises(UserError, match="the fit is of 21 runs"):
        figures.isoflop(fit, fewer)
    with pytest.raises(UserError, match="got Fit and DataFrame; give a fit, and the points or the sweep"):
        figures.isoflop(fit, tables.points(sweep))  # type: ignore[arg-type]
    other = replace(sweep.points, flops=sweep.points.flops * 2)
    with pytest.raises(UserError, match="give the runs that were fitted"):
        figures.isoflop(fit, other)


def test_a_fit_that_leaves_runs_out_is_drawn_from_the_whole_table(sweep: Sweep) -> None:
    fit = sweep.fit(FitOptions(draws=0, backtest=False, exclude_highest=2))
    assert fit.n_points == 19
    assert figures.isoflop(fit, sweep).axes
    assert figures.isoflop(fit, sweep.points).axes


def test_a_sweep_of_the_same_grid_is_another() -> None:
    fixed, matched = (load_sweep(ROOT / "results" / name) for name in ("kaplan-fixed", "kaplan-matched"))
    with pytest.raises(UserError, match="give the runs that were fitted"):
        figures.isoflop(fixed.saved_fit(), matched)


@pytest.mark.parametrize("name", [entry.name for entry in FIGURES if entry.name not in MISSING])
def test_a_figure_can_be_pickled(name: str, sweep: Sweep, fit: Fit) -> None:
    figure = getattr(figures, name)(fit, sweep)
    again = pickle.loads(pickle.dumps(figure))
    assert len(again.axes) == len(figure.axes)
    again.savefig(io.BytesIO(), format="png")
