"""The closed forms: power laws of compute, the parametric law L(N, D), and the compute-optimal models of both.

Everywhere N is parameters, D tokens, C training FLOPs, L nats per token. A frontier is the line of compute-optimal
models; it is entered by compute, by size, by tokens or by loss, for one law or for one law a bootstrap draw.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Protocol

import numpy as np

from harness.fit.table import Array

Number = float | Array
"""One value, or one a bootstrap draw."""

LARGEST_LOG = 700.0  # of a number that a float can hold


@dataclass(frozen=True)
class PowerLaw:
    """y = coefficient * C^exponent."""

    coefficient: float
    exponent: float


@dataclass(frozen=True)
class LossLaw:
    """L*(C) = floor + scale * C^(-exponent); a floor of 0 is one that the runs do not show."""

    floor: float
    scale: float
    exponent: float


@dataclass(frozen=True)
class CostLaw:
    """C = kappa * N^power * D: how the runs' compute follows from N and D (6ND is kappa 6, power 1).

    Attributes:
        misfit: the largest relative difference between the table's compute and the law.
        least: the lowest C/(ND) of the runs; None where that is not known.
    """

    kappa: float = 6.0
    power: float = 1.0
    misfit: float = 0.0
    least: float | None = None


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """A model and its training: N parameters on D tokens for C FLOPs, and the loss expected (nats per token).

    Attributes:
        loss: NaN where a frontier has no loss law.
        ratio: D/N where it is known from logarithms; None: it is ``tokens / params``.
    """

    params: Number
    tokens: Number
    flops: Number
    loss: Number
    ratio: Number | None = None

    @property
    def tokens_per_param(self) -> Number:
        """D/N."""
        return self.tokens / self.params if self.ratio is None else self.ratio

    @classmethod
    def of(cls, params: Number, tokens: Number, flops: Number, loss: Number) -> "Optimum":
        """All four of the shape of ``params``, scalars as Python floats."""
        values = (np.broadcast_to(value, np.shape(params)) for value in (params, tokens, flops, loss))
        n, d, c, l = (float(value) if value.ndim == 0 else value for value in values)  # noqa: E741
        return cls(params=n, tokens=d, flops=c, loss=l)

    @classmethod
    def of_logs(cls, log_params: Number, log_tokens: Number, loss: Number, flops: float) -> "Optimum":
        """From ln N and ln D, which may be of numbers that no float holds: these become the largest or smallest."""
        return cls(
            params=_exp(log_params),
            tokens=_exp(log_tokens),
            flops=flops,
            loss=loss,
            ratio=_exp(log_tokens - log_params),
        )


def _exp(logs: Number) -> Number:
    """exp, in numbers a float can hold: a draw that runs away is the end of an interval, not left out of it."""
    return np.exp(np.clip(logs, -LARGEST_LOG, LARGEST_LOG))


class Frontier(Protocol):
    """The compute-optimal models, entered from any side. Values are floats, or arrays with one entry a draw.

    A loss that cannot be reached takes infinite compute: N, D and C are then ``inf``.
    """

    def log_optimum(self, flops: float) -> tuple[Number, Number, Number]:
        """(ln N*, ln D*, L*) of a budget of C training FLOPs."""

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


@dataclass(frozen=True, kw_only=True)
class PowerLaws:
    """N* = exp(log_params_scale) C^a, D* = exp(log_tokens_scale) C^b, L* = floor + exp(log_loss_scale) C^-e.

    The form of approaches 1 and 2, and of Kaplan et al. 2020. It knows the best model of every budget and nothing of
    any other model: there is no L(N, D), so it cannot weigh serving, data-constrained training or a model off the
    frontier. Floats, or arrays with one entry a draw; the loss law is NaN where there is none.
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
        """From one row (7,) or from rows (..., 7), the columns in the order of the fields."""
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

    @property
    def exponents(self) -> tuple[Number, Number]:
        """(a, b) of N* ~ C^a and D* ~ C^b."""
        return self.a, self.b

    def log_optimum(self, flops: float) -> tuple[Number, Number, Number]:
        """(ln N*, ln D*, L*) at C = ``flops``, each of the shape of the parameters."""
        return self._log_at(np.log(flops))

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
        log_params, log_tokens, loss = self._log_at(log_flops)
        return Optimum.of(np.exp(log_params), np.exp(log_tokens), np.exp(log_flops), loss)

    def _log_at(self, log_flops: Number) -> tuple[Number, Number, Number]:
        loss = self.loss_floor + np.exp(self.log_loss_scale - self.loss_exponent * log_flops)
        return (
            self.log_params_scale + self.a * log_flops,
            self.log_tokens_scale + self.b * log_flops,
            loss,
        )


POWER_COLUMNS = tuple(field.name for field in fields(PowerLaws))
"""The columns of ``PowerLaws.theta``."""

LAW_COLUMNS = ("E", "A", "B", "alpha", "beta")
"""The columns of ``Law.theta``; a sixth is kappa."""


class LossSurface:
    """What laws L(N, D) of all forms share: a cost, C = kappa N^power D, and what follows from it."""

    cost: CostLaw

    def log_optimum(self, flops: float) -> tuple[Array, Array, Array]:
        """(ln N*, ln D*, L*) at C = ``flops``, each (draws,) or ()."""
        raise NotImplementedError

    def flops(self, params: Number, tokens: Number) -> Number:
        """Training FLOPs C = kappa N^power D."""
        return self.cost.kappa * params**self.cost.power * tokens

    def inference_flops(self, params: Number) -> Number:
        """FLOPs of one token served: the forward pass, a third of training's (2N where training is 6ND)."""
        return self.cost.kappa * params**self.cost.power / 3

    def at_flops(self, flops: float) -> Optimum:
        """The best model of C FLOPs."""
        log_n, log_d, loss = self.log_optimum(flops)
        return Optimum.of(np.exp(log_n), np.exp(log_d), flops, loss)


