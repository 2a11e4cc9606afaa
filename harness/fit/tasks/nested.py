"""A law with a further parameter, its last, that is fitted only where the runs ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.fit.bootstrap import generator
from harness.fit.status import Flag
from harness.fit.table import Array
from harness.fit.tasks.least_squares import (
    Model,
    best_of,
    bound_flags,
    draw_fits,
    further_parameter_p,
    widening,
)
from harness.fit.tasks.points import TaskPoints, draw_counts

ALPHA = 0.05  # of the F test that asks for the last parameter


@dataclass(frozen=True, eq=False)
class NestedFit:
    """The law that was chosen.

    Attributes:
        theta: its parameters, (p,). fixed: whether the last one stands at its usual value. p: of the F test of that.
        widen: by how much the spread of draws is multiplied.
        drawn: of the bootstrap, (laws, draws, p): with the last one fixed also those of the law in which it is free.
        flags: ``at_bound``.
    """

    theta: Array
    fixed: bool
    p: float
    widen: float
    drawn: Array
    flags: list[Flag]


def fit_nested(
    model: Model,
    points: TaskPoints,
    starts: Array,
    bounds: Array,
    usual: float,
    names: Sequence[str],
    draws: int,
    seed: int,
    stream: int,
    least: int,
    given: Array | None = None,
    may_be_free: bool = True,
) -> NestedFit:
    """Least squares of the accuracies, all runs weighing the same, with the last parameter at ``usual`` and free.

    Args:
        starts: (starts, p). bounds: (2, p). names: of the parameters, for warnings.
        draws, seed, stream: of the bootstrap, of cells. least: distinct cells in a draw.
        given: the first parameters of every draw, (draws, given), where these are not fitted: the model's derivatives
            by them must be 0.
        may_be_free: whether the F test is asked; otherwise the last one is fixed.
    """
    held = bounds.copy()
    held[:, -1] = usual
    found = [best_of(model, points.accuracy, starts, each) for each in (held, bounds)]
    residuals = [points.accuracy - model(theta[None])[0][0] for theta in found]
    known = 0 if given is None else given.shape[1]
    size = bounds.shape[1] - known
    p = further_parameter_p(residuals[0], residuals[1], points.cells, parameters=size)
    free = may_be_free and p < ALPHA and found[1][-1] != usual
    theta, fitted = (found[1], size) if free else (found[0], size - 1)
    counts = draw_counts(generator(seed, stream), points.cells, draws, least=least)
    start = np.repeat(theta[None], draws, axis=0)
    if given is not None:
        start[:, :known] = given
    drawn = draw_fits(model, points.accuracy, counts, start, (bounds,) if free else (held, bounds))
    return NestedFit(
        theta=theta,
        fixed=not free,
        p=p,
        widen=widening(points.cells, fitted),
        drawn=drawn,
        flags=bound_flags(theta, drawn[0], bounds, names[: known + fitted]),
    )
