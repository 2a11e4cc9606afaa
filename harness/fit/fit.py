"""A table of runs in, the whole fit out."""

from collections.abc import Mapping

from harness.errors import UserError
from harness.fit.curves import Curve
from harness.fit.options import FitOptions
from harness.fit.results import Fit
from harness.fit.table import Points


def fit_points(
    points: Points, options: FitOptions | None = None, curves: Mapping[str, Curve] | None = None
) -> Fit:
    """Fits all three approaches to a table of runs.

    Args:
        points: finished runs.
        options: how; the defaults follow the paper.
        curves: training curves by ``run_id``, for approach 1; without them its status is ``no_curves``.
    """
    raise UserError("fit: not built yet")
