"""The quadratic form of a response surface, its least squares, and the range of what was tried."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from harness.errors import UserError
from harness.fit.budgets import Cells
from harness.fit.table import Array

LEAST_VALUES = 3
SPARE = 5  # runs beyond the coefficients and the cells
LARGEST_CONDITION = 1e6
MOST_GAMMA = 2.0
CLUSTERS = 12  # cells from which on their own deviations are seen


@dataclass(frozen=True, eq=False)
class Sample:
    """What a surface is fitted to.

    Attributes:
        names: of the hyperparameters, (q,).
        h: ln of them over the table's middle, (n, q). loss: nats per token, (n,). cell: (n,), none left out.
        g: 1, ln N and ln D over the table's middle, of every cell, (cells, 3); further columns are whatever else slopes
            shall follow, such as one for every cell, which gives it a minimum of its own.
    """

    names: tuple[str, ...]
    h: Array
    loss: Array
    cell: Cells
    g: Array

    def select(self, keep: NDArray[np.bool_]) -> "Sample":
        """The runs of a mask (n,), the cells as they are."""
        return replace(self, h=self.h[keep], loss=self.loss[keep], cell=self.cell[keep])


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A quadratic in h whose slopes follow N and D.

    Attributes:
        slopes: (..., q, terms). bend: (..., q, q), symmetric. terms: which columns of g the slopes have.
        gamma: (2,), exponents of N and D in the curvature's factor.
    """

    slopes: Array
    bend: Array
    terms: tuple[int, ...]
    gamma: Array

    def rules(self) -> Array:
        """A, (..., q, columns of g): the best h is A g; NaN where a draw has no minimum, 0 for terms left out."""
        definite = np.linalg.eigvalsh(self.bend)[..., 0] > 0
        safe = np.where(definite[..., None, None], self.bend, np.eye(self.bend.shape[-1]))
        found = np.zeros((*self.slopes.shape[:-1], max(3, 1 + max(self.terms))))
        found[..., self.terms] = -np.linalg.solve(safe, self.slopes)
        return np.where(definite[..., None, None], found, np.nan)

    def factor(self, g: Array) -> Array:
        """s of cells g (cells, 3 or more)."""
        return np.asarray(np.exp(g[:, 1:3] @ self.gamma))


@dataclass(frozen=True, eq=False)
class ResponseSurface:
    """A fitted surface.

    Attributes:
        coefficients: the estimate. rules: draws of its rules, (draws, q, 3), NaN where one has no minimum.
        best: h of the lowest loss within what was tried, (cells, q); outside: whether the rule lies beyond, (cells, q).
        level, error: the loss there, nats per token, and its standard error, (cells,); NaN where no run takes part.
        used: runs that took part, (n,).
        noise: standard deviation of a run about the surface, nats per token. freedom: behind it.
        width: of the window, as a share of a cell's lowest loss.
        uneven: how many times the variance of the coefficients is, by cells' deviations, what noise alone would give.
    """

    coefficients: Coefficients
    rules: Array
    best: Array
    outside: NDArray[np.bool_]
    level: Array
    error: Array
    used: NDArray[np.bool_]
    noise: float
    freedom: int
    width: float
    uneven: float | None


@dataclass(frozen=True, eq=False)
class Design:
    """Which columns a surface has: slopes along ``terms`` of g, products of pairs of hyperparameters, and, with the
    rules ``origin`` (q, columns of g), cubes of the distances to these.

    Attributes:
        curved: which of N (1) and D (2) the curvature's factor may follow; None: those that the slopes follow.
        cubed: which hyperparameters have cubes; None: all.
    """

    terms: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    origin: Array | None = None
    curved: tuple[int, ...] | None = None
    cubed: tuple[int, ...] | None = None

    def rows(self, h: Array, g: Array) -> Array:
        """Columns (n, k) of h (n, q) in cells g (n, 3)."""
        straight = [h[:, j] * g[:, t] for j in range(h.shape[1]) for t in self.terms]
        bent = [h[:, i] * h[:, j] * (0.5 if i == j else 1.0) for i, j in self.pairs]
        cubes = [] if self.origin is None else [*((h - g @ self.origin.T) ** 3).T]
        if self.cubed is not None:
            cubes = [cubes[j] for j in self.cubed]
        return np.stack((*straight, *bent, *cubes), axis=1)

    def coefficients(self, beta: Array, q: int, gamma: Array) -> Coefficients:
        """Of beta (..., k)."""
        n = q * len(self.terms)
        bend = np.zeros((*beta.shape[:-1], q, q))
        for place, (i, j) in enumerate(self.pairs):
            bend[..., i, j] = bend[..., j, i] = beta[..., n + place]
        return Coefficients(
            beta[..., :n].reshape(*beta.shape[:-1], q, len(self.terms)), bend, self.terms, gamma
        )


@dataclass(frozen=True, eq=False)
class Solved:
    """A fit: its residuals (n,), and its columns within cells, (n, k), the curvature's factor included."""

    design: Design
    gamma: Array
    beta: Array
    residual: Array
    rows: Array


def grouped(cell: Cells, mask: NDArray[np.bool_]) -> list[tuple[int, Cells]]:
    """Every cell that has runs of a mask (n,), with these."""
    rows = np.flatnonzero(mask)
    rows = rows[np.argsort(cell[rows], kind="stable")]
    cells, starts = np.unique(cell[rows], return_index=True)
    return list(zip(cells.tolist(), np.split(rows, starts[1:]), strict=True))


