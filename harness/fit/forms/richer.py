"""Forms whose optimum has no closed form: an interaction term, and Farseer's."""

from collections.abc import Sequence

import numpy as np

from harness.fit.forms.form import Linear, Place
from harness.fit.table import Array


class InteractionForm:
    """A term of both. Coordinates (ln E, ln A', ln B', alpha, beta, ln C', alpha', beta')."""

    name = "interaction"
    formula = "E + A/N^alpha + B/D^beta + C/(N^alpha2 D^beta2)"
    columns: tuple[str, ...] = ("E", "A", "B", "alpha", "beta", "C", "alpha2", "beta2")
    separable = False

    def evaluate(
        self, coordinates: Sequence[Array], place: Place, derivatives: bool = True
    ) -> tuple[Array, list[Array]]:
        e, a, b, alpha, beta, c, alpha2, beta2 = coordinates
        floor, size, tokens = np.exp(e), np.exp(a - alpha * place.x), np.exp(b - beta * place.y)
        both = np.exp(c - alpha2 * place.x - beta2 * place.y)
        total = floor + size + tokens + both
        if not derivatives:
            return np.log(total), []
        size, tokens, both = size / total, tokens / total, both / total
        return np.log(total), [
            floor / total,
            size,
            tokens,
            -place.x * size,
            -place.y * tokens,
            both,
            -place.x * both,
            -place.y * both,
        ]

    def natural(self, theta: Array, place: Place) -> Array:
        e, a, b, alpha, beta, c, alpha2, beta2 = np.moveaxis(theta, -1, 0)
        with np.errstate(over="ignore"):
            columns = (
                np.exp(e),
                np.exp(a + alpha * place.mean_x),
                np.exp(b + beta * place.mean_y),
                alpha,
                beta,
                np.exp(c + alpha2 * place.mean_x + beta2 * place.mean_y),
                alpha2,
                beta2,
            )
        return np.stack(columns, axis=-1)

    def coordinates(self, natural: Array) -> Array:
        logs = np.log(np.maximum(natural[..., [0, 1, 2, 5]], 1e-300))
        return np.concatenate((logs[..., :3], natural[..., 3:5], logs[..., 3:], natural[..., 6:]), axis=-1)

    def linear(self, name: str, place: Place) -> Linear | None:
        weights = np.zeros(8)
        weights[self.columns.index(name)] = 1.0
        means = {"A": {3: place.mean_x}, "B": {4: place.mean_y}, "C": {6: place.mean_x, 7: place.mean_y}}
        for column, mean in means.get(name, {}).items():
            weights[column] = mean
        return Linear(weights, exponential=name in ("E", "A", "B", "C"))

    def starts(self, law: Array, place: Place) -> list[Array]:
        e, _, _, alpha, beta = law
        small = [np.array((*law, e - 3, alpha * share, beta * share)) for share in (0.2, 0.5, 1.0)]
        large = [
            np.array((e - drop, *law[1:], e - 0.5, p, q))
            for drop in (0.5, 1.0)
            for p, q in ((0.1, 0.1), (0.02, 0.2), (0.2, 0.02))
        ]
        return small + large

    def terms(self, theta: Array, place: Place) -> dict[str, Array]:
        e, a, b, alpha, beta, c, alpha2, beta2 = theta
        return {
            "E": np.full(len(place.x), np.exp(e)),
            "A/N^alpha": np.exp(a - alpha * place.x),
            "B/D^beta": np.exp(b - beta * place.y),
            "the interaction": np.exp(c - alpha2 * place.x - beta2 * place.y),
        }


