"""What a functional form of L(N, D) is to the solver, and the coordinates it is solved in.

Coordinates are unconstrained and belong to centred logs x = ln N - mean, y = ln D - mean; natural parameters are the
letters of the formula. A form is written in one place for the fit, its bootstrap and its predictions: parameters come
as a list of arrays that broadcast against (draws, runs), so one call serves many laws at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.fit.table import Array

LARGEST_EXPONENT = 700.0  # of e, that a float can hold


@dataclass(frozen=True, eq=False)
class Place:
    """Where a form is evaluated.

    Attributes:
        x, y: ln N and ln D less their means, each (n,) or (draws, n).
        mean_x, mean_y: the means.
    """

    x: Array
    y: Array
    mean_x: float = 0.0
    mean_y: float = 0.0


@dataclass(frozen=True, eq=False)
class Linear:
    """A natural parameter as a function of the coordinates: ``weights`` (k,) times them, or the exponential of that."""

    weights: Array
    exponential: bool

    def coordinate(self, value: float) -> float:
        """What the weighted coordinates must be for the parameter to be ``value``."""
        return float(np.log(value)) if self.exponential else value


class Form(Protocol):
    """A functional form.

    Attributes:
        name, formula: for people.
        columns: its natural parameters, one for each coordinate.
        separable: whether it is E + (A/N^alpha + B/D^beta)^kappa, whose optimum has a closed form.
    """

    name: str
    formula: str
    columns: tuple[str, ...]
    separable: bool

    def evaluate(
        self, coordinates: Sequence[Array], place: Place, derivatives: bool = True
    ) -> tuple[Array, list[Array]]:
        """ln L (draws, n), and its derivative by each coordinate, of shapes that broadcast to it (or no list).

        Args:
            coordinates: k arrays, each (draws, 1), or (draws, n) where a covariate moves it.
        """

    def natural(self, theta: Array, place: Place) -> Array:
        """Natural parameters (..., k) of coordinates (..., k)."""

    def coordinates(self, natural: Array) -> Array:
        """Coordinates (..., k) about means of zero, from natural parameters (..., k)."""

    def linear(self, name: str, place: Place) -> Linear | None:
        """A natural parameter by the coordinates; None where it is no such function, and so cannot be fixed or tied."""

    def starts(self, law: Array, place: Place) -> list[Array]:
        """Where to start, from a solution (ln E, ln A', ln B', alpha, beta) of the standard law."""

    def terms(self, theta: Array, place: Place) -> dict[str, Array]:
        """The additive parts of the loss at coordinates (k,), by name, each (n,)."""


def split(theta: Array) -> list[Array]:
    """Coordinates (..., k) as a list of k arrays (..., 1)."""
    return [column[..., None] for column in np.moveaxis(np.asarray(theta, dtype=float), -1, 0)]
