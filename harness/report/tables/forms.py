"""Functional forms ranked by how well they predict budgets they were not fitted on."""

from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.tables.table import Table
from harness.report.text import NOTHING, counted, fixed, plain_status, power


def build(material: Material) -> Table:
    """One row a form, in the order of the comparison."""
    comparison = material.fit.comparison
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
            "N*",
            "D*",
            "loss",
            "status",
        ),
        rows,
        left=("form", "L =", "status"),
        note=f"{split}Errors are root mean squares of ln(predicted / measured). N*, D* and loss at "
        f"C = {power(comparison.target)}. A lower error on the runs is no reason to believe a form beyond "
        "them.",
    )


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.2f}%"