def solve(sample: Sample) -> Solved:
    """Least squares with the richest design that the runs determine."""
    q = sample.h.shape[1]
    for j, name in enumerate(sample.names):
        values = {round(value, 6) for value in sample.h[:, j].tolist()}
        if len(values) < LEAST_VALUES:
            raise UserError(
                f"analysis.cells=surface: column {name} has {len(values)} different values near the best losses; a "
                f"minimum needs {LEAST_VALUES}: fit one value of it, or take analysis.cells=best"
            )
    crossed = [(i, j) for i in range(q) for j in range(i, q)]
    alone = [(i, i) for i in range(q)]
    needed = 0
    for terms in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        for pairs in (crossed, alone) if q > 1 else (alone,):
            design = Design(terms, tuple(pairs))
            if (solved := least_squares(sample, design)) is not None:
                return solved
            needed = q * len(terms) + len(pairs)
    cells = len(np.unique(sample.cell))
    raise UserError(
        f"analysis.cells=surface: {len(sample.loss)} runs near the best of {cells} cells do not determine a surface "
        f"over {', '.join(sample.names)}: it needs at least {cells + needed + SPARE} that vary these independently; "
        "take analysis.cells=best"
    )


def least_squares(sample: Sample, design: Design, spare: int = SPARE) -> Solved | None:
    """The fit with this design, the curvature's factor included; None where the runs do not determine it.

    Args:
        spare: runs beyond the coefficients and the cells that it takes at least.
    """
    rows = less_means(design.rows(sample.h, sample.g[sample.cell]), sample.cell)
    y = less_means(sample.loss[:, None], sample.cell)[:, 0]
    n, k = rows.shape
    if n < len(np.unique(sample.cell)) + k + spare:
        return None
    scale = np.linalg.norm(rows, axis=0)
    if (scale <= 0).any() or np.linalg.cond(rows / scale) > LARGEST_CONDITION:
        return None
    where = sample.g[sample.cell][:, 1:3]

    def solved(gamma: Array) -> Solved:
        bent = rows * np.exp(where @ gamma)[:, None]
        size = np.linalg.norm(bent, axis=0)
        beta = np.linalg.lstsq(bent / size, y, rcond=None)[0] / size
        return Solved(design, gamma, beta, y - bent @ beta, bent)

    plain = solved(np.zeros(2))
    squares = float(plain.residual @ plain.residual)
    varying = [t for t in design.terms if t] if design.curved is None else list(design.curved)
    if not varying or squares <= 1e-16 * float(y @ y) or n < len(np.unique(sample.cell)) + k + 4 * SPARE:
        return plain

    def objective(part: Array) -> float:
        gamma = np.zeros(2)
        gamma[[t - 1 for t in varying]] = np.clip(part, -MOST_GAMMA, MOST_GAMMA)
        left = solved(gamma).residual
        return float(np.log(max(float(left @ left), 1e-300)))

    found: Any = minimize(
        objective, np.zeros(len(varying)), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-9}
    )
    # By the Bayesian information criterion: a factor that the runs do not show would only widen the intervals.
    if n * (np.log(squares) - found.fun) <= len(varying) * np.log(n):
        return plain
    gamma = np.zeros(2)
    gamma[[t - 1 for t in varying]] = np.clip(found.x, -MOST_GAMMA, MOST_GAMMA)
    return solved(gamma)


def less_means(columns: Array, cell: Cells) -> Array:
    """Columns (n, k) less their means in each cell."""
    count = np.maximum(np.bincount(cell), 1)[:, None]
    sums = np.stack([np.bincount(cell, column, minlength=len(count)) for column in columns.T], axis=1)
    return np.asarray(columns - (sums / count)[cell])


def freedom_of(sample: Sample, solved: Solved) -> int:
    """Runs beyond the coefficients and the cells' levels."""
    return len(sample.loss) - len(np.unique(sample.cell)) - len(solved.beta) - int((solved.gamma != 0).sum())


def tried(sample: Sample) -> tuple[Array, Array]:
    """The least and the largest h that were tried, (cells, q): in the cell, or where it has fewer than three values
    of a column anywhere."""
    cells, q = len(sample.g), sample.h.shape[1]
    low, high = np.full((cells, q), np.inf), np.full((cells, q), -np.inf)
    np.minimum.at(low, sample.cell, sample.h)
    np.maximum.at(high, sample.cell, sample.h)
    for j in range(q):
        pairs = np.unique(np.stack((sample.cell, np.round(sample.h[:, j], 6))), axis=1)
        few = np.bincount(pairs[0].astype(np.intp), minlength=cells) < LEAST_VALUES
        low[few, j], high[few, j] = sample.h[:, j].min(), sample.h[:, j].max()
    return low, high


def in_box(free: Array, bend: Array, low: Array, high: Array) -> Array:
    """Where the quadratic is lowest between low and high, (cells, q): coordinate by coordinate until it settles."""
    best = np.clip(free, low, high)
    for _ in range(200):
        before = best.copy()
        for j in range(free.shape[1]):
            others = (best - free) @ bend[j] - bend[j, j] * (best[:, j] - free[:, j])
            best[:, j] = np.clip(free[:, j] - others / bend[j, j], low[:, j], high[:, j])
        if np.abs(best - before).max(initial=0.0) < 1e-12:
            break
    return best
