"""Accuracy as a sigmoid with its floor at chance: the second step of a two-step prediction.

Of the task loss itself: Gadre et al. 2024 (arXiv 2403.08540) go from loss to error by one curve for all sizes and
lengths; Bhagia et al. 2024 (arXiv 2412.04403) by a sigmoid from the loss of the right answer, which is this one with a
floor that is not chance. Of the logarithm of the reducible task loss: this falls as a power of the compute of
compute-optimal models, so that accuracy is a sigmoid of the logarithm of compute, as Owen 2024 (arXiv 2401.04757) and
Ruan et al. 2024 (arXiv 2405.10938) find it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from harness.fit.status import judge
from harness.fit.table import Array
from harness.fit.tasks.least_squares import Model
from harness.fit.tasks.nested import fit_nested
from harness.fit.tasks.points import TaskPoints, cell_means

STREAM = 71
# Of the logit at the middle of the runs, of ln of its slope per range of the runs, and of the top's share of the way
# from chance to 1.
BOUNDS = np.array([[-12.0, np.log(0.01), 0.02], [12.0, np.log(100.0), 1.0]])
NAMES = ("the level of the sigmoid", "its width", "its top")
# The reducible task loss of the best models falls no faster than this power of compute (Hoffmann et al. 2022: .15), so
# that the irreducible one keeps its distance from the runs.
STEEPEST = 0.5
LEAST = 1e-9  # bits per byte, of a reducible task loss of which the logarithm is taken


@dataclass(frozen=True, eq=False)
class Irreducible:
    """The task loss that no size and no length gets under, bits per byte, by the law of the task loss.

    Attributes:
        draws: of its bootstrap, (draws,); None or empty where there are none.
    """

    value: float
    draws: Array | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Sigmoid:
    """accuracy = chance + (top - chance) / (1 + exp((u - middle) / width)), u = ln(task loss - irreducible).

    Attributes:
        irreducible: in bits per byte; None: u is the task loss itself.
        middle: the u of an accuracy halfway from chance to ``top``. width: in the units of u.
        top_fixed: whether ``top`` is taken to be 1, for the runs do not show another. top_p: of the F test of that.
        status, flags, notes: ``at_bound``, where a parameter or many of its draws lie at a bound.
        widen: by how much the spread of draws is multiplied: the bootstrap's is too small by the parameters fitted.
        draws: bootstrap draws of (top, middle, width) and, where there is one, of the irreducible task loss, (laws,
            draws, 3 or 4). With a fixed top the laws are two: the top at 1, and free. That it is 1 is then an
            assumption, which an interval must not take for true.
    """

    chance: float
    top: float
    middle: float
    width: float
    top_fixed: bool
    top_p: float
    irreducible: float | None = None
    widen: float = 1.0
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    draws: Array | None = None

    @property
    def parameters(self) -> int:
        """How many were fitted to accuracies."""
        return 2 if self.top_fixed else 3

    def accuracy(self, task_loss: Array | float) -> Array:
        """Expected accuracy at a task loss in bits per byte, of its shape."""
        theta = (self.top, self.middle, self.width, self.irreducible)
        return _accuracy(np.asarray(task_loss, dtype=float), self.chance, *theta)

    def accuracy_of_draws(self, task_loss: Array | float, rows: NDArray[np.intp] | None = None) -> Array:
        """Accuracy by each draw at a task loss, one for all or one for each of ``rows``, (laws, draws).

        Args:
            rows: of the draws, (n,); without it all of them.
        """
        assert self.draws is not None
        x = np.asarray(task_loss, dtype=float)
        columns = np.moveaxis(self.draws if rows is None else self.draws[:, rows], 2, 0)
        mine = self.accuracy(x)
        return np.clip(mine + self.widen * (_accuracy(x, self.chance, *columns) - mine), 0, 1)

    def task_loss(self, accuracy: float) -> float:
        """The task loss of ``accuracy``, between chance and ``top``, in bits per byte; it may be no possible one."""
        with np.errstate(over="ignore"):
            u = self.middle + self.width * np.log((self.top - accuracy) / (accuracy - self.chance))
            return float(u if self.irreducible is None else self.irreducible + np.exp(u))


def fit_sigmoid(
    points: TaskPoints,
    draws: int = 400,
    seed: int = 0,
    irreducible: Irreducible | None = None,
    top_may_be_free: bool = True,
) -> Sigmoid:
    """Least squares of all runs, with equal weights: their scatter is that of seeds, which hardly goes with accuracy.

    The top is 1 unless an F test at 5% asks for a lower one: of runs near chance any top explains the accuracies, and
    would leave the forecast to chance. Draws are of cells, each with the irreducible task loss of another draw of its
    law.

    Args:
        irreducible: without it the curve is a sigmoid of the task loss itself.
        top_may_be_free: whether the F test is asked.
    """
    task_loss = expected_losses(points)
    start: list[float] = []
    names: tuple[str, ...] = NAMES
    bounds, given = BOUNDS, None
    if irreducible is not None:
        nearest = _highest_irreducible(points, task_loss)
        bounds = np.column_stack(([min(irreducible.value, 0.0) - 1, nearest], BOUNDS))
        start = [min(irreducible.value, nearest)]
        names = ("the irreducible task loss", *NAMES)
        known = irreducible.draws if irreducible.draws is not None and len(irreducible.draws) else start
        given = np.resize(known, draws)[:, None]
    scale = _scale(task_loss, start[0] if start else None)
    middle, reach = float(np.mean(scale)), float(np.ptp(scale)) or 1.0
    model = _model(task_loss, points.chance, (middle, reach), given is not None)
    starts = [(*start, a, b, t) for a in (-3.0, -1.0, 1.0) for b in (0.0, 1.5) for t in (0.3, 0.6, 1.0)]
    found = fit_nested(
        model, points, np.array(starts), bounds, 1.0, names,
        draws=draws, seed=seed, stream=STREAM, least=3,
        given=given, may_be_free=top_may_be_free,
    )  # fmt: skip
    top, at, width, *rest = _natural(found.theta, points.chance, middle, reach)
    return Sigmoid(
        chance=points.chance,
        top=float(top),
        middle=float(at),
        width=float(width),
        top_fixed=found.fixed,
        top_p=found.p,
        irreducible=float(rest[0]) if rest else None,
        widen=found.widen,
        draws=np.stack(_natural(found.drawn, points.chance, middle, reach), axis=-1),
        **judge(found.flags),
    )


def expected_losses(points: TaskPoints) -> Array:
    """The mean task loss of each run's cell, (runs,): a seed's luck with its task loss would flatten the curve."""
    return cell_means(points.task_loss, points.cells)[points.cells]


def _highest_irreducible(points: TaskPoints, task_loss: Array) -> float:
    """The one with which the best runs' reducible task loss falls from the first budget to the last as ``STEEPEST``."""
    first, last = points.budgets[0], points.budgets[-1]
    best, end = (float(task_loss[points.budget == budget].min()) for budget in (first, last))
    steepest = max((last / first) ** STEEPEST - 1, LEAST)
    return float(task_loss.min()) - max(best - end, LEAST) / steepest


