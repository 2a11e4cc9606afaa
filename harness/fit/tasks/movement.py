"""Whether there is anything to fit: is the accuracy above chance, and does it move with the task loss?

A law of a benchmark that no run can do, or that all runs do alike, is a law of noise. These tests come before any fit.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtr

from harness.fit.tasks.points import TaskPoints, cell_means
from harness.text import counted

ALPHA = 0.05
FEWEST_CELLS = 5
FEWEST_BUDGETS = 2


@dataclass(frozen=True, kw_only=True)
class AboveChance:
    """Whether the runs of the largest budget do better than guessing.

    Attributes:
        mean: accuracy over their cells. se: its standard error, of questions and runs. p: one-sided, that it is chance.
        above: whether p is below 5%. sentence: this in words.
    """

    mean: float
    se: float
    p: float
    above: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Slope:
    """Whether the accuracy rises as the task loss falls.

    Attributes:
        slope: accuracy per bit per byte. p: one-sided, that it is zero or above. rise: of the fitted line over the
            range of the cells' task losses. scatter: standard deviation of single runs about the line.
        moves: whether p is below 5% and the rise larger than the scatter. sentence: this in words.
    """

    slope: float
    p: float
    rise: float
    scatter: float
    moves: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Movement:
    """The verdict ``ok``, ``at_chance``, ``flat`` or ``too_few``, and what it rests on."""

    verdict: str
    sentence: str
    above_chance: AboveChance
    slope: Slope


def movement(points: TaskPoints) -> Movement:
    """The verdict: whether there are cells and budgets enough, then :func:`above_chance`, then :func:`slope`."""
    above, line = above_chance(points), slope(points)
    cells, budgets = int(points.cells.max()) + 1, len(points.budgets)
    if cells < FEWEST_CELLS or budgets < FEWEST_BUDGETS:
        verdict = "too_few"
        sentence = (
            f"{points.task} has {counted(cells, 'size and training length', 'sizes and training lengths')} at "
            f"{counted(budgets, 'budget')}; a fit needs {FEWEST_CELLS} at {FEWEST_BUDGETS}"
        )
    elif not above.above:
        verdict, sentence = "at_chance", above.sentence
        if line.moves:
            sentence += "; on these questions it rises as the task loss falls"
    elif not line.moves:
        verdict, sentence = "flat", line.sentence
    else:
        verdict, sentence = "ok", f"{above.sentence}; {line.sentence}"
    return Movement(verdict=verdict, sentence=sentence, above_chance=above, slope=line)


def above_chance(points: TaskPoints) -> AboveChance:
    """A one-sided z test of the mean accuracy at the largest budget against chance.

    All runs answer the same questions, so that these are hard or easy does not average out over runs: to the variance
    of the mean over cells that of one run over questions is added whole. That holds for answers that runs share; runs
    that guess independently of each other are called above chance less often than the level says.
    """
    top = points.at(float(points.budgets[-1]))
    means = cell_means(top.accuracy, top.cells)
    mean = float(means.mean())
    of_runs = float(means.var(ddof=1)) / len(means) if len(means) > 1 else 0.0
    se = float(np.sqrt(np.mean(top.accuracy_se**2) + of_runs))
    over = mean - points.chance
    p = float(ndtr(-over / se)) if se > 0 else float(over <= 0)
    above = p < ALPHA
    said = "is above" if above else "cannot be told from"
    sentence = (
        f"at the largest budget the mean accuracy of {points.task}, {mean:.3f} with a standard error of {se:.3f}, "
        f"{said} chance, {points.chance:.3f} (p = {p:.2g})"
    )
    return AboveChance(mean=mean, se=se, p=p, above=above, sentence=sentence)


def slope(points: TaskPoints) -> Slope:
    """A one-sided t test of a line through the cells' means of task loss and accuracy, each as often as it has runs.

    Cells are the observations, for seeds of one share what the line misses there. A slope that is significant only for
    the number of its runs is of no use: the line must rise by more than single runs scatter, too.
    """
    cells = points.cells
    x, y = cell_means(points.task_loss, cells), cell_means(points.accuracy, cells)
    weight = np.bincount(cells).astype(float)
    off_x, off_y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    square = float(np.sum(weight * off_x**2))
    steep = float(np.sum(weight * off_x * off_y)) / square if square > 0 else 0.0
    residual = off_y - steep * off_x
    freedom = len(x) - 2
    if freedom < 1 or square <= 0:
        p = 1.0
    else:
        se = float(np.sqrt(np.sum(weight * residual**2) / freedom / square))
        p = float(stdtr(freedom, steep / se)) if se > 0 else float(steep >= 0)
    within = points.accuracy - y[cells]
    left = max(len(points) - 2, 1)
    scatter = float(np.sqrt((np.sum(within**2) + np.sum(weight * residual**2)) / left))
    rise = -steep * float(np.ptp(x))
    moves = p < ALPHA and rise > scatter
    said = "rises" if moves else "does not rise for sure"
    sentence = (
        f"the accuracy of {points.task} {said} as the task loss falls: by {rise:.3f} over the range of the runs, which "
        f"scatter by {scatter:.3f} (p = {p:.2g})"
    )
    return Slope(slope=steep, p=p, rise=rise, scatter=scatter, moves=moves, sentence=sentence)
