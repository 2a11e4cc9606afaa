"""Accuracy straight from parameters and tokens, without a task loss between them: the direct law.

Krajewski et al. 2025 (arXiv 2512.08894): -ln q = A / N^alpha + B / D^beta, with q the accuracy above chance.
"""

from dataclasses import dataclass

import numpy as np

from harness.fit.status import judge
from harness.fit.table import Array
from harness.fit.tasks.least_squares import Model
from harness.fit.tasks.nested import fit_nested
from harness.fit.tasks.points import TaskPoints

STREAM = 72
# Of ln A/N^alpha at the geometric mean of N, alpha, the same of D, and the constant E.
BOUNDS = np.array([[-8.0, 0.0, -8.0, 0.0, 0.0], [4.0, 2.0, 4.0, 2.0, 5.0]])
NAMES = ("the term of N", "alpha", "the term of D", "beta", "the constant")


@dataclass(frozen=True, kw_only=True, eq=False)
class Direct:
    """accuracy = chance + (1 - chance) exp(-(A / N^alpha + B / D^beta + E)).

    Attributes:
        log_a: ln A. log_b: ln B. constant: E, 0 or more. constant_fixed: whether it is 0 for the runs ask for no other;
            constant_p: of the F test of that.
        status, flags, notes: ``at_bound``, where a parameter or many of its draws lie at a bound.
        widen: by how much the spread of draws is multiplied: the bootstrap's is too small by the parameters fitted.
        draws: bootstrap draws of (log_a, alpha, log_b, beta, constant), (laws, draws, 5): with a constant fixed at 0
            also those of the law with a free one.
    """

    chance: float
    log_a: float
    alpha: float
    log_b: float
    beta: float
    constant: float
    constant_fixed: bool
    constant_p: float
    widen: float = 1.0
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    draws: Array | None = None

    @property
    def parameters(self) -> int:
        """How many were fitted."""
        return 4 if self.constant_fixed else 5

    def accuracy(self, params: Array | float, tokens: Array | float) -> Array:
        """Expected accuracy at N = ``params`` and D = ``tokens``, of their shape."""
        theta = np.array([self.log_a, self.alpha, self.log_b, self.beta, self.constant])
        return _accuracy(theta, self.chance, np.log(params), np.log(tokens))

    def accuracy_of_draws(self, params: float, tokens: float) -> Array:
        """Accuracy by each draw, (laws, draws)."""
        assert self.draws is not None
        mine = self.accuracy(params, tokens)
        theirs = _accuracy(np.moveaxis(self.draws, 2, 0), self.chance, np.log(params), np.log(tokens))
        return np.clip(mine + self.widen * (theirs - mine), 0, 1)


def fit_direct(points: TaskPoints, draws: int = 400, seed: int = 0) -> Direct:
    """Least squares of the accuracies themselves: their logarithms would be ruled by runs near chance.

    E is 0 unless an F test at 5% asks for it: it caps the accuracy of every size, which few sweeps reach. Draws are of
    cells.
    """
    log_n, log_d = np.log(points.params), np.log(points.tokens)
    at = (float(log_n.mean()), float(log_d.mean()))
    model = _model(log_n - at[0], log_d - at[1], points.chance)
    levels, exponents = (-1.0, 0.5), (0.1, 0.5)
    starts = np.array(
        [
            (a, i, b, j, e)
            for a in levels
            for b in levels
            for i in exponents
            for j in exponents
            for e in (0, 0.3)
        ]
    )
    found = fit_nested(
        model, points, starts, BOUNDS, 0.0, NAMES, draws=draws, seed=seed, stream=STREAM, least=4
    )
    log_a, alpha, log_b, beta, constant = _natural(found.theta, at)
    return Direct(
        chance=points.chance,
        log_a=float(log_a),
        alpha=float(alpha),
        log_b=float(log_b),
        beta=float(beta),
        constant=float(constant),
        constant_fixed=found.fixed,
        constant_p=found.p,
        widen=found.widen,
        draws=np.stack(_natural(found.drawn, at), axis=-1),
        **judge(found.flags),
    )


def _model(log_n: Array, log_d: Array, chance: float) -> Model:
    """The law of ln N and ln D (runs,) about their means, so that scales and exponents come apart."""

    def model(theta: Array) -> tuple[Array, Array]:
        a, alpha, b, beta, constant = theta.T[:, :, None]
        of_n, of_d = np.exp(a - alpha * log_n), np.exp(b - beta * log_d)
        above = (1 - chance) * np.exp(-(of_n + of_d + constant))
        derivatives = (-of_n, of_n * log_n, -of_d, of_d * log_d, np.full_like(of_n, -1.0))
        return chance + above, above[:, :, None] * np.stack(derivatives, axis=2)

    return model


def _natural(theta: Array, at: tuple[float, float]) -> tuple[Array, ...]:
    a, alpha, b, beta, constant = np.moveaxis(theta, -1, 0)
    return a + alpha * at[0], alpha, b + beta * at[1], beta, constant


def _accuracy(theta: Array, chance: float, log_n: Array | float, log_d: Array | float) -> Array:
    log_a, alpha, log_b, beta, constant = theta
    with np.errstate(over="ignore"):
        missing = np.exp(log_a - alpha * log_n) + np.exp(log_b - beta * log_d) + constant
    return np.asarray(chance + (1 - chance) * np.exp(-missing))
