"""One point of a frontier, and what a frontier can be asked.

Intervals of quantities that may be infinite: a draw that cannot reach a loss still counts.

A frontier known only as power laws of compute: approaches 1 and 2, and Kaplan et al. 2020.

The parametric law L = E + A/N^alpha + B/D^beta with the compute it is paid in.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Protocol

import numpy as np

from harness.fit.results import CostLaw, Interval
from harness.fit.surface import frontier
from harness.fit.table import Array

Number = float | Array
"""One value, or one a bootstrap draw."""


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """A model and its training: N parameters on D tokens for C FLOPs, and the loss expected (nats per token).

    ``loss`` is NaN where a frontier has no loss law.
    """

    params: Number
    tokens: Number
    flops: Number
    loss: Number

    @property
    def tokens_per_param(self) -> Number:
        """D/N."""
        return self.tokens / self.params

    @classmethod
    def of(cls, params: Number, tokens: Number, flops: Number, loss: Number) -> "Optimum":
        """All four of the shape of ``params``, scalars as Python floats."""
        values = (np.broadcast_to(value, np.shape(params)) for value in (params, tokens, flops, loss))
        n, d, c, l = (float(value) if value.ndim == 0 else value for value in values)  # noqa: E741
        return cls(params=n, tokens=d, flops=c, loss=l)


class Frontier(Protocol):
    """The compute-optimal models, entered from any side. Values are floats, or arrays with one entry a draw.

    A loss that cannot be reached has an infinite price: N, D and C are then ``inf``.
    """

    def at_flops(self, flops: float) -> Optimum:
        """The best model of a budget of C training FLOPs."""

    def at_params(self, params: float) -> Optimum:
        """The training for which N parameters are compute-optimal."""

    def at_tokens(self, tokens: float) -> Optimum:
        """The training for which D tokens are compute-optimal."""

    def at_loss(self, loss: Number) -> Optimum:
        """The cheapest training that reaches a loss."""

    def row(self, index: int) -> "Frontier":
        """The frontier of one draw."""


ENOUGH = 20


def interval(draws: Number | None, level: float) -> Interval | None:
    """The central interval of draws (n,) at ``level``; None without draws, or with fewer than 20 usable.

    NaN (a draw without an optimum) is left out; an infinity is kept, as the end of the interval if need be.
    Between a finite draw and an infinite one there is no interpolation, so quantiles are then draws.
    """
    if draws is None:
        return None
    values = np.atleast_1d(np.asarray(draws, dtype=float))
    usable = values[~np.isnan(values)]
    if len(usable) < ENOUGH:
        return None
    method = "linear" if np.isfinite(usable).all() else "higher"
    low, high = np.quantile(usable, ((1 - level) / 2, (1 + level) / 2), method=method)  # type: ignore[call-overload]
    return float(low), float(high)


@dataclass(frozen=True, kw_only=True)
class PowerLaws:
    """N* = exp(log_params_scale) C^a, D* = exp(log_tokens_scale) C^b, L* = floor + exp(log_loss_scale) C^-e.

    It knows the best model of every budget and nothing of any other model: no L(N, D), hence no price of
    serving, of scarce data or of a model off the frontier. Floats, or arrays with one entry a draw; the loss
    law is NaN where there is none.
    """

    log_params_scale: Number
    a: Number
    log_tokens_scale: Number
    b: Number
    loss_floor: Number = float("nan")
    log_loss_scale: Number = float("nan")
    loss_exponent: Number = float("nan")

    @classmethod
    def from_theta(cls, theta: Array) -> "PowerLaws":
        """From one row (7,) or all rows (draws, 7), the columns in the fit room's order, which is ours."""
        columns = (float(column) if theta.ndim == 1 else column for column in np.moveaxis(theta, -1, 0))
        return cls(**dict(zip((field.name for field in fields(cls)), columns, strict=True)))

    @property
    def theta(self) -> Array:
        """The seven numbers on the last axis."""
        values = [getattr(self, field.name) for field in fields(self)]
        return np.stack(np.broadcast_arrays(*values), axis=-1).astype(float)

    def row(self, index: int) -> "PowerLaws":
        """The frontier of one draw."""
        return PowerLaws.from_theta(self.theta[index])

    def at_flops(self, flops: float) -> Optimum:
        """The best model of C FLOPs."""
        return self._at(np.log(flops))

    def at_params(self, params: float) -> Optimum:
        """The training for which N parameters are compute-optimal."""
        return self._at((np.log(params) - self.log_params_scale) / self.a)

    def at_tokens(self, tokens: float) -> Optimum:
        """The training for which D tokens are compute-optimal."""
        return self._at((np.log(tokens) - self.log_tokens_scale) / self.b)

    def at_loss(self, loss: Number) -> Optimum:
        """The cheapest training that reaches ``loss``; infinite at the floor, NaN without a loss law."""
        with np.errstate(divide="ignore"):
            excess = np.log(np.maximum(loss - self.loss_floor, 0.0))
        found = self._at((self.log_loss_scale - excess) / self.loss_exponent)
        return Optimum.of(found.params, found.tokens, found.flops, loss)

    def _at(self, log_flops: Number) -> Optimum:
        params = np.exp(self.log_params_scale + self.a * log_flops)
        tokens = np.exp(self.log_tokens_scale + self.b * log_flops)
        loss = self.loss_floor + np.exp(self.log_loss_scale - self.loss_exponent * log_flops)
        return Optimum.of(params, tokens, np.exp(log_flops), loss)


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
