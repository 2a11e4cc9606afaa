"""The best recipe of each cell, and by how much choosing it flatters its loss.

The lowest of several noisy means lies below the lowest of what they estimate: only recipes that are nearly as good as
the best can be chosen by luck, and how much luck there is, runs of one recipe with other seeds tell. Without those the
loss is not corrected, and only said by how much it could be wrong at most.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from harness.fit.bootstrap import Interval
from harness.fit.budgets import Cells
from harness.fit.table import Array

# Recipes whose mean lies further above the best's, in standard errors of the difference, are chosen by no luck.
CONTENDING = 4.0
# Replicates count towards the noise where their recipe is within this share of the cell's lowest loss: far from the
# best, near divergence, seeds differ by more.
NEAR = 0.05
LEAST_FREEDOM = 5
DRAWS, REPEATS = 400, 40
MOST_CELLS = 200  # behind the interval: with more it is that of so many, and so a little wide


@dataclass(frozen=True, eq=False)
class Recipes:
    """The recipes of one cell: mean loss and number of runs of each, (recipes,)."""

    mean: Array
    runs: Array

    @property
    def best(self) -> int:
        """The one with the lowest mean."""
        return int(np.argmin(self.mean))

    def contenders(self, noise: float) -> "Recipes":
        """Those that luck could have made the best, where a run's standard deviation is ``noise``; the best first."""
        error = noise / np.sqrt(self.runs)
        near = self.mean - self.mean.min() <= CONTENDING * np.hypot(error, error[self.best]) + 1e-15
        order = np.argsort(self.mean[near], kind="stable")
        return Recipes(self.mean[near][order], self.runs[near][order])


@dataclass(frozen=True, eq=False)
class Optimism:
    """How much too low the best recipes' means are, nats per token.

    Attributes:
        of_cell: in each cell, (cells,). error: standard error of the corrected loss, (cells,).
        mean: over cells. interval: of that, at the level asked for.
    """

    of_cell: Array
    error: Array
    mean: float
    interval: Interval


def recipes_of(loss: Array, cell: Cells, recipe: Cells) -> list[Recipes]:
    """The recipes of every cell 0, 1, …, each cell's by their number."""
    pairs, member, runs = np.unique(np.stack((cell, recipe)), axis=1, return_inverse=True, return_counts=True)
    mean = np.bincount(member.reshape(-1), loss) / runs
    ends = np.searchsorted(pairs[0], np.arange(int(cell.max()) + 2))
    return [
        Recipes(mean[low:high], runs[low:high].astype(float))
        for low, high in itertools.pairwise(ends.tolist())
    ]


def replicate_noise(loss: Array, cell: Cells, recipe: Cells) -> tuple[float, int] | None:
    """Standard deviation of runs of one recipe in one cell, nats per token, and its degrees of freedom.

    None with fewer than ``LEAST_FREEDOM`` of these.
    """
    _, member, runs = np.unique(np.stack((cell, recipe)), axis=1, return_inverse=True, return_counts=True)
    member = member.reshape(-1)
    mean = (np.bincount(member, loss) / runs)[member]
    lowest = np.full(int(cell.max()) + 1, np.inf)
    np.minimum.at(lowest, cell, mean)
    near = mean <= (1 + NEAR) * lowest[cell]
    freedom = int(near.sum()) - len(np.unique(member[near]))
    if freedom < LEAST_FREEDOM:
        return None
    return float(np.sqrt(np.sum((loss[near] - mean[near]) ** 2) / freedom)), freedom


def optimism_of(
    cells: Sequence[Recipes], noise: float, freedom: int, level: float, rng: np.random.Generator
) -> Optimism:
    """What choosing the best takes off each cell's loss, by simulation of the choice.

    Noise is drawn about the recipes' means, and these are first shrunk towards each other by as much as noise has
    spread them (empirical Bayes, Efron & Morris 1973, "Stein's estimation rule and its competitors", section 2, among
    the contenders of a cell): about the measured means themselves the best would seem chosen with less luck.

    Args:
        noise: standard deviation of a run, nats per token, estimated with ``freedom`` degrees of freedom.
        level: of the interval of the mean optimism, by a parametric bootstrap.
    """
    contending = [one.contenders(noise) for one in cells]
    found = [_optimism(one, noise, DRAWS, rng) for one in contending]
    repeated = contending[:: max(1, len(contending) // MOST_CELLS)]
    means = []
    for _ in range(REPEATS):
        drawn = noise * float(np.sqrt(rng.chisquare(freedom) / freedom))
        again = [
            Recipes(
                _shrunk(one, noise) + noise / np.sqrt(one.runs) * rng.standard_normal(len(one.mean)), one.runs
            )
            for one in repeated
        ]
        means.append(np.mean([_optimism(one, drawn, DRAWS // 4, rng)[0] for one in again]))
    of_cell = np.array([one[0] for one in found])
    mean = float(of_cell.mean())
    low, high = np.quantile(np.array(means) - np.mean(means), ((1 - level) / 2, (1 + level) / 2))
    return Optimism(
        of_cell, np.array([one[1] for one in found]), mean, (max(mean + float(low), 0.0), mean + float(high))
    )


def most_optimism(recipes: Array, noise: float) -> Array:
    """The optimism where all recipes of a cell are equally good, each run once: ``noise`` times the mean of the highest
    of ``recipes`` (cells,) standard normals."""
    x = (np.arange(-1800, 1800) + 0.5) / 200
    values, place = np.unique(recipes, return_inverse=True)
    # E[max] = integral of 1 - F^k above 0 less that of F^k below it
    power = ndtr(x)[None, :] ** values[:, None]
    expected = np.where(x >= 0, 1 - power, -power).sum(axis=1) * (x[1] - x[0])
    return np.asarray(noise * np.maximum(expected, 0.0)[place.reshape(-1)])


def _shrunk(recipes: Recipes, noise: float) -> Array:
    variance = noise**2 / recipes.runs
    if len(recipes.mean) < 2 or noise == 0:
        return recipes.mean
    weights = 1 / variance
    centre = float(weights @ recipes.mean / weights.sum())
    between = max(float(recipes.mean.var(ddof=1) - variance.mean()), 0.0)
    return np.asarray(centre + between / (between + variance) * (recipes.mean - centre))


def _optimism(recipes: Recipes, noise: float, draws: int, rng: np.random.Generator) -> tuple[float, float]:
    """The optimism in a cell, and the standard deviation of its lowest mean."""
    if len(recipes.mean) < 2 or noise == 0:
        return 0.0, noise / float(np.sqrt(recipes.runs[0]))
    mean = _shrunk(recipes, noise)
    lowest = (mean + noise / np.sqrt(recipes.runs) * rng.standard_normal((draws, len(mean)))).min(axis=1)
    return max(float(mean.min() - lowest.mean()), 0.0), float(lowest.std())
