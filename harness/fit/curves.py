"""A run's training curve, as approach 1 reads it."""

from dataclasses import dataclass

from harness.fit.table import Array


@dataclass(frozen=True, eq=False)
class Curve:
    """One run's training loss along the way; every array has shape (points of the curve,).

    Attributes:
        step: optimizer steps done.
        tokens: tokens seen.
        flops: training FLOPs spent so far.
        train_loss: training loss at that step, nats per token.
    """

    step: Array
    tokens: Array
    flops: Array
    train_loss: Array