class FarseerForm:
    """Floor, scale and exponent of the data term follow N.

    Each of the three is a N^g + b in the formula. Where g is small, a and b are large and cancel, so the coordinates
    are its level, its slope and its bend at the mean of ln N: level + slope (e^(bend x) - 1) / bend. The data term's
    level is that at the mean of ln D, too. Order: floor, scale, ln exponent, three each.
    """

    name = "farseer"
    formula = "exp(a3 N^g3 + b3) + exp(a2 N^g2 + b2) D^-exp(a1 N^g1 + b1)"
    columns: tuple[str, ...] = ("a3", "g3", "b3", "a2", "g2", "b2", "a1", "g1", "b1")
    separable = False
    STEEPEST = 5.0  # ln of the largest exponent of D: beyond it nothing but overflow is left
    FLATTEST = 1e-6  # of a bend, below which the curve is a line

    def evaluate(
        self, coordinates: Sequence[Array], place: Place, derivatives: bool = True
    ) -> tuple[Array, list[Array]]:
        level3, slope3, bend3, level2, slope2, bend2, level1, slope1, bend1 = coordinates
        x, y, mean_y = place.x, place.y, place.mean_y
        curve3, curve2, curve1 = (self._curve(bend, x) for bend in (bend3, bend2, bend1))
        power = np.exp(np.minimum(level1 + slope1 * curve1, self.STEEPEST))
        centre = np.exp(np.minimum(level1, self.STEEPEST))
        floor = level3 + slope3 * curve3
        data = level2 + slope2 * curve2 - power * y - (power - centre) * mean_y
        log_loss = np.logaddexp(floor, data)
        if not derivatives:
            return log_loss, []
        share = np.exp(floor - log_loss)
        rest = 1 - share
        by_power = -rest * power * (y + mean_y)
        bent3, bent2, bent1 = (
            self._bent(bend, x, curve) for bend, curve in ((bend3, curve3), (bend2, curve2), (bend1, curve1))
        )
        return log_loss, [
            share,
            share * curve3,
            share * slope3 * bent3,
            rest,
            rest * curve2,
            rest * slope2 * bent2,
            by_power + rest * centre * mean_y,
            by_power * curve1,
            by_power * slope1 * bent1,
        ]

    def _curve(self, bend: Array, x: Array) -> Array:
        """(e^(bend x) - 1) / bend, which is x where the bend is 0."""
        steep = np.where(np.abs(bend) < self.FLATTEST, self.FLATTEST, bend)
        return np.expm1(steep * x) / steep

    def _bent(self, bend: Array, x: Array, curve: Array) -> Array:
        """The derivative of :meth:`_curve` by the bend."""
        small = np.abs(bend * x) < 1e-4
        steep = np.where(np.abs(bend) < self.FLATTEST, self.FLATTEST, bend)
        return np.where(small, x**2 / 2 + bend * x**3 / 3, (x * np.exp(steep * x) - curve) / steep)

    def natural(self, theta: Array, place: Place) -> Array:
        found = np.array(theta, dtype=float)
        with np.errstate(over="ignore"):
            for i in (0, 3, 6):
                level, slope, bend = (np.asarray(theta)[..., i + j] for j in range(3))
                bend = np.where(np.abs(bend) < self.FLATTEST, self.FLATTEST, bend)
                found[..., i] = slope / bend * np.exp(-bend * place.mean_x)
                found[..., i + 1] = bend
                found[..., i + 2] = level - slope / bend
            found[..., 5] += np.exp(np.asarray(theta)[..., 6]) * place.mean_y
        return found

    def coordinates(self, natural: Array) -> Array:
        found = np.array(natural, dtype=float)
        for i in (0, 3, 6):
            a, g, b = (np.asarray(natural)[..., i + j] for j in range(3))
            found[..., i], found[..., i + 1], found[..., i + 2] = a + b, a * g, g
        return found

    def linear(self, name: str, place: Place) -> Linear | None:
        if not name.startswith("g"):
            return None
        weights = np.zeros(9)
        weights[self.columns.index(name) + 1] = 1.0
        return Linear(weights, exponential=False)

    def starts(self, law: Array, place: Place) -> list[Array]:
        e, a, b, alpha, beta = law
        share = np.exp(a - np.logaddexp(e, a))
        floor = (np.logaddexp(e, a), -alpha * share, -alpha)
        return [
            np.array((*floor, b, tilt, bend, np.log(max(beta, 1e-2)), turn, bend))
            for tilt, turn, bend in (
                (0.0, 0.0, 0.1),
                (0.1, 0.02, -0.1),
                (-0.1, -0.02, 0.1),
                (0.3, 0.05, 0.1),
                (-0.3, -0.05, -0.1),
            )
        ]

    def terms(self, theta: Array, place: Place) -> dict[str, Array]:
        floor = np.exp(theta[0] + theta[1] * self._curve(theta[2], place.x))
        total = np.exp(self.evaluate([value[None, None] for value in theta], place, derivatives=False)[0][0])
        return {"the floor": floor, "the data term": total - floor}
