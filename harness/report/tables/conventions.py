"""Sensitivity tables: the frontier by N and C conventions, and functional forms ranked by held-out error."""

from harness.fit.summary import sentence, told_apart
from harness.report.data import MissingError, ReportData
from harness.report.figures.sensitivity import convention_label
from harness.report.table import Table
from harness.report.text import NOTHING, approach_label, counted, fixed, plain_status, power, ratio


def counting_table(data: ReportData) -> Table:
    """One row a convention and approach."""
    rows = data.fit.counting
    if len({(row.count, row.compute) for row in rows}) < 2:
        raise MissingError("the table counts parameters and compute in one way only")
    return Table(
        "counting",
        "Sensitivity to the N and C conventions",
        ("convention", "approach", "a", "b", "D*/N*", "at C", "status"),
        tuple(
            (
                convention_label(row.count, row.compute),
                approach_label(row.approach),
                fixed(row.a, 3),
                fixed(row.b, 3),
                ratio(row.tokens_per_param),
                power(row.budget),
                plain_status(row.status),
            )
            for row in rows
        ),
        left=("convention", "approach", "status"),
        note="The runs are the same throughout: only the columns called N and C change. A status is that of a fit "
        "under that convention. Not isoflop: runs of one budget have unequal compute under it, so a profile along N "
        "is none along a budget, and its exponents are not to be trusted.",
    )


def forms_table(data: ReportData) -> Table:
    """One row a form, in the order of the comparison."""
    comparison = data.fit.comparison
    if comparison is None:
        raise MissingError("the fit compared no functional forms; 'isoflop fit … analysis.compare=true' does")
    rows = tuple(
        (
            form.name,
            form.formula,
            str(len(form.params)),
            _percent(form.log_rmse),
            _percent(form.holdout_log_rmse),
            _percent(form.budget_log_rmse),
            f"{form.bic:.1f}",
            told_apart(form).replace("-", NOTHING),
            counted(form.params_opt),
            counted(form.tokens_opt),
            fixed(form.loss_opt, 3),
            plain_status(form.status),
        )
        for form in comparison.forms
    )
    split = (
        f"Held out: the {comparison.n_test} runs above {power(comparison.holdout_above)} FLOPs, predicted "
        "from "
        f"the {comparison.n_train} below. "
        if comparison.holdout_above is not None
        else ""
    )
    verdict = f"{sentence(comparison.verdict)} " if comparison.verdict else ""
    return Table(
        "forms",
        "Functional forms, ranked by held-out error",
        (
            "form",
            "L =",
            "parameters",
            "error, all",
            "error, held out",
            "error, each budget left out",
            "BIC",
            "from the first",
            "N*",
            "D*",
            "loss",
            "status",
        ),
        rows,
        left=("form", "L =", "status"),
        note=f"{verdict}{split}Errors are root mean squares of ln(predicted / measured). N*, D* and loss at "
        f"C = {power(comparison.target)}. A lower error on the runs does not show that a form holds beyond "
        "them.",
    )


def _percent(value: float | None) -> str:
    if value is not None and value > 1:
        return ">100%"
    return NOTHING if value is None else f"{100 * value:.2f}%"
