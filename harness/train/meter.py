"""The loss meter: training losses averaged over the rows of a curve, which are read from the device some time later."""

import math
from typing import NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor

from harness.train.job import DivergedError

BLOW_UP = 1.5  # a mean loss this many times that of guessing (ln V) means that the run has diverged


class CurveRow(NamedTuple):
    """What is measured of a row: ``loss`` is the mean training loss since the row before, nats per token."""

    step: int
    loss: float
    grad_norm: float


class LossMeter:
    """Averages training losses, row by row. Sums and norms stay on the device, not synchronised before they are read.

    Every process adds its own shares of the losses; :meth:`end_row` and :meth:`sum` add up those of all processes, so
    all must call both at the same steps. The values of a row do not depend on when they are read.
    """

    def __init__(self, accelerator: Accelerator, loss_sum: float, loss_steps: int) -> None:
        """Go on from ``loss_sum``, the sum over all processes, and the ``loss_steps`` in it."""
        mine = loss_sum if accelerator.is_main_process else 0.0
        self._accelerator = accelerator
        self._total = torch.tensor(mine, dtype=torch.float64, device=accelerator.device)
        self._unread: list[tuple[int, Tensor, int, Tensor]] = []  # step, sum of losses, how many, norm
        self.steps = loss_steps

    def add(self, loss: Tensor) -> None:
        """One more step: this process's share of the batch's mean loss, a scalar on the device, nats per token."""
        self._total += loss
        self.steps += 1

    def sum(self) -> float:
        """Sum of the losses since the last row ended, over all processes."""
        return float(self._reduced())

    def end_row(self, step: int, grad_norm: Tensor) -> None:
        """End a row: its losses are those since the row before, ``step`` its last; ``grad_norm`` is a scalar."""
        self._unread.append((step, self._reduced(), self.steps, grad_norm))
        self._total.zero_()
        self.steps = 0

    @property
    def has_unread(self) -> bool:
        """Whether a row has ended that was not read yet."""
        return bool(self._unread)

    def read_rows(self) -> list[CurveRow]:
        """The rows that have ended since the last call, by one copy, for which the CPU waits for the device."""
        unread, self._unread = self._unread, []
        if not unread:
            return []
        steps, totals, counts, norms = zip(*unread, strict=True)
        sums, found = torch.stack([torch.stack(totals), torch.stack(norms).double()]).tolist()
        return [
            CurveRow(step, total / count, norm)
            for step, total, count, norm in zip(steps, sums, counts, found, strict=True)
        ]

    def _reduced(self) -> Tensor:
        total: Tensor = self._accelerator.reduce(self._total.clone(), "sum")
        return total


def check_loss(loss: float, step: int, vocab_size: int) -> None:
    """Refuse ``loss``, a row's mean in nats per token, where it is that of a run that has diverged.

    Raises:
        DivergedError: it is not finite, or far above that of guessing, ln ``vocab_size``.
    """
    if not math.isfinite(loss):
        raise DivergedError(f"the loss is {loss} at step {step}")
    if loss > BLOW_UP * math.log(vocab_size):
        raise DivergedError(
            f"the loss blew up to {loss:.3g} by step {step} (guessing gives {math.log(vocab_size):.3g})"
        )
