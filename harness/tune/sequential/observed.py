"""The runs of a tuning as numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.fit.budgets import Cells
from harness.fit.table import Array

Flags = NDArray[np.bool_]
SAME = 0.02  # in ln: values rounded to four digits or to whole sequences


@dataclass(frozen=True, eq=False)
class Observed:
    """The runs of a tuning.

    Attributes:
        names: of the axes, (q,).
        h: ln of the values over those of the point's centre, (n, q).
        loss: nats per token, (n,); NaN where a run diverged.
        point: (n,), from 0.
        log_params, log_tokens: ln N and ln D of the points, (points,).
    """

    names: tuple[str, ...]
    h: Array
    loss: Array
    point: Cells
    log_params: Array
    log_tokens: Array

    @property
    def points(self) -> int:
        """How many there are."""
        return len(self.log_params)

    def with_runs(self) -> list[int]:
        """The points at which a run has finished."""
        return sorted(set(self.point[np.isfinite(self.loss)].tolist()))

    def determined(self, window: float) -> list[int]:
        """The points whose runs near the lowest loss (:meth:`near`) determine slopes along all axes."""
        used, found = self.near(window), []
        for p in self.with_runs():
            mine = self.h[used & (self.point == p)]
            if np.linalg.matrix_rank(mine - mine.mean(axis=0), tol=SAME) == len(self.names):
                found.append(p)
        return found

    def of_points(self, points: list[int]) -> "Observed":
        """The runs of some points alone, which are numbered anew."""
        mine = np.isin(self.point, points)
        number = np.searchsorted(points, self.point[mine])
        where = np.array(points, dtype=np.intp)
        return Observed(
            self.names, self.h[mine], self.loss[mine], number, self.log_params[where], self.log_tokens[where]
        )

    def tried(self) -> tuple[Array, Array]:
        """The least and the largest h of finished runs, (points, q); 0 where none has finished."""
        low, high = (np.zeros((self.points, len(self.names))) for _ in range(2))
        for p in range(self.points):
            seen = self.h[(self.point == p) & np.isfinite(self.loss)]
            if len(seen):
                low[p], high[p] = seen.min(axis=0), seen.max(axis=0)
        return low, high

    def lowest(self) -> Array:
        """h of each point's run with the lowest loss, (points, q); its centre where none has finished."""
        found = np.zeros((self.points, len(self.names)))
        for p in range(self.points):
            mine = np.flatnonzero((self.point == p) & np.isfinite(self.loss))
            if len(mine):
                found[p] = self.h[mine[np.argmin(self.loss[mine])]]
        return found

    def near(self, window: float) -> Flags:
        """Which runs are within ``window`` nats of their point's lowest loss, or among its q + 2 lowest; (n,) bool."""
        used = np.zeros(len(self.loss), dtype=bool)
        for p in range(self.points):
            mine = np.flatnonzero((self.point == p) & np.isfinite(self.loss))
            order = mine[np.argsort(self.loss[mine], kind="stable")]
            used[order[: self.h.shape[1] + 2]] = True
            if len(order):
                used[order[self.loss[order] <= self.loss[order[0]] + window]] = True
        return used
