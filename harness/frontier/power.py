"""A frontier known only as power laws of compute: approaches 1 and 2, and Kaplan et al. 2020."""

from dataclasses import dataclass, fields

import numpy as np

from harness.fit.table import Array
from harness.frontier.optimum import Number, Optimum


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
