"""The page's tables: what a number in them is."""

import math

import numpy as np

from harness.report.tables.frontier import law_table
from harness.runs.frozen import frozen_plan
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported


def test_coefficients_are_given_as_logarithms_with_their_intervals(reported: Reported) -> None:
    data = from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
    law = data.fit.approach_3
    rows = {str(row[0]): row for row in law_table(data).rows}
    assert list(rows) == ["E", "ln A", "ln B", "α", "β"]
    assert law.A is not None
    assert law.A_interval is not None
    assert law.draws is not None
    error = np.log(law.draws[:, 1]).std(ddof=1)
    low, high = (math.log(end) for end in law.A_interval)
    assert rows["ln A"][1:4] == (f"{math.log(law.A):.4f}", f"{error:.4f}", f"{low:.4f} to {high:.4f}")
    assert math.isclose(float(str(rows["ln A"][4])), math.log(406.4), abs_tol=1e-3), "section 3.3: A = 406.4"
