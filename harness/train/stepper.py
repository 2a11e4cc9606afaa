"""One optimizer step: the batch of (seed, step), micro-batches, clipping, the scheduled rate."""

import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from accelerate.utils.memory import should_reduce_batch_size
from torch import nn

from harness.data import Corpus
from harness.errors import UserError
from harness.plan.spec import RunSpec


class Stepper:
    """Steps a model through a run.

    The batch is cut over processes and then into micro-batches, but every token weighs the same, so a step depends
    on neither beyond float error. A device that runs out of memory halves its micro-batch; the batch stays.

    Accelerate places and wraps the model, but its own backward and optimizer search the installed packages for
    optional ones at every call (half a millisecond, a tenth of a small model's step), and do nothing else where
    no gradient is scaled. So torch's are called.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        spec: RunSpec,
        corpus: Corpus,
        micro_batch: int,
        note: Callable[[str], None],
    ) -> None:
        """``model`` as Accelerate prepared it, from windows to their summed loss in nats.

        ``note`` receives what the record should say.
        """
        rank, world = accelerator.process_index, accelerator.num_processes
        if spec.batch_windows < world:
            raise UserError(
                f"a batch of {spec.batch_windows} windows cannot be shared by {world} processes; start fewer"
            )
        self._accelerator, self._model, self._optimizer = accelerator, model, optimizer
        self._spec, self._corpus, self._note = spec, corpus, note
        self._rows = range(spec.batch_windows * rank // world, spec.batch_windows * (rank + 1) // world)
        self._micro = min(micro_batch or len(self._rows), len(self._rows))
        self._parameters = list(model.parameters())

    def rate(self, step: int) -> float:
        """Learning rate of ``step`` (1-based)."""
        return self._spec.optimizer.lr * self._spec.schedule.factor(step)

    def step(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Do step ``step`` (1-based).

        Returns:
            This process's share of the mean loss over the batch (shares add up), and the gradient norm before
            clipping; both on the device, not synchronised.
        """
        rate = self.rate(step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = self._gradients(step)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._spec.optimizer.grad_clip or math.inf)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss, norm

    def _gradients(self, step: int) -> torch.Tensor:
        while True:
            try:
                return self._accumulate(step)
            except Exception as error:
                if self._micro == 1 or not should_reduce_batch_size(error):
                    raise
            # outside the handler, which would keep the failed step's tensors alive
            self._optimizer.zero_grad()
            self._micro = (self._micro + 1) // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            self._note(f"out of memory at step {step}: micro-batch halved to {self._micro} windows")

    def _accumulate(self, step: int) -> torch.Tensor:
        device = self._accelerator.device
        tokens = self._spec.batch_tokens
        total = torch.zeros((), device=device)
        starts = self._rows[:: self._micro]
        for start in starts:
            rows = slice(start, min(start + self._micro, self._rows.stop))
            array = self._corpus.batch(
                self._spec.seed, step - 1, self._spec.batch_windows, self._spec.seq_len, rows
            )
            batch = _to_device(torch.from_numpy(array), device)
            last = start == starts[-1]
            with nullcontext() if last else self._accelerator.no_sync(self._model):
                loss = self._model(batch)
                # processes average their gradients, so each share is scaled up by their number
                (loss * (self._accelerator.num_processes / tokens)).backward()
            total += loss.detach() / tokens
        return total


def _to_device(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy that the device waits for and the CPU does not: only pinned memory is copied behind its back."""
    if device.type != "cuda":
        return batch.to(device)
    return batch.pin_memory().to(device, non_blocking=True)
