"""One point of a frontier, and what a frontier can be asked."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

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
