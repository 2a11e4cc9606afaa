"""How far single runs scatter about the fitted law: what a prediction of one run adds to the law's uncertainty."""

from dataclasses import dataclass

import numpy as np

from harness.fit import Points
from harness.frontier.law import Law

PARAMETERS = 5  # E, A, B, alpha, beta


@dataclass(frozen=True)
class Scatter:
    """Standard deviation of ln(measured / fitted) over the fit's runs, and its degrees of freedom."""

    scale: float
    freedom: int


def scatter(points: Points, law: Law) -> Scatter | None:
    """The scatter of ``points`` (n runs) about ``law``; None with too few runs to tell.

    It holds the noise of a seed and the law's own lack of fit at the runs, not what goes wrong beyond them.
    """
    freedom = len(points) - PARAMETERS
    if freedom < 1:
        return None
    residual = np.log(points.loss) - np.log(law.loss(points.params, points.tokens))
    return Scatter(float(np.sqrt(np.sum(residual**2) / freedom)), freedom)
