"""What a fit of benchmark accuracy starts from: the runs of a sweep, all scored on the same questions of one task."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit.bootstrap import pair_counts
from harness.fit.budgets import Cells
from harness.fit.table import Array
from harness.text import counted

POSITIVE = ("params", "tokens", "flops", "budget")
COLUMNS = (*POSITIVE, "task_loss", "accuracy", "accuracy_se")
# Times that a resampled table of fewer distinct cells than a law has parameters is drawn again: it determines none.
MOST_REDRAWS = 200


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TaskPoints:
    """Finished runs as columns, each of shape (runs,), and the task that they were scored on.

    All runs answer the same questions. How hard these happen to be moves all accuracies together, so it is no noise in
    comparing runs; what scatters from run to run is the seed.

    Attributes:
        params: N. tokens: D. flops: C of each run. budget: the label, in FLOPs, of the budget that it belongs to.
        task_loss: bits per byte of the right answer. accuracy: share of the questions answered right, 0 to 1.
        accuracy_se: standard error of the accuracy of one run over questions, clustered by document.
        chance: accuracy of guessing, 0 or more and below 1. questions: how many the task has. task: its name.

    Raises:
        UserError: columns differ in length, there are no runs, or a number is missing or out of its range.
    """

    params: Array
    tokens: Array
    flops: Array
    budget: Array
    task_loss: Array
    accuracy: Array
    accuracy_se: Array
    chance: float
    questions: int
    task: str

    def __post_init__(self) -> None:
        for name in COLUMNS:
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=float))
        shapes = {name: getattr(self, name).shape for name in COLUMNS}
        if len(set(shapes.values())) > 1 or self.accuracy.ndim != 1:
            listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            raise UserError(f"{self.task}: the columns of runs must be of one length, not {listed}")
        if not len(self.accuracy):
            raise UserError(f"{self.task}: there are no runs to fit; score finished runs on the task first")
        if not (np.isfinite(self.chance) and 0 <= self.chance < 1):
            raise UserError(f"{self.task}: chance must be 0 or more and below 1, not {self.chance}")
        if self.questions < 1:
            raise UserError(f"{self.task}: questions must be 1 or more, not {self.questions}")
        for name in POSITIVE:
            self._require(name, getattr(self, name) > 0, "a positive number")
        self._require("task_loss", self.task_loss >= 0, "0 or more")
        self._require("accuracy", (self.accuracy >= 0) & (self.accuracy <= 1), "between 0 and 1")
        self._require("accuracy_se", self.accuracy_se >= 0, "0 or more")

    def __len__(self) -> int:
        return len(self.accuracy)

    def __repr__(self) -> str:
        return f"<TaskPoints of {self.task}: {counted(len(self), 'run')}>"

    @property
    def cells(self) -> Cells:
        """Which distinct (N, D) each run has, numbered from 0, (runs,): the seeds of one share a number."""
        return np.unique(np.stack((self.params, self.tokens), axis=1), axis=0, return_inverse=True)[
            1
        ].reshape(-1)

    @property
    def budgets(self) -> Array:
        """The distinct budgets, rising."""
        return np.unique(self.budget)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "TaskPoints":
        """The runs of ``rows``, a mask or positions; a position that comes twice gives its run twice."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def below(self, budget: float) -> "TaskPoints":
        """The runs of lower budgets than ``budget``, in FLOPs."""
        return self.select(self.budget < budget)

    def at(self, budget: float) -> "TaskPoints":
        """The runs of ``budget``, in FLOPs."""
        return self.select(self.budget == budget)

    def _require(self, name: str, holds: NDArray[np.bool_], needed: str) -> None:
        values = getattr(self, name)
        bad = np.flatnonzero(~(np.isfinite(values) & holds))
        if len(bad):
            raise UserError(
                f"{self.task}: {name} of run {bad[0]} must be {needed}, not {values[bad[0]]:g}; "
                f"{counted(len(bad), 'run')} of {len(self)} to correct or leave out"
            )


def cell_means(values: Array, cells: Cells) -> Array:
    """Means of ``values`` (runs,) over the runs of each cell, (cells,)."""
    return np.asarray(np.bincount(cells, values) / np.bincount(cells))


def draw_counts(rng: np.random.Generator, cells: Cells, draws: int, least: int) -> Array:
    """How often each run is in each bootstrap draw, (draws, runs): whole cells, with replacement.

    Args:
        least: distinct cells that a draw must have; one of fewer is drawn again. Below the number of cells, or every
            draw would be the runs themselves.
    """
    n = int(cells.max()) + 1
    counts = pair_counts(rng, n, draws)
    for _ in range(MOST_REDRAWS):
        few = (counts > 0).sum(axis=1) < min(least, n - 1)
        if not few.any():
            break
        counts[few] = pair_counts(rng, n, int(few.sum()))
    return counts[:, cells]
