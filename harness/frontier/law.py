"""The parametric law L = E + A/N^alpha + B/D^beta with the compute it is paid in."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from harness.fit.results import CostLaw
from harness.fit.surface import frontier
from harness.fit.table import Array
from harness.frontier.optimum import Number, Optimum


@dataclass(frozen=True, kw_only=True)
class Law:
    """L(N, D) = E + A/N^alpha + B/D^beta in nats per token (Hoffmann et al. 2022, section 3.3, equation 10).

    The five numbers are floats, or arrays of one length: a law for each bootstrap draw.

    Attributes:
        E: loss of an infinite model on infinite data.
        A, alpha: what a finite model adds.
        B, beta: what finite data add.
        cost: training compute C = kappa N^power D; 6ND by default.
    """

    E: Number
    A: Number
    B: Number
    alpha: Number
    beta: Number
    cost: CostLaw = field(default_factory=CostLaw)

    @property
    def theta(self) -> Array:
        """The five numbers on the last axis, as the fit room stores them."""
        values = (self.E, self.A, self.B, self.alpha, self.beta)
        return np.stack([np.asarray(value, dtype=float) for value in values], axis=-1)

    @classmethod
    def from_theta(cls, theta: Array, cost: CostLaw) -> "Law":
        """The law of one row (5,), or of all rows (draws, 5)."""
        if theta.ndim == 1:
            E, A, B, alpha, beta = (float(v) for v in theta)
            return cls(E=E, A=A, B=B, alpha=alpha, beta=beta, cost=cost)
        return cls(
            E=theta[:, 0], A=theta[:, 1], B=theta[:, 2], alpha=theta[:, 3], beta=theta[:, 4], cost=cost
        )

    def row(self, index: int) -> "Law":
        """The law of one draw."""
        return Law.from_theta(self.theta[index], self.cost)

    def rows(self) -> Iterator["Law"]:
        """Every draw's law, one after the other."""
        return (Law.from_theta(row, self.cost) for row in self.theta)

    @property
    def size_over_data(self) -> Number:
        """A/N^alpha over B/D^beta everywhere on the frontier: power * beta / alpha.

        From minimising the law at fixed kappa N^power D, where alpha A/N^alpha = power beta B/D^beta.
        """
        return self.cost.power * self.beta / self.alpha

    def loss(self, params: Number, tokens: Number) -> Number:
        """L(N, D), nats per token."""
        return self.E + self.A * params ** (-self.alpha) + self.B * tokens ** (-self.beta)

    def flops(self, params: Number, tokens: Number) -> Number:
        """Training FLOPs C = kappa N^power D."""
        return self.cost.kappa * params**self.cost.power * tokens

    def inference_flops(self, params: Number) -> Number:
        """FLOPs of one token served: the forward pass, a third of training's (2N where training is 6ND)."""
        return self.cost.kappa * params**self.cost.power / 3

    def at_flops(self, flops: float) -> Optimum:
        """The best model of C FLOPs, in closed form (Hoffmann et al. 2022, section 3.3, equation 4)."""
        log_n, log_d, loss = frontier(self.theta, flops, self.cost)
        return Optimum.of(np.exp(log_n), np.exp(log_d), flops, loss)

    def at_params(self, params: float) -> Optimum:
        """The training for which N parameters are compute-optimal."""
        data_term = self.A * params ** (-self.alpha) / self.size_over_data
        tokens = (self.B / data_term) ** (1 / self.beta)
        return Optimum.of(params + 0 * tokens, tokens, self.flops(params, tokens), self.loss(params, tokens))

    def at_tokens(self, tokens: float) -> Optimum:
        """The training for which D tokens are compute-optimal."""
        size_term = self.B * tokens ** (-self.beta) * self.size_over_data
        params = (self.A / size_term) ** (1 / self.alpha)
        return Optimum.of(params, tokens, self.flops(params, tokens), self.loss(params, tokens))

    def at_loss(self, loss: Number) -> Optimum:
        """The cheapest training that reaches ``loss``; infinite where ``loss`` is not above E.

        On the frontier the two terms stand in a fixed ratio, so each is a known share of loss - E.
        """
        with np.errstate(divide="ignore"):
            data_term = np.maximum(loss - self.E, 0.0) / (1 + self.size_over_data)
            params = np.power(self.A / np.asarray(data_term * self.size_over_data), 1 / self.alpha)
            tokens = np.power(self.B / np.asarray(data_term), 1 / self.beta)
        return Optimum.of(params, tokens, self.flops(params, tokens), loss)