def _scale(task_loss: Array, irreducible: Array | float | None) -> Array:
    """What the logit is linear in."""
    return task_loss if irreducible is None else np.log(np.maximum(task_loss - irreducible, LEAST))


def _model(task_loss: Array, chance: float, at: tuple[float, float], logarithmic: bool) -> Model:
    """The sigmoid of the task losses (runs,) with its scale about ``at``, so that level and slope come apart.

    Its parameters are level, ln slope and the top's share; before them, where it is ``logarithmic``, the irreducible
    task loss, which is given.
    """
    middle, reach = at

    def model(theta: Array) -> tuple[Array, Array]:
        level, log_slope, share = theta.T[-3:, :, None]
        x = (_scale(task_loss, theta[:, :1] if logarithmic else None) - middle) / reach
        slope = np.exp(log_slope)
        part = expit(level - slope * x)
        height = (1 - chance) * share
        steep = height * part * (1 - part)
        derivatives = [steep, -steep * slope * x, (1 - chance) * part]
        if logarithmic:
            derivatives.insert(0, np.zeros_like(part))
        return chance + height * part, np.stack(derivatives, axis=2)

    return model


def _natural(theta: Array, chance: float, middle: float, reach: float) -> tuple[Array, ...]:
    """Top, middle, width and, where there is one, the irreducible task loss."""
    *given, level, log_slope, share = np.moveaxis(theta, -1, 0)
    width = reach / np.exp(log_slope)
    return (chance + (1 - chance) * share, middle + level * width, width, *given)


def _accuracy(
    task_loss: Array,
    chance: float,
    top: Array | float,
    middle: Array | float,
    width: Array | float,
    irreducible: Array | float | None = None,
) -> Array:
    return np.asarray(chance + (top - chance) * expit((middle - _scale(task_loss, irreducible)) / width))
