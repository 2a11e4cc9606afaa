"""A response surface: loss against (ln rate, ln batch) near its minimum, for every bootstrap draw and size at once."""

from dataclasses import dataclass

import numpy as np

from harness.fit.table import Array

RATE, BATCH = 0, 1


@dataclass(frozen=True, eq=False)
class Surface:
    """level + slope · w + ½ wᵀ bend w + skew₀ (w₀ + tilt w₁)³ + skew₁ w₁³, with w = z − origin.

    z = (ln rate, ln batch) over a size's centre. The leading axes ``...`` are draws and sizes. An axis that was
    not varied has slope, bend and skew 0. The origin is at the estimated minimum, where the skew's slope and
    bend vanish: the minimum is the quadratic's, and the skew only says how the two sides differ farther out.

    Attributes:
        level: nats per token, (...).
        slope: (..., 2).
        bend: (..., 2, 2), symmetric.
        skew: (..., 2).
        origin: (sizes, 2), or (2,) of one size.
        tilt: how ln of the best rate falls with ln batch.
        axes: those that were varied.
    """

    level: Array
    slope: Array
    bend: Array
    skew: Array
    origin: Array
    tilt: float
    axes: tuple[int, ...]

    def size(self, i: int) -> "Surface":
        """Of size ``i`` alone, all draws."""
        return Surface(
            self.level[..., i],
            self.slope[..., i, :],
            self.bend[..., i, :, :],
            self.skew[..., i, :],
            self.origin[i],
            self.tilt,
            self.axes,
        )

    def value(self, z: Array) -> Array:
        """Nats per token at ``z`` (..., 2)."""
        w = z - self.origin
        along = w[..., 0] + self.tilt * w[..., 1]
        return self._quadratic(w) + self.skew[..., 0] * along**3 + self.skew[..., 1] * w[..., 1] ** 3

    def has_minimum(self) -> Array:
        """Whether it has a minimum in the axes that were varied, (...) bool."""
        diagonal = np.stack([self.bend[..., axis, axis] > 0 for axis in self.axes]).all(axis=0)
        if len(self.axes) < 2:
            return np.asarray(diagonal)
        return np.asarray(diagonal & (np.linalg.det(self.bend) > 0))

    def vertex(self) -> Array:
        """z of the minimum, (..., 2); NaN where there is none. Axes not varied stay at the origin's."""
        found = np.where(self.has_minimum()[..., None], self.origin, np.nan)
        if len(self.axes) < 2:
            return _with(found, self.axes[0], self.lowest_along(self.axes[0], found))
        a, b, c = self.bend[..., 0, 0], self.bend[..., 0, 1], self.bend[..., 1, 1]
        with np.errstate(all="ignore"):
            determinant = a * c - b * b
            first = (b * self.slope[..., 1] - c * self.slope[..., 0]) / determinant
            second = (b * self.slope[..., 0] - a * self.slope[..., 1]) / determinant
        return found + np.stack((first, second), axis=-1)

    def lowest_along(self, axis: int, z: Array) -> Array:
        """The coordinate ``axis`` with the lowest loss at ``z``'s other coordinate, (...); NaN without a minimum.

        The best rate at a given batch is far better determined than the minimum of the whole surface, which is a
        valley along which rate and batch grow together.
        """
        other = 1 - axis
        away = z[..., other] - self.origin[..., other]
        with np.errstate(all="ignore"):
            lowest = (
                -(self.slope[..., axis] + self.bend[..., axis, other] * away) / self.bend[..., axis, axis]
            )
        return np.where(self.bend[..., axis, axis] > 0, self.origin[..., axis] + lowest, np.nan)

    def box_minimum(self, low: Array, high: Array) -> Array:
        """z where the quadratic part is lowest within [low, high] ((sizes, 2), or (2,) of one size), (..., 2).

        That is its vertex, or where it is lowest along an edge, or a corner: all are tried, so a surface that
        has no minimum has an answer too, on the border.
        """
        shape = (*self.level.shape, 2)
        edges = [np.broadcast_to(edge, shape) for edge in (low, high)]
        candidates = [np.stack((x[..., 0], y[..., 1]), axis=-1) for x in edges for y in edges]
        candidates += [
            _with(edge, axis, self.lowest_along(axis, edge)) for axis in self.axes for edge in edges
        ]
        candidates.append(self.vertex())
        z = np.stack(candidates)
        inside = np.all((z >= low - 1e-12) & (z <= high + 1e-12), axis=-1)
        values = np.where(inside, self._quadratic(np.where(inside[..., None], z, 0.0) - self.origin), np.inf)
        best = np.argmin(values, axis=0)
        return np.asarray(np.take_along_axis(z, best[None, ..., None], axis=0)[0])

    def _quadratic(self, w: Array) -> Array:
        straight = np.einsum("...i,...i->...", self.slope, w)
        return np.asarray(self.level + straight + 0.5 * np.einsum("...i,...ij,...j->...", w, self.bend, w))


def _with(z: Array, axis: int, coordinate: Array) -> Array:
    changed = np.array(z, dtype=float)
    changed[..., axis] = coordinate
    return changed