@dataclass(frozen=True, kw_only=True)
class Law(LossSurface):
    """L(N, D) = E + (A/N^alpha + B/D^beta)^kappa in nats per token.

    With kappa = 1 it is the law of Hoffmann et al. 2022, section 3.3, equation 10; with E = 0 and beta = 1 that of
    Kaplan et al. 2020, equation 1.5. The numbers are floats, or arrays of one length: a law for each bootstrap draw.

    Attributes:
        E: loss of an infinite model on infinite data.
        A, alpha: what a finite model adds.
        B, beta: what finite data add.
        kappa: the power of their sum.
        cost: training compute C = kappa N^power D; 6ND by default.
    """

    E: Number
    A: Number
    B: Number
    alpha: Number
    beta: Number
    kappa: Number = 1.0
    cost: CostLaw = field(default_factory=CostLaw)

    @property
    def theta(self) -> Array:
        """E, A, B, alpha, beta, and kappa unless it is 1, on the last axis."""
        values = [self.E, self.A, self.B, self.alpha, self.beta]
        if not self.plain:
            values.append(self.kappa)
        return np.stack([np.asarray(value, dtype=float) for value in values], axis=-1)

    @classmethod
    def from_theta(cls, theta: Array, cost: CostLaw | None = None) -> "Law":
        """The law of one row (5,) or (6,), or of rows (..., 5 or 6); compute is 6ND without ``cost``."""
        columns = (float(column) if theta.ndim == 1 else column for column in np.moveaxis(theta, -1, 0))
        return cls(**dict(zip((*LAW_COLUMNS, "kappa"), columns, strict=False)), cost=cost or CostLaw())

    @property
    def plain(self) -> bool:
        """Whether kappa is 1, as in the standard law."""
        return isinstance(self.kappa, float) and self.kappa == 1.0

    @property
    def usable(self) -> bool:
        """Of a single law: whether loss falls with both N and D, to a floor that is not below 0."""
        theta = self.theta
        return bool(np.isfinite(theta).all() and (theta[1:] > 0).all() and theta[0] >= 0)

    @property
    def floor(self) -> float:
        """Of a single law: the loss that none falls below."""
        return float(self.floors)

    @property
    def floors(self) -> Array:
        """The same of every law, () or (draws,)."""
        return np.asarray(self.E, dtype=float)

    def reducible(self, loss: Number) -> Number:
        """A/N^alpha + B/D^beta of a ``loss``; 0 where it is not above E."""
        excess = np.maximum(loss - self.E, 0.0)
        return excess if self.plain else excess ** (1 / self.kappa)

    def _above_floor(self, inner: Number) -> Number:
        return inner if self.plain else inner**self.kappa

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
        return self.E + self._above_floor(self.A * params ** (-self.alpha) + self.B * tokens ** (-self.beta))

    def tokens_for(self, params: Number, loss: Number) -> Number:
        """D on which N parameters reach ``loss``; ``inf`` where they never do."""
        left = self.reducible(loss) - self.A * params ** (-self.alpha)
        with np.errstate(all="ignore"):
            return np.where(left > 0, (self.B / np.where(left > 0, left, 1.0)) ** (1 / self.beta), np.inf)

    def loss_of_logs(self, log_params: Number, log_tokens: Number) -> Array:
        """L(N, D) of ln N and ln D: ``loss`` up to rounding, for N and D that no float holds."""
        E, A, B, alpha, beta = np.moveaxis(self.theta[..., :5], -1, 0)
        return E + self._above_floor(A * np.exp(-alpha * log_params) + B * np.exp(-beta * log_tokens))

    @property
    def exponents(self) -> tuple[Array, Array]:
        """(a, b) of N* ~ C^a and D* ~ C^b along the budget: beta and alpha over alpha + power beta."""
        alpha, beta = self.theta[..., 3], self.theta[..., 4]
        with np.errstate(all="ignore"):
            scale = alpha + self.cost.power * beta
            return beta / scale, alpha / scale

    def log_optimum(self, flops: float | Array) -> tuple[Array, Array, Array]:
        """(ln N*, ln D*, L*) at C = ``flops``, each of the shape of the parameters.

        Minimises the law subject to C = kappa N^p D. The constraint turns the stationary point into
        alpha A N^-alpha = p beta B D^-beta, so N* = G (C/kappa)^a with a = beta / (alpha + p beta) and
        G = (alpha A / (p beta B))^(1 / (alpha + p beta)); for kappa = 6, p = 1 this is equation 4 of
        Hoffmann et al. 2022, section 3.3. A draw without an optimum (an exponent below zero) is NaN.
        """
        _, A, B, alpha, beta = np.moveaxis(self.theta[..., :5], -1, 0)
        p, log_c = self.cost.power, np.log(flops / self.cost.kappa)
        with np.errstate(all="ignore"):
            log_n = (np.log(alpha * A / (p * beta * B)) + beta * log_c) / (alpha + p * beta)
            log_d = log_c - p * log_n
            return log_n, log_d, self.loss_of_logs(log_n, log_d)

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

        On the frontier the two terms stand in a fixed ratio, so each is a known share of their sum.
        """
        with np.errstate(divide="ignore"):
            data_term = self.reducible(loss) / (1 + self.size_over_data)
            params = np.power(self.A / np.asarray(data_term * self.size_over_data), 1 / self.alpha)
            tokens = np.power(self.B / np.asarray(data_term), 1 / self.beta)
        return Optimum.of(params, tokens, self.flops(params, tokens), loss)
