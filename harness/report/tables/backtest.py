"""The backtest: what fits to the lower budgets forecast of the higher ones, beside what was measured there."""

from harness.fit.results import BacktestRow
from harness.fit.summary import backtest_status, furthest
from harness.report.data import MissingError, ReportData
from harness.report.table import Table
from harness.report.text import approach_label, counted, fixed, interval, power, with_interval

MOST_ROWS = 24


def backtest_table(data: ReportData) -> Table:
    """One row a forecast."""
    tested = data.fit.backtest
    if tested is None:
        raise MissingError("the fit has no backtest; 'isoflop fit' makes it (analysis.backtest=true)")
    if not tested.rows:
        raise MissingError(tested.note)
    shown = furthest(tested, MOST_ROWS)
    counts = "; ".join(
        f"{approach_label(name).lower()} held {tested.held[name]} of {n}"
        for name, n in tested.compared.items()
    )
    return Table(
        "backtest",
        "Backtest: fitted to the lower budgets, what would have been forecast of the higher ones",
        (
            "approach",
            "fitted up to C",
            "forecast at C",
            "N* forecast",
            "N* measured",
            "D* forecast",
            "D* measured",
            "loss forecast",
            "loss measured",
            "error of ln L, runs",
            "status",
        ),
        tuple(_cells(row) for row in shown),
        left=("approach", "fitted up to C", "forecast at C", "status"),
        note=f"In brackets: {tested.level:.0%} intervals, {tested.draws_each} bootstrap draws a forecast. Measured: "
        f"the minimum of the budget's own profile{_bias(data)}, from runs that the forecast has not seen. A forecast "
        "is held where the interval of its difference from the measurement has zero in it: of the quantities compared, "
        f"{counts}. At {tested.level:.0%} some misses are expected; an approach is called forecast missed where its "
        "misses are beyond chance. The error of ln L is the mean of ln(forecast / measured) over the budget's runs."
        + (
            ""
            if len(shown) == len(tested.rows)
            else " Shown are forecasts of the highest budget; fit.json has all."
        ),
    )


def _bias(data: ReportData) -> str:
    """How forecasts of the law and minima of polynomials are made comparable."""
    if data.fit.approach_2.correction == "law":
        return ", less the polynomial's bias"
    return " (approach 3's forecasts are of that minimum too: of the same polynomial through the law's own losses)"


def _cells(row: BacktestRow) -> tuple[str, ...]:
    return (
        approach_label(row.approach),
        f"{power(row.cutoff)} ({row.cutoff_budgets} budgets)",
        power(row.budget),
        with_interval(counted(row.params), interval(row.params_interval)),
        with_interval(counted(row.measured_params), interval(row.measured_params_interval)),
        with_interval(counted(row.tokens), interval(row.tokens_interval)),
        with_interval(counted(row.measured_tokens), interval(row.measured_tokens_interval)),
        with_interval(fixed(row.loss, 3), interval(row.loss_interval, "fixed")),
        with_interval(fixed(row.measured_loss, 3), interval(row.measured_loss_interval, "fixed")),
        "–" if row.run_error is None else f"{row.run_error:+.4f}",
        backtest_status(row),
    )
