"""One optimizer step: the batch of (seed, step), micro-batches, clipping, the scheduled learning rate."""

import gc
import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import nn

from harness.data import Corpus
from harness.errors import UserError
from harness.plan.spec import RunSpec
from harness.train.config import TrainConfig
from harness.train.loss import NO_TARGET
from harness.train.micro import pieces, sequences_at_once
from harness.train.optimizer import Optimizers

# in the messages of the allocator, the driver, Triton and cuBLAS
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


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
        optimizer: Optimizers,
        spec: RunSpec,
        corpus: Corpus,
        train: TrainConfig,
        note: Callable[[str], None],
        available: float | None = None,
        reduced: int = 0,
    ) -> None:
        """``model`` as Accelerate prepared it, from sequences to their summed loss in nats.

        Args:
            note: receives what the record should say.
            available: bytes of the GPU that the run may take; None on a CPU.
            reduced: the micro-batch, in sequences, to which an earlier attempt was reduced (0: none was).

        Raises:
            UserError: more processes than the batch has sequences.
        """
        rank, world = accelerator.process_index, accelerator.num_processes
        if spec.batch_sequences < world:
            raise UserError(
                f"a batch of {spec.batch_sequences} sequences cannot be shared by {world} processes; start fewer"
            )
        self._accelerator, self._model, self._optimizer = accelerator, model, optimizer
        self._spec, self._corpus, self._note = spec, corpus, note
        self._rows = range(spec.batch_sequences * rank // world, spec.batch_sequences * (rank + 1) // world)
        self._parameters = list(model.parameters())
        params = sum(parameter.numel() for parameter in self._parameters)
        at_once = sequences_at_once(train, spec, params, len(self._rows), available)
        self._pieces = pieces(self._rows, min(at_once, reduced or at_once))
        self._graphs = train.compile == "graphs"
        self._measured = available is not None and not train.micro_batch
        self.reduced = reduced

    @property
    def sequences(self) -> int:
        """Sequences in a micro-batch: the model meets no other number, unless the device runs out of memory."""
        return len(self._pieces[0])

    @property
    def scored_sequences(self) -> int:
        """Sequences that can be scored at once in the memory that training has taken: it keeps far more of each.

        0 where that is not known: on a CPU, where a pool of CUDA graphs has the memory, of which nothing else gets any,
        and where the user has chosen the micro-batch, perhaps for a loss that never has its logits whole.
        """
        return self.sequences if self._measured and not self._graphs else 0

    def step(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Do step ``step`` (1-based).

        Returns:
            This process's share of the mean loss over the batch (shares add up), and the gradient norm before
            clipping; both on the device, not synchronised.
        """
        loss = self._gradients(step)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self._spec.optimizer.grad_clip or math.inf)
        self._optimizer.step(self._spec.schedule.factor(step))
        self._forget_gradients()
        return loss, norm

    def _gradients(self, step: int) -> torch.Tensor:
        while True:
            try:
                return self._accumulate(step)
            except Exception as error:
                if self.sequences == 1 or not _out_of_memory(error):
                    raise
            # outside the handler, which would keep the failed step's tensors alive
            self.reduced = (self.sequences + 1) // 2
            self._pieces = pieces(self._rows, self.reduced)
            self._optimizer.zero_grad()
            if torch.cuda.is_available():
                gc.collect()
                torch.cuda.empty_cache()
            self._note(f"out of memory at step {step}: micro-batch halved to {self.reduced} sequences")

    def _accumulate(self, step: int) -> torch.Tensor:
        if self._graphs and len(self._pieces) > 1 and self._parameters[0].grad is None:
            self._forget_gradients()
        device = self._accelerator.device
        tokens = self._spec.batch_tokens
        total = torch.zeros((), device=device)
        with self._accelerator.autocast():  # around all pieces: it casts a weight once, for all of them
            for piece in self._pieces:
                batch = _to_device(self._sequences(step, piece), device)
                last = piece is self._pieces[-1]
                with nullcontext() if last else self._accelerator.no_sync(self._model):
                    loss = self._model(batch)
                    # processes average their gradients, so each share is scaled up by their number
                    share = loss * (self._accelerator.num_processes / tokens)
                    with torch.autocast(device.type, enabled=False):
                        share.backward()
                total += loss.detach() / tokens
        return total

    def _sequences(self, step: int, piece: range) -> torch.Tensor:
        """The piece's sequences; a short last one is filled up with sequences that have no targets.

        Their loss and gradient are zero, and a compiled model meets one shape only.
        """
        spec, rows = self._spec, slice(piece.start, piece.stop)
        array = self._corpus.batch(spec.seed, step - 1, spec.batch_sequences, spec.seq_len, rows)
        lacking = self.sequences - len(piece)
        return nn.functional.pad(torch.from_numpy(array), (0, 0, 0, lacking), value=NO_TARGET)

    def _forget_gradients(self) -> None:
        """Gradients of the next step begin at nothing.

        A CUDA graph leaves them in memory that its next replay writes over: harmless where a step is one replay,
        wrong where a second adds to the first. There they stay in memory of their own, and are set to zero.
        """
        if not (self._graphs and len(self._pieces) > 1):
            self._optimizer.zero_grad()
            return
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._optimizer.zero_grad(set_to_none=False)


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def _to_device(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy that the device waits for and the CPU does not: only pinned memory is copied asynchronously."""
    if device.type != "cuda":
        return batch.to(device)
    return batch.pin_memory().to(device, non_blocking=True)
