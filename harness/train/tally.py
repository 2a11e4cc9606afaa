"""The training loss between two rows of a curve."""

import math

import torch
from accelerate import Accelerator

from harness.train.job import DivergedError

BLOW_UP = 1.5  # a mean loss this many times that of guessing (ln V) is no training any more


class Tally:
    """Sums losses up. The sum stays on the device and is not synchronised before it is read.

    Every process tallies its own shares of the losses; reading adds them up, so all must read at the same step.
    """

    def __init__(self, accelerator: Accelerator, loss_sum: float, loss_steps: int) -> None:
        """Go on from ``loss_sum``, the sum over all processes, and the ``loss_steps`` in it."""
        mine = loss_sum if accelerator.is_main_process else 0.0
        self._accelerator = accelerator
        self._total = torch.tensor(mine, dtype=torch.float64, device=accelerator.device)
        self.steps = loss_steps

    def add(self, loss: torch.Tensor) -> None:
        """One more step."""
        self._total += loss
        self.steps += 1

    def sum(self) -> float:
        """Sum of the losses since the last mean was taken."""
        return float(self._accelerator.reduce(self._total.clone(), "sum"))

    def take_mean(self) -> float:
        """Their mean; begins anew."""
        mean = self.sum() / self.steps
        self._total.zero_()
        self.steps = 0
        return mean


def check_loss(loss: float, step: int, vocab_size: int) -> None:
    """Whether ``loss``, a row's mean in nats per token, is that of a run that trains.

    Raises:
        DivergedError: it is not finite, or far above that of guessing.
    """
    if not math.isfinite(loss):
        raise DivergedError(f"the loss is {loss} at step {step}")
    if loss > BLOW_UP * math.log(vocab_size):
        raise DivergedError(
            f"the loss blew up to {loss:.3g} by step {step} (guessing gives {math.log(vocab_size):.3g})"
        )
