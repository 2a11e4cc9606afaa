"""The constants of repetition from one's own runs; some must have seen their corpus more than once."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from harness.errors import UserError
from harness.fit.table import Array, Points
from harness.frontier.law import Law
from harness.frontier.repetition import Repetition, saturating

ENOUGH = 3
BOUNDS = (0.05, 1e4)


@dataclass(frozen=True, kw_only=True)
class RepetitionFit:
    """Fitted constants.

    Attributes:
        repetition: R_D* and R_N*.
        n_points: runs that repeat, and hence say something.
        fitted_params: whether R_N* was fitted, or kept at the published value because no run is oversized.
        log_rmse: root mean square of ln(predicted / measured) over the repeating runs.
        plain_log_rmse: the same if repeated tokens counted as fresh ones.
        at_bound: a constant went to the edge of what is searched: the runs do not determine it.
    """

    repetition: Repetition
    n_points: int
    fitted_params: bool
    log_rmse: float
    plain_log_rmse: float
    at_bound: bool


def fit_repetition(law: Law, points: Points) -> RepetitionFit:
    """R_D* and R_N* by least squares of log loss, the law held fixed (Muennighoff et al. 2023, appendix A).

    The law should come from runs without repetition. ``points`` needs a column ``unique_tokens``.

    Raises:
        UserError: no such column, or fewer than three runs that repeat.
    """
    unique = points.column("unique_tokens")
    repeats = points.tokens > 1.01 * unique
    if repeats.sum() < ENOUGH:
        raise UserError(
            f"repetition: {int(repeats.sum())} runs repeat their corpus; needs {ENOUGH} to fit from"
        )
    params, tokens, unique = points.params[repeats], points.tokens[repeats], unique[repeats]
    log_loss = np.log(points.loss[repeats])
    sizes = np.array([float(law.at_tokens(value).params) for value in unique])
    oversized = bool((params > 1.01 * sizes).sum() >= ENOUGH)
    default = Repetition()

    def residual(log_r: Array) -> Array:
        r_params = float(np.exp(log_r[1])) if oversized else default.r_params
        size = saturating(params, sizes, r_params)
        data = saturating(tokens, unique, float(np.exp(log_r[0])))
        return np.asarray(np.log(law.loss(size, data)) - log_loss)

    start = np.log([default.r_tokens, default.r_params])[: 1 + oversized]
    found = least_squares(residual, start, bounds=tuple(np.log(BOUNDS)), xtol=1e-12, ftol=1e-12, gtol=1e-12)
    values = np.exp(found.x)
    plain = np.log(law.loss(params, tokens)) - log_loss
    edge = (values < 1.01 * BOUNDS[0]) | (values > 0.99 * BOUNDS[1])
    return RepetitionFit(
        repetition=Repetition(float(values[0]), float(values[1]) if oversized else default.r_params),
        n_points=int(repeats.sum()),
        fitted_params=oversized,
        log_rmse=float(np.sqrt(np.mean(found.fun**2))),
        plain_log_rmse=float(np.sqrt(np.mean(plain**2))),
        at_bound=bool(edge.any()),
    )
