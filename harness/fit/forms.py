"""Functional forms of L(N, D) to compare with the standard one.

Each form is written in unconstrained coordinates theta over centred logs x = ln N - mean, y = ln D - mean, so
that one solver serves all. ``log_loss`` takes theta (..., k) and gives ln L (..., n).
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from harness.fit.law_solver import Data
from harness.fit.table import Array

Terms = dict[str, Array]


class Form(Protocol):
    """A functional form.

    ``starts`` makes starting points from a solution of the standard law (5,); ``terms`` are the additive
    parts of the loss at the data, by name: one that has vanished is the sign of a form that asks more of the
    data than they say. ``natural`` are the parameters as the formula writes them.
    """

    name: str
    formula: str

    def log_loss(self, theta: Array, x: Array, y: Array, data: Data) -> Array: ...

    def starts(self, law: Array, data: Data) -> list[Array]: ...

    def terms(self, theta: Array, data: Data) -> Terms: ...

    def natural(self, theta: Array, data: Data) -> dict[str, float]: ...


class Standard:
    """Hoffmann et al. 2022, equation 10. theta = (ln E, ln A', ln B', alpha, beta)."""

    name = "standard"
    formula = "E + A/N^alpha + B/D^beta"

    def log_loss(self, theta: Array, x: Array, y: Array, data: Data) -> Array:
        e, a, b, alpha, beta = _split(theta)
        return _log_sum(e, a - alpha * x, b - beta * y)

    def starts(self, law: Array, data: Data) -> list[Array]:
        return [law]

    def terms(self, theta: Array, data: Data) -> Terms:
        e, a, b, alpha, beta = theta
        return {
            "E": _level(e, data),
            "A/N^alpha": np.exp(a - alpha * data.x),
            "B/D^beta": np.exp(b - beta * data.y),
        }

    def natural(self, theta: Array, data: Data) -> dict[str, float]:
        e, a, b, alpha, beta = theta
        return _named(
            E=np.exp(e),
            A=np.exp(a + alpha * data.mean_x),
            B=np.exp(b + beta * data.mean_y),
            alpha=alpha,
            beta=beta,
        )


class Tied:
    """One exponent for both: N* and D* grow alike. theta = (ln E, ln A', ln B', alpha)."""

    name = "tied"
    formula = "E + A/N^alpha + B/D^alpha"

    def log_loss(self, theta: Array, x: Array, y: Array, data: Data) -> Array:
        e, a, b, alpha = _split(theta)
        return _log_sum(e, a - alpha * x, b - alpha * y)

    def starts(self, law: Array, data: Data) -> list[Array]:
        return [np.array((*law[:3], law[3:].mean()))]

    def terms(self, theta: Array, data: Data) -> Terms:
        return Standard().terms(np.append(theta, theta[3]), data)

    def natural(self, theta: Array, data: Data) -> dict[str, float]:
        values = Standard().natural(np.append(theta, theta[3]), data)
        return {name: value for name, value in values.items() if name != "beta"}


class Kappa:
    """The two shortfalls combined under a power. theta = (ln E, ln A', ln B', alpha, beta, ln kappa)."""

    name = "kappa"
    formula = "E + (A/N^alpha + B/D^beta)^kappa"

    def log_loss(self, theta: Array, x: Array, y: Array, data: Data) -> Array:
        e, a, b, alpha, beta, k = _split(theta)
        return np.logaddexp(e, np.exp(k) * np.logaddexp(a - alpha * x, b - beta * y))

    def starts(self, law: Array, data: Data) -> list[Array]:
        return [_sharpened(law, kappa) for kappa in (1.0, 0.7, 1.4)]

    def terms(self, theta: Array, data: Data) -> Terms:
        return Standard().terms(theta[:5], data)

    def natural(self, theta: Array, data: Data) -> dict[str, float]:
        return Standard().natural(theta[:5], data) | _named(kappa=np.exp(theta[5]))


class Interaction:
    """A term of both. theta = (ln E, ln A', ln B', alpha, beta, ln C', alpha', beta')."""

    name = "interaction"
    formula = "E + A/N^alpha + B/D^beta + C/(N^alpha' D^beta')"

    def log_loss(self, theta: Array, x: Array, y: Array, data: Data) -> Array:
        e, a, b, alpha, beta, c, alpha2, beta2 = _split(theta)
        return np.logaddexp(_log_sum(e, a - alpha * x, b - beta * y), c - alpha2 * x - beta2 * y)

    def starts(self, law: Array, data: Data) -> list[Array]:
        small = law[0] - 3
        return [np.array((*law, small, law[3] * share, law[4] * share)) for share in (0.2, 0.5, 1.0)] + [
            np.array((law[0] - 1, *law[1:], law[0] - 0.5, 0.1, 0.1))
        ]

    def terms(self, theta: Array, data: Data) -> Terms:
        cross = np.exp(theta[5] - theta[6] * data.x - theta[7] * data.y)
        return Standard().terms(theta[:5], data) | {"the interaction": cross}

    def natural(self, theta: Array, data: Data) -> dict[str, float]:
        c = np.exp(theta[5] + theta[6] * data.mean_x + theta[7] * data.mean_y)
        return Standard().natural(theta[:5], data) | {
            "C": float(c),
            "alpha'": float(theta[6]),
            "beta'": float(theta[7]),
        }


class Farseer:
    """Floor, scale and exponent of the data term follow N.

    theta = (a3', g3, b3, a2', g2, b2, a1', g1, b1).
    """

    name = "farseer"
    formula = "exp(a3 N^g3 + b3) + exp(a2 N^g2 + b2) D^-exp(a1 N^g1 + b1)"

    def log_loss(self, theta: Array, x: Array, y: Array, data: Data) -> Array:
        a3, g3, b3, a2, g2, b2, a1, g1, b1 = _split(theta)
        power = np.exp(np.minimum(a1 * np.exp(g1 * x) + b1, 5.0))
        return np.logaddexp(a3 * np.exp(g3 * x) + b3, a2 * np.exp(g2 * x) + b2 - power * (y + data.mean_y))

    def starts(self, law: Array, data: Data) -> list[Array]:
        e, a, b, alpha, beta = law
        floor = (np.exp(a - e), -alpha, e)
        scale, power = b + beta * data.mean_y, np.log(max(beta, 1e-2))
        return [
            np.array((*floor, tilt, g2, scale - tilt, turn, g1, power - turn))
            for tilt, g2, turn, g1 in (
                (0.1, -0.1, 0.02, -0.1),
                (0.1, 0.1, 0.02, 0.1),
                (-0.1, -0.1, -0.02, 0.1),
            )
        ]

    def terms(self, theta: Array, data: Data) -> Terms:
        floor = np.exp(theta[0] * np.exp(theta[1] * data.x) + theta[2])
        total = np.exp(self.log_loss(theta, data.x, data.y, data))
        return {"the floor": floor, "the data term": total - floor}

    def natural(self, theta: Array, data: Data) -> dict[str, float]:
        named = {}
        for i, letter in zip((0, 3, 6), ("3", "2", "1"), strict=True):
            named["a" + letter] = float(theta[i] * np.exp(-theta[i + 1] * data.mean_x))
            named["g" + letter] = float(theta[i + 1])
            named["b" + letter] = float(theta[i + 2])
        return named


class Kaplan:
    """Kaplan et al. 2020, equation 1.5: no floor.

    theta = (ln A', ln B', p, ln alphaD), p = alphaN/alphaD.
    """

    name = "kaplan"
    formula = "[(Nc/N)^(alphaN/alphaD) + Dc/D]^alphaD"

    def log_loss(self, theta: Array, x: Array, y: Array, data: Data) -> Array:
        a, b, p, k = _split(theta)
        return np.exp(k) * np.logaddexp(a - p * x, b - y)

    def starts(self, law: Array, data: Data) -> list[Array]:
        level = float(np.mean(data.log_loss))
        return [
            np.array((level / k - 0.7, level / k - 0.7, p, np.log(k))) for k in (0.1, 0.3) for p in (0.7, 1.0)
        ]

    def terms(self, theta: Array, data: Data) -> Terms:
        a, b, p, _ = theta
        return {"(Nc/N)": np.exp(a - p * data.x), "Dc/D": np.exp(b - data.y)}

    def natural(self, theta: Array, data: Data) -> dict[str, float]:
        a, b, p, k = theta
        return _named(
            Nc=np.exp(a / p + data.mean_x), Dc=np.exp(b + data.mean_y), alphaN=p * np.exp(k), alphaD=np.exp(k)
        )


FORMS: tuple[Form, ...] = (Standard(), Tied(), Kappa(), Interaction(), Farseer(), Kaplan())


def derivative(function: Callable[[Array], Array], theta: Array) -> tuple[Array, Array]:
    """A vectorised function of theta (k,) at theta, (n,), and its central differences, (n, k)."""
    step = 1e-6 * np.maximum(1.0, np.abs(theta))
    shifts = np.diag(step)
    values = function(np.concatenate((theta[None], theta + shifts, theta - shifts)))
    k = len(theta)
    return values[0], ((values[1 : k + 1] - values[k + 1 :]) / (2 * step[:, None])).T


def _split(theta: Array) -> Array:
    """The parameters, each with a last axis that runs over the data."""
    return np.moveaxis(np.asarray(theta), -1, 0)[..., None]


def _log_sum(first: Array, second: Array, third: Array) -> Array:
    return np.logaddexp(np.logaddexp(first, second), third)


def _level(log_value: float, data: Data) -> Array:
    return np.full(len(data.x), np.exp(log_value))


def _sharpened(law: Array, kappa: float) -> Array:
    e, a, b, alpha, beta = law
    return np.array((e, a / kappa, b / kappa, alpha / kappa, beta / kappa, np.log(kappa)))


def _named(**values: float) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
