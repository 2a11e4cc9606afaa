"""The form E + (A/N^alpha + B/D^beta)^kappa, of which the standard law, the tied one and Kaplan's are cases."""

from collections.abc import Sequence

import numpy as np

from harness.fit.forms.form import Linear, Place, split
from harness.fit.table import Array

NO_FLOOR = 1e-30
"""An irreducible loss that is none, for logarithms."""


class PowerForm:
    """Coordinates (ln E, ln A', ln B', alpha, beta, ln kappa), A' = A exp(-alpha mean ln N) and B' likewise.

    With kappa = 1 it is equation 10 of Hoffmann et al. 2022; with E = 0 and beta = 1 equation 1.5 of Kaplan et al.
    2020, where A = Nc^(alphaN/alphaD), alpha = alphaN/alphaD, B = Dc and kappa = alphaD.
    """

    name = "kappa"
    formula = "E + (A/N^alpha + B/D^beta)^kappa"
    columns: tuple[str, ...] = ("E", "A", "B", "alpha", "beta", "kappa")
    separable = True

    def evaluate(
        self, coordinates: Sequence[Array], place: Place, derivatives: bool = True
    ) -> tuple[Array, list[Array]]:
        e, a, b, alpha, beta, k = coordinates
        floor, size, tokens = np.exp(e), np.exp(a - alpha * place.x), np.exp(b - beta * place.y)
        inner = size + tokens
        kappa = np.exp(k)
        plain = not np.any(k)
        reducible = inner if plain else inner**kappa
        total = floor + reducible
        if not derivatives:
            return np.log(total), []
        pull = reducible / total if plain else kappa * reducible / total
        by_size, by_tokens = pull * size / inner, pull * tokens / inner
        by_kappa = pull * np.log(inner)
        return np.log(total), [
            floor / total,
            by_size,
            by_tokens,
            -place.x * by_size,
            -place.y * by_tokens,
            by_kappa,
        ]

    def natural(self, theta: Array, place: Place) -> Array:
        e, a, b, alpha, beta, k = np.moveaxis(theta, -1, 0)
        # A draw that has run away overflows to inf, by which it is recognised.
        with np.errstate(over="ignore"):
            floor = np.where(np.exp(e) > 1e3 * NO_FLOOR, np.exp(e), 0.0)
            columns = (
                floor,
                np.exp(a + alpha * place.mean_x),
                np.exp(b + beta * place.mean_y),
                alpha,
                beta,
                np.exp(k),
            )
        return np.stack(columns, axis=-1)

    def coordinates(self, natural: Array) -> Array:
        e, a, b, alpha, beta, k = np.moveaxis(natural, -1, 0)
        return np.stack(
            (np.log(np.maximum(e, NO_FLOOR)), np.log(a), np.log(b), alpha, beta, np.log(k)), axis=-1
        )

    def linear(self, name: str, place: Place) -> Linear | None:
        weights = np.zeros(6)
        weights[self.columns.index(name)] = 1.0
        if name == "A":
            weights[3] = place.mean_x
        if name == "B":
            weights[4] = place.mean_y
        return Linear(weights, exponential=name in ("E", "A", "B", "kappa"))

    def starts(self, law: Array, place: Place) -> list[Array]:
        e, a, b, alpha, beta = law
        return [
            np.array((e, a / kappa, b / kappa, alpha / kappa, beta / kappa, np.log(kappa)))
            for kappa in (1.0, 0.7, 1.4)
        ]

    def terms(self, theta: Array, place: Place) -> dict[str, Array]:
        e, a, b, alpha, beta, _ = theta
        return {
            "E": np.full(len(place.x), np.exp(e)),
            "A/N^alpha": np.exp(a - alpha * place.x),
            "B/D^beta": np.exp(b - beta * place.y),
        }


class KaplanForm(PowerForm):
    """Started where a law without a floor lies: from the level of the losses."""

    name = "kaplan"
    formula = "(A/N^alpha + B/D)^kappa"

    def starts(self, law: Array, place: Place) -> list[Array]:
        level = float(np.mean(self.evaluate(split(np.append(law, 0.0)[None]), place, derivatives=False)[0]))
        return [
            np.array((np.log(NO_FLOOR), level / k - 0.7 + da, level / k - 0.7 - da, p, 1.0, np.log(k)))
            for k in (0.05, 0.1, 0.3, 0.6)
            for p in (0.4, 0.7, 1.0)
            for da in (-0.5, 0.5)
        ]

    @staticmethod
    def papers(natural: Array) -> dict[str, float]:
        """Nc, Dc, alphaN and alphaD of Kaplan et al. 2020 from natural parameters (6,).

        Their law is [(Nc/N)^(alphaN/alphaD) + Dc/D]^alphaD.
        """
        _, A, B, alpha, _, kappa = map(float, natural)
        return {"Nc": A ** (1 / alpha), "Dc": B, "alphaN": alpha * kappa, "alphaD": kappa}
