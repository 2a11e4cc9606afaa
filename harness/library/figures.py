"""The figures of the report as functions of a fit and its runs, each returning a matplotlib figure.

>>> from harness import figures, load_sweep
>>> sweep = load_sweep("results/demo")
>>> figure = figures.isoflop(sweep.saved_fit(), sweep)
>>> figure.savefig("isoflop.png")  # doctest: +SKIP

A notebook shows the figure that is a cell's last value. ``figure.axes`` are there to be changed.
"""

from collections.abc import Mapping
from typing import Protocol

from matplotlib.figure import Figure

from harness.errors import UserError
from harness.fit import Curve, Fit, Points
from harness.library.sweep import Sweep
from harness.report.data import MissingError, ReportData, other_runs, used_points
from harness.report.figures.catalogue import FIGURES, FigureEntry
from harness.report.style import ShownFigure, figure_style
from harness.report.style_names import DEFAULT, STYLE_NAMES
from harness.workflow.report import devices_of

ENTRIES: dict[str, FigureEntry] = {entry.name: entry for entry in FIGURES}


class DrawFigure(Protocol):
    """How every figure is called."""

    def __call__(
        self,
        fit: Fit,
        runs: Points | Sweep,
        curves: Mapping[str, Curve] | None = None,
        style: str = DEFAULT,
    ) -> Figure:
        """Draw it.

        Args:
            fit: a fit of ``runs``, with whatever options.
            runs: the table that was fitted, or the sweep.
            curves: training curves by run id; a sweep has its own.
            style: ``default``, ``paper`` (serif, as wide as a column or a page of a journal) or ``slides`` (large
                letters, thick lines).

        Raises:
            UserError: there is no such style; the figure has nothing to show, and why; or ``fit`` is one of other runs.
        """


def report_data(fit: Fit, runs: Points | Sweep, curves: Mapping[str, Curve] | None = None) -> ReportData:
    """What a figure is drawn from.

    Raises:
        UserError: ``fit`` is a fit of other runs.
    """
    if not isinstance(fit, Fit) or not isinstance(runs, Points | Sweep):
        given = f"{type(fit).__name__} and {type(runs).__name__}"
        raise UserError(f"figures: got {given}; give a fit, and the points or the sweep that it is a fit of")
    if isinstance(runs, Sweep):
        data = runs.report_data(fit)
    else:
        data = ReportData("", fit, used_points(runs, fit), runs, curves=curves or {}, devices=devices_of(fit))
    if wrong := other_runs(data.table, fit):
        raise UserError(f"figures: {wrong}; give the runs that were fitted")
    return data


def _drawer(name: str) -> DrawFigure:
    entry = ENTRIES[name]

    def draw(
        fit: Fit,
        runs: Points | Sweep,
        curves: Mapping[str, Curve] | None = None,
        style: str = DEFAULT,
    ) -> Figure:
        if style not in STYLE_NAMES:
            raise UserError(
                f"figures.{name}: there is no style {style!r}; choose one of {', '.join(STYLE_NAMES)}"
            )
        data = report_data(fit, runs, curves)
        try:
            with figure_style(style):
                figure = entry.draw(data)
                if isinstance(figure, ShownFigure):
                    figure.dress()
                return figure
        except MissingError as missing:
            raise UserError(f"figures.{name}: {missing}") from None

    draw.__name__ = draw.__qualname__ = name
    draw.__doc__ = f"{entry.title}.\n\n{entry.caption}\n\nSee :class:`DrawFigure` for the arguments."
    return draw


# Written out, so that editors and type checkers know them; a test compares them with the catalogue.
isoflop = _drawer("isoflop")
tokens_per_param = _drawer("tokens_per_param")
approaches = _drawer("approaches")
backtest = _drawer("backtest")
training_curves = _drawer("training_curves")
contours = _drawer("contours")
residuals = _drawer("residuals")
predicted = _drawer("predicted")
overtraining = _drawer("overtraining")
fixed_time = _drawer("fixed_time")
measured_time = _drawer("measured_time")
tasks = _drawer("tasks")
curvature = _drawer("curvature")
counting = _drawer("counting")
bowls = _drawer("bowls")
recipe_cost = _drawer("recipe_cost")
cycle = _drawer("cycle")
