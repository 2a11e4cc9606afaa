"""Whether residuals have structure that noise does not give: a joint test along N, D, C, steps, neighbours and groups.

Every statistic is a share of the residuals' sum of squares. Its null distribution comes from the residuals themselves
with the signs of whole units (cells, runs) flipped at random and the fit's tangent space projected out again, so it
holds for heavy tails, for noise that grows with N, and for rows that share a run. The statistics are judged together:
the smallest of their p-values is set against what the smallest is in the flipped tables (Westfall & Young 1993,
Resampling-Based Multiple Testing, section 2.3), so that many of them are no more prone to false alarms than one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from harness.fit.bootstrap import MOST_LEVERAGE, generator
from harness.fit.budgets import Cells
from harness.fit.table import Array

# Turned tables: the smallest p is one in so many. Of many runs fewer are turned, for each takes as long as it is long.
FLIPS, FLIPS_OF_MANY, MANY = 1999, 999, 2000
NEIGHBOURS = 3
CHUNK = 1_000_000  # numbers held at once
STREAM = 9
NEIGHBOURING = "neighbouring cells"
LEAST_SEEN = 0.2  # of a break's length: what the fit must leave to be seen of it


@dataclass(frozen=True)
class Structure:
    """What the test found.

    Attributes:
        p: of all statistics together; 1 where nothing could be tested.
        worst: the statistic with the smallest p of its own, by its name; of equal ones the furthest off its null.
        each: p of every statistic alone.
        at: of every break, which of its columns shows it most.
        correlation: of the residuals of neighbouring cells.
    """

    p: float = 1.0
    worst: str = ""
    each: Mapping[str, float] = field(default_factory=dict)
    at: Mapping[str, int] = field(default_factory=dict)
    correlation: float = 0.0


def residual_structure(
    residual: Array,
    tangent: Array,
    directions: Mapping[str, Array],
    unit: Cells,
    coordinates: Array,
    breaks: Mapping[str, Array] | None = None,
    seed: int = 0,
    flips: int | None = None,
) -> Structure:
    """Tests residuals (n,) of a fit whose derivatives by its parameters are ``tangent`` (n, k).

    Args:
        directions: by name, regressors (n, q) that residuals must not follow.
        unit: of every row, (n,): rows of one change sign together.
        coordinates: (n, 2), where each row lies; near rows of different units are neighbours.
        breaks: by name, regressors (n, q) of which they must not follow any one alone.
        seed: of the flips: the same table gives the same p.
    """
    n = len(residual)
    flips = flips or (FLIPS if n <= MANY else FLIPS_OF_MANY)
    basis, _ = np.linalg.qr(tangent)
    _, unit = np.unique(unit, return_inverse=True)
    units = int(unit.max()) + 1
    residual = residual - basis @ (basis.T @ residual)
    square = float(residual @ residual)
    if units <= tangent.shape[1] + 2 or square <= 0:
        return Structure()
    across = {name: found for name, columns in directions.items() if len(found := _beyond(columns, basis).T)}
    single = {name: _alone(columns, basis) for name, columns in (breaks or {}).items() if columns.shape[1]}
    pairs = _neighbours(coordinates, unit)
    names = [*across, *single, *([NEIGHBOURING] if len(pairs) else [])]
    if not names:
        return Structure()
    leverage = np.minimum(np.sum(basis**2, axis=1), MOST_LEVERAGE)
    larger = residual / np.sqrt(1 - leverage)
    signs = generator(seed, STREAM).choice((-1.0, 1.0), size=(flips, units))
    null = [
        _statistics(part[:, unit] * larger, basis, across, single, pairs)
        for part in np.array_split(signs, max(1, flips * n // CHUNK))
    ]
    observed = _statistics(residual[None], basis, across, single, pairs)
    table = np.concatenate((observed, *null))
    # The share of tables, this one among them, whose statistic is at least as large.
    order = np.sort(table, axis=0)
    share = np.stack(
        [1 - np.searchsorted(order[:, j], table[:, j], side="left") / len(table) for j in range(len(names))],
        axis=1,
    )
    # No share is below 1 / (flips + 1), which clear structure gives several statistics at once, and flips by chance. Of
    # tables that reach it the one furthest off is the clearest, in standard deviations of cube roots, which make shares
    # of squares nearly normal (Wilson & Hilferty 1931). Without it, many statistics (a table of many columns) could not
    # reach a small p together, however clear one of them is.
    beyond = _standardised(np.cbrt(table))
    smallest = share.min(axis=1)
    far = np.max(np.where(share == smallest[:, None], beyond, -np.inf), axis=1)
    as_clear = (smallest < smallest[0]) | ((smallest == smallest[0]) & (far >= far[0]))
    each = dict(zip(names, share[0].tolist(), strict=True))
    furthest = dict(zip(names, _standardised(table)[0].tolist(), strict=True))
    return Structure(
        p=float(np.mean(as_clear)),
        worst=min(each, key=lambda name: (each[name], -furthest[name])),
        each=each,
        at={name: int(np.argmax((residual @ rows.T) ** 2)) for name, rows in single.items()},
        correlation=_correlation(residual, pairs),
    )


def _standardised(table: Array) -> Array:
    """Every column of (rows, names) in standard deviations about its mean."""
    return np.asarray((table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-300))


def powers(values: Array) -> Array:
    """The square and the cube of values (n,) in units of their spread, (n, 2)."""
    u = (values - values.mean()) / max(float(values.std()), 1e-300)
    return np.stack((u**2, u**3), axis=1)


def indicators(labels: Sequence[object] | Cells) -> Array:
    """One column of zeros and ones for each label but the first, (n, labels - 1)."""
    _, number = np.unique(np.asarray(labels), return_inverse=True)
    return np.asarray(np.eye(int(number.max()) + 1)[number][:, 1:])


def _beyond(columns: Array, basis: Array) -> Array:
    """An orthonormal basis (n, q) of what columns (n, p) add to ``basis``; q may be 0."""
    columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    left = columns - basis @ (basis.T @ columns)
    u, size, _ = np.linalg.svd(left, full_matrices=False)
    return np.asarray(u[:, size > 1e-3])


def _alone(columns: Array, basis: Array) -> Array:
    """What each of columns (n, p) adds to ``basis``, of unit length, (p, n); 0 where that is hardly anything."""
    columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    left = columns - basis @ (basis.T @ columns)
    size = np.linalg.norm(left, axis=0)
    return np.asarray((left / np.maximum(size, 1e-300) * (size > LEAST_SEEN)).T)


def _neighbours(coordinates: Array, unit: Cells) -> Cells:
    """Pairs of rows, (m, 2), each row with the nearest rows of other units."""
    spread = coordinates.std(axis=0)
    if len(coordinates) < 8 or (spread <= 0).any():
        return np.empty((0, 2), dtype=np.intp)
    scaled = coordinates / spread
    most = min(len(coordinates), NEIGHBOURS + 1 + int(np.bincount(unit).max()))
    _, near = cKDTree(scaled).query(scaled, k=min(most, 64))
    pairs: set[tuple[int, int]] = set()
    for i, row in enumerate(near.tolist()):
        others = [j for j in row if unit[j] != unit[i]][:NEIGHBOURS]
        pairs.update((min(i, j), max(i, j)) for j in others)
    return np.array(sorted(pairs), dtype=np.intp).reshape(-1, 2)


def _statistics(
    rows: Array, basis: Array, across: Mapping[str, Array], single: Mapping[str, Array], pairs: Cells
) -> Array:
    """Of residuals, one table a row, (tables, n): the statistics, (tables, names)."""
    rows = rows - (rows @ basis) @ basis.T
    total = np.maximum(np.sum(rows**2, axis=1), 1e-300)
    found = [np.sum((rows @ direction.T) ** 2, axis=1) / total for direction in across.values()]
    found += [np.max((rows @ columns.T) ** 2, axis=1) / total for columns in single.values()]
    if len(pairs):
        found.append(np.sum(rows[:, pairs[:, 0]] * rows[:, pairs[:, 1]], axis=1) / total)
    return np.stack(found, axis=1)


def _correlation(residual: Array, pairs: Cells) -> float:
    if not len(pairs):
        return 0.0
    one, two = residual[pairs[:, 0]], residual[pairs[:, 1]]
    size = float(np.sqrt(np.sum(one**2) * np.sum(two**2)))
    return float(one @ two) / size if size > 0 else 0.0
