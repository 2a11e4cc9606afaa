"""Runs that could be trained next: where they lie, what they cost, and which of them are there already."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.fit.budgets import Budgets, group_budgets
from harness.fit.laws import CostLaw
from harness.fit.table import Array, Points
from harness.model.ladder import log_spaced

NEAR = 2.0
"""A run is near the optimum whose N is less than so many times larger or smaller than N*: within it profiles of all
tables here are fitted by a parabola to the noise of a run."""

ALIKE = 0.5
"""Runs that differ by this in ln N or in ln C share most of what a fitted form misses there: half the step of a usual
grid in C (a factor of 3), and a whole one in N (seven sizes over a factor of 12)."""

TABLE_REACH = 4.0
"""How many times larger or smaller than N* a candidate of a table may be."""

SAME = 1e-6  # of ln N and ln C: one cell
SIZES = 9  # of a budget, where N is free
STEP = 3.0  # between budgets, where a table has none of its own


@dataclass(frozen=True, eq=False)
class Candidates:
    """Runs that could be trained, m of them.

    Attributes:
        params, tokens, flops: N, D and C of each, (m,), counted as the fit counts them.
        budget: the column in which each lies, (m,).
        cost: of one, (m,), in the unit of what may be spent.
        again: whether one may be trained several times, with other seeds.
    """

    params: Array
    tokens: Array
    flops: Array
    budget: Array
    cost: Array
    again: bool = True

    def __len__(self) -> int:
        return len(self.params)

    def alike(self, params: Array, flops: Array) -> Array:
        """How much a run at each of N and C, (n,), counts as one at each candidate: (m, n), 1 at the same place."""
        apart = (np.log(self.params)[:, None] - np.log(params)) ** 2 + (
            np.log(self.flops)[:, None] - np.log(flops)
        ) ** 2
        return np.asarray(np.exp(-0.5 * apart / ALIKE**2))

    def runs_of(self, points: Points) -> NDArray[np.intp]:
        """How many runs of ``points`` each candidate has already, (m,)."""
        same = (np.abs(np.log(self.params)[:, None] - np.log(points.params)) < SAME) & (
            np.abs(np.log(self.flops)[:, None] - np.log(points.flops)) < SAME
        )
        return same.sum(axis=1)


def free_candidates(points: Points, optimum: dict[float, float], reach: float, cost: CostLaw) -> Candidates:
    """Candidates of a table whose models nobody here can build: any N about the optimum, D by the table's own cost.

    Args:
        optimum: by budget, N* there.
        reach: how many times larger or smaller than N* they may be; never beyond what the table has by more than this.
        cost: how C follows from N and D.
    """
    params, tokens, flops = [], [], []
    for budget, best in optimum.items():
        for n in log_spaced(best, reach**2, SIZES):
            if points.params.min() / reach <= n <= points.params.max() * reach:
                params.append(n)
                flops.append(budget)
                tokens.append(budget / (cost.kappa * n**cost.power))
    c = np.array(flops)
    return Candidates(np.array(params), np.array(tokens), c, c, c)


def budgets_of(points: Points, extend: float) -> list[float]:
    """The budgets at which runs may be added: the table's own, and as many more, in its step, as ``extend`` reaches."""
    found: Budgets = group_budgets(points)
    own = sorted(found.labels) if len(found.labels) > 1 and not found.approximate else []
    if not own:
        low, high = float(points.flops.min()), float(points.flops.max())
        steps = max(2, round(np.log(high / low) / np.log(STEP)) + 1)
        own = [float(c) for c in np.geomspace(low, high, steps)]
    return [*own, *further(own, extend)]


def further(budgets: list[float], extend: float) -> list[float]:
    """Budgets beyond the largest, up to ``extend`` times it, in the step of the two largest."""
    step = budgets[-1] / budgets[-2] if len(budgets) > 1 else STEP
    made: list[float] = []
    while step > 1.01 and (made or budgets)[-1] * step <= budgets[-1] * extend * (1 + 1e-9):
        made.append((made or budgets)[-1] * step)
    return made
