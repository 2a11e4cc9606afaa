"""The budgets that a figure of lines has room for."""

from collections.abc import Sequence

import numpy as np

from harness.report.data import ReportData

MOST_BUDGETS = 12
"""Lines of more budgets than these cannot be told apart."""


def few(budgets: Sequence[float], most: int = MOST_BUDGETS) -> list[float]:
    """At most ``most`` of ``budgets`` by rising compute, evenly taken, the first and the last among them."""
    ordered = sorted(set(budgets))
    return (
        [ordered[i] for i in np.unique(np.linspace(0, len(ordered) - 1, most).astype(int))] if ordered else []
    )


def note(data: ReportData) -> str:
    """The end of a caption where there are more budgets than the figure shows."""
    total = len(data.fit.approach_2.budgets)
    return f" Shown are {MOST_BUDGETS} of {total} budgets, evenly taken." if total > MOST_BUDGETS else ""
