"""Accuracy as a sigmoid of the task loss, with its floor at chance: the second step of a two-step prediction.

Gadre et al. 2024 (arXiv 2403.08540) go from loss to error by one curve for all sizes and lengths; Bhagia et al. 2024
(arXiv 2412.04403) by a sigmoid from the loss of the right answer, which is this one with a floor that is not chance.
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
# Of the logit at the middle of the runs' losses, of ln of its slope per range of the losses, and of the top's share of
# the way from chance to 1.
BOUNDS = np.array([[-12.0, np.log(0.01), 0.02], [12.0, np.log(100.0), 1.0]])
NAMES = ("the level of the sigmoid", "its width", "its top")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sigmoid:
    """accuracy = chance + (top - chance) / (1 + exp((task loss - middle) / width)).

    Attributes:
        middle: the task loss, in bits per byte, of an accuracy halfway from chance to ``top``. width: bits per byte.
        top_fixed: whether ``top`` is taken to be 1, for the runs do not show another. top_p: of the F test of that.
        status, flags, notes: ``at_bound``, where a parameter or many of its draws lie at a bound.
        widen: by how much the spread of draws is multiplied: the bootstrap's is too small by the parameters fitted.
        draws: bootstrap draws of (top, middle, width), (laws, draws, 3). With a fixed top the laws are two: the top
            at 1, and free. That it is 1 is then an assumption, which an interval must not take for true.
    """

    chance: float
    top: float
    middle: float
    width: float
    top_fixed: bool
    top_p: float
    widen: float = 1.0
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    draws: Array | None = None

    @property
    def parameters(self) -> int:
        """How many were fitted."""
        return 2 if self.top_fixed else 3

    def accuracy(self, task_loss: Array | float) -> Array:
        """Expected accuracy at a task loss in bits per byte, of its shape."""
        return _accuracy(np.asarray(task_loss, dtype=float), self.chance, self.top, self.middle, self.width)

    def accuracy_of_draws(self, task_loss: Array | float, rows: NDArray[np.intp] | None = None) -> Array:
        """Accuracy by each draw at a task loss, one for all or one for each of ``rows``, (laws, draws).

        Args:
            rows: of the draws, (n,); without it all of them.
        """
        assert self.draws is not None
        x = np.asarray(task_loss, dtype=float)
        top, middle, width = np.moveaxis(self.draws if rows is None else self.draws[:, rows], 2, 0)
        mine = self.accuracy(x)
        return np.clip(mine + self.widen * (_accuracy(x, self.chance, top, middle, width) - mine), 0, 1)


def fit_sigmoid(points: TaskPoints, draws: int = 400, seed: int = 0) -> Sigmoid:
    """Least squares of all runs, with equal weights: their scatter is that of seeds, which hardly goes with accuracy.

    The top is 1 unless an F test at 5% asks for a lower one: of runs near chance any top explains the accuracies, and
    would leave the forecast to chance. Draws are of cells.
    """
    task_loss = expected_losses(points)
    middle, reach = float(np.mean(task_loss)), float(np.ptp(task_loss)) or 1.0
    model = _model((task_loss - middle) / reach, points.chance)
    starts = np.array([(a, b, t) for a in (-3.0, -1.0, 1.0) for b in (0.0, 1.5) for t in (0.3, 0.6, 1.0)])
    found = fit_nested(
        model, points, starts, BOUNDS, 1.0, NAMES, draws=draws, seed=seed, stream=STREAM, least=3
    )
    top, at, width = _natural(found.theta, points.chance, middle, reach)
    return Sigmoid(
        chance=points.chance,
        top=float(top),
        middle=float(at),
        width=float(width),
        top_fixed=found.fixed,
        top_p=found.p,
        widen=found.widen,
        draws=np.stack(_natural(found.drawn, points.chance, middle, reach), axis=-1),
        **judge(found.flags),
    )


def expected_losses(points: TaskPoints) -> Array:
    """The mean task loss of each run's cell, (runs,): a seed's luck with its task loss would flatten the curve."""
    return cell_means(points.task_loss, points.cells)[points.cells]


def _model(x: Array, chance: float) -> Model:
    """The sigmoid of the scaled task loss ``x`` (runs,): a logit linear in it, so that level and slope come apart."""

    def model(theta: Array) -> tuple[Array, Array]:
        level, log_slope, share = theta.T[:, :, None]
        slope = np.exp(log_slope)
        part = expit(level - slope * x)
        height = (1 - chance) * share
        steep = height * part * (1 - part)
        value = chance + height * part
        return value, np.stack((steep, -steep * slope * x, (1 - chance) * part), axis=2)

    return model


def _natural(theta: Array, chance: float, middle: float, reach: float) -> tuple[Array, Array, Array]:
    level, log_slope, share = np.moveaxis(theta, -1, 0)
    width = reach / np.exp(log_slope)
    return chance + (1 - chance) * share, middle + level * width, width


def _accuracy(
    task_loss: Array, chance: float, top: Array | float, middle: Array | float, width: Array | float
) -> Array:
    return np.asarray(chance + (top - chance) * expit((middle - task_loss) / width))
