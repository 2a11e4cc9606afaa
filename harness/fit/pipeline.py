"""A table of runs in, the whole fit out: three approaches, and whether they agree."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from harness.errors import UserError
from harness.fit.agreement import compare_approaches
from harness.fit.approach_1 import fit_approach_1
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.backtest import backtest, flagged
from harness.fit.cell_tables import Chosen
from harness.fit.counting import counting_table
from harness.fit.covariates import reference
from harness.fit.curves import Curves
from harness.fit.fitted import Fit
from harness.fit.form_comparison import compare_forms
from harness.fit.options import ALL, FitOptions
from harness.fit.recipes import choose_cells
from harness.fit.table import NO_UNITS, Curve, Points, clean
from harness.fit.used import fingerprint, used_by

# Without a target of the user's, approaches and forms are compared one decade beyond the runs.
TARGET = 10.0


def fit_points(
    points: Points, options: FitOptions | None = None, curves: Mapping[str, Curve] | None = None
) -> Fit:
    """Fits all three approaches to a table of runs.

    >>> from harness import FitOptions, fit_points, read_points
    >>> fit = fit_points(read_points("results/demo/runs.csv"), FitOptions(draws=50, backtest=False))
    >>> print(f"N* ~ C^{fit.approach_2.a:.2f}, {fit.approach_2.status}; {fit.approach_1.status}")
    N* ~ C^0.52, ok; no_curves

    Args:
        points: finished runs; of a run with several entries all are fitted.
        options: how; the defaults follow the paper.
        curves: training curves by ``run_id``, for approach 1; without them its status is ``no_curves``.

    Raises UserError where ``points`` are no :class:`Points`, no run is usable, a column that the options name is
    absent, or an option does not apply; a table that is merely too small gives approaches with a status instead of
    numbers.
    """
    if not isinstance(points, Points):
        kind = type(points).__name__
        raise UserError(
            f"fit_points: a {kind} is no table that was read; give read_points(…), or use sweep.fit()"
        )
    options = options or FitOptions()
    chosen = table_to_fit(points, options)
    table = chosen.table
    if not len(table):
        raise UserError(f"fit: no usable runs ({len(table.excluded)} excluded{_first(table)})")
    options = replace(options, at=reference(table, options.covariates, options.at))
    by_default = replace(options, count="params", compute="flops")
    largest = float(table.flops.max())
    target = options.target or TARGET * largest
    approach_1 = fit_approach_1(table, options, curves if options.loss == "loss" else None)
    approach_2 = fit_approach_2(table, options)
    approach_3 = fit_approach_3(table, options)
    tested = backtest(table, approach_2, options) if options.backtest else None
    if tested is not None:
        approach_2, approach_3 = flagged(approach_2, tested), flagged(approach_3, tested)
    approach_2, approach_3 = chosen.flagged(approach_2), chosen.flagged(approach_3)
    return Fit(
        approach_1=approach_1,
        approach_2=approach_2,
        approach_3=approach_3,
        count=options.count,
        compute=options.compute,
        loss=options.loss,
        rows=ALL if len(set(points.run_id)) < len(points) else options.rows,
        columns=dict(points.read_as),
        where=points.where,
        n_points=len(table),
        excluded=table.excluded,
        notes=(*table.notes, *_of_curves(curves, options)),
        bootstrap={"kind": options.bootstrap, "draws": options.draws, "seed": options.seed},
        level=options.level,
        smallest_flops=float(table.flops.min()),
        largest_flops=largest,
        agreement=compare_approaches((approach_1, approach_2, approach_3), target),
        counting=counting_table(
            table if by_default == options else table_to_fit(points, by_default).table,
            options,
            (approach_2, approach_3),
        ),
        comparison=compare_forms(table, options, target) if options.compare else None,
        backtest=tested,
        cells=chosen.cells,
        fingerprint=fingerprint(
            used_by(points, options.loss, options.count, options.compute, table.excluded)
        ),
    )


def table_to_fit(points: Points, options: FitOptions) -> Chosen:
    """The runs that are fitted: what the options leave, and of each cell what they say."""
    return choose_cells(prepare(points, options), options)


def prepare(points: Points, options: FitOptions) -> Points:
    """The runs that the options leave, counted as they say, each exclusion with its reason."""
    table = clean(points).scored(options.loss).counted(options.count, options.compute)
    if options.max_loss is not None:
        table = table.without(table.loss > options.max_loss, f"loss above max_loss={options.max_loss:g}")
    k = options.exclude_highest
    if k:
        # Among equal losses the later run goes; the count is what the option promises.
        highest = np.zeros(len(table), dtype=bool)
        highest[np.argsort(table.loss, kind="stable")[max(len(table) - k, 0) :]] = True
        table = table.without(highest, f"among the {k} highest losses (exclude_highest={k})")
    return table


def _of_curves(curves: Mapping[str, Curve] | None, options: FitOptions) -> tuple[str, ...]:
    """What is to be said of the curves that were given."""
    if not isinstance(curves, Curves):
        return ()
    unread = (
        f"curves: not read, for they are of another loss than analysis.loss={options.loss}; with columns.loss=NAME "
        "instead they are"
    )
    return curves.notes if options.loss == "loss" else (unread,)


def _first(table: Points) -> str:
    if not table.excluded:
        return ""
    gone = table.excluded[0]
    unit = (
        "; columns.params='NAME * 1e6' says that a column is in millions" if NO_UNITS in gone.reason else ""
    )
    return f", the first: {gone.run}: {gone.reason}{unit}"
