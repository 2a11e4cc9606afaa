"""The frontier as a table: approach 2's minimum at each budget, beside what the others say there."""

from harness.report.material import Material
from harness.report.missing import MissingError
from harness.report.tables.table import Table
from harness.report.text import counted, fixed, interval, plain_status, power, ratio, with_interval


def build(material: Material) -> Table:
    """One row a budget."""
    fit = material.fit
    if not fit.approach_2.budgets:
        raise MissingError(f"approach 2 has no budgets ({fit.approach_2.status})")
    rows = []
    for budget in fit.approach_2.budgets:
        per_param = None
        if budget.params_opt and budget.tokens_opt:
            per_param = budget.tokens_opt / budget.params_opt
        others = [approach.predict(budget.budget).params for approach in (fit.approach_1, fit.approach_3)]
        rows.append(
            (
                power(budget.budget),
                str(budget.n_points),
                with_interval(counted(budget.params_opt), interval(budget.params_interval)),
                with_interval(counted(budget.tokens_opt), interval(budget.tokens_interval)),
                ratio(per_param),
                with_interval(fixed(budget.loss_opt, 3), interval(budget.loss_interval, "fixed", 3)),
                counted(others[0]),
                counted(others[1]),
                plain_status(budget.status),
            )
        )
    return Table(
        "frontier",
        "The measured frontier: minima of the IsoFLOP profiles",
        ("C (FLOPs)", "runs", "N*", "D*", "D*/N*", "loss", "N*, approach 1", "N*, approach 3", "status"),
        tuple(rows),
        left=("C (FLOPs)", "status"),
        note="A budget whose profile has no minimum inside the sizes that were run has no number: its "
        "optimum is not known, only the side on which it lies.",
    )
