"""How single runs scatter about a law of accuracy, and whether the law misses more than seeds explain."""

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, stdtrit

from harness.fit.budgets import Cells
from harness.fit.status import Flag
from harness.fit.table import Array
from harness.fit.tasks.least_squares import between_cells
from harness.fit.tasks.points import cell_means
from harness.text import counted

ALPHA = 0.01  # that the cells' means miss the law: as the misfit of a loss law is judged
FEWEST_FREEDOM = 3  # of cells beyond the parameters


@dataclass(frozen=True, kw_only=True)
class AccuracyScatter:
    """Standard deviations of accuracy.

    Attributes:
        sd: of single runs about the law. freedom: its degrees of freedom, of cells: seeds share what the law misses.
        seed_sd: of the seeds of a cell about its mean; None where no cell has two. seed_freedom: degrees of freedom.
        misfit_p: of an F test that the cells' means lie as far from the law as seeds let them; None without seeds.
    """

    sd: float
    freedom: int
    seed_sd: float | None
    seed_freedom: int
    misfit_p: float | None

    def half_width(self, level: float) -> float:
        """Of an interval of one run's accuracy about a known expectation, by Student's t."""
        return float(stdtrit(self.freedom, (1 + level) / 2)) * self.sd

    def flags(self, task: str, law: str) -> list[Flag]:
        """``misfit`` where the F test at 1% says so; ``unidentified`` with hardly more cells than parameters."""
        if self.freedom < FEWEST_FREEDOM:
            left = (
                f"the sizes and training lengths of {task} are hardly more than the parameters of the {law}"
            )
            return [Flag("unidentified", f"{left}: {counted(self.freedom, 'degree', 'degrees')} of freedom")]
        if self.misfit_p is None or self.misfit_p >= ALPHA:
            return []
        note = (
            f"the runs of {task} differ from the {law} by {self.sd:.4f}, more than their seeds do, by "
            f"{self.seed_sd:.4f} (p = {self.misfit_p:.2g})"
        )
        return [Flag("misfit", note)]


def accuracy_scatter(
    accuracy: Array, fitted: Array, cells: Cells, parameters: int, own: Array | None = None
) -> AccuracyScatter:
    """The scatter of ``accuracy`` about ``fitted``, both (runs,), of a law with so many parameters.

    Args:
        fitted: the law at the size and length of each run, the same for all seeds of a cell.
        own: the law at each run's own task loss. What a cell's mean is off for its seeds' luck with the task loss is
            then among what seeds explain.
    """
    n, runs = int(cells.max()) + 1, len(accuracy)
    residual = accuracy - fitted
    freedom = max(n - parameters, 1)
    sd = float(np.sqrt(np.sum(residual**2) / max(runs - parameters, 1)))
    if runs == n:
        return AccuracyScatter(sd=sd, freedom=freedom, seed_sd=None, seed_freedom=0, misfit_p=None)
    seeds = _within(accuracy, cells) / (runs - n)
    noise = seeds if own is None else _within(accuracy - own, cells) / (runs - n)
    ratio = between_cells(residual, cells) / freedom / max(noise, 1e-12)
    return AccuracyScatter(
        sd=sd,
        freedom=freedom,
        seed_sd=float(np.sqrt(seeds)),
        seed_freedom=runs - n,
        misfit_p=float(fdtrc(freedom, runs - n, ratio)) if n > parameters else None,
    )


def _within(values: Array, cells: Cells) -> float:
    return float(np.sum((values - cell_means(values, cells)[cells]) ** 2))
