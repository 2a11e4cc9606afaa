"""Saves a run while it trains: the loop waits for a copy of the tensors in memory, a thread for the disk."""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.files import Fence, no_fence
from harness.train.checkpoint import RunState, write_checkpoint
from harness.train.job import PreemptedError
from harness.train.optimizer import Optimizers

ALIGNMENT = 8  # of a safetensors file's data
# a checkpoint may take this share of the time: a large model on a slow disk would otherwise write most of the time
SAVES_SHARE = 1 / 20


class Saver:
    """Saves a run: copies its tensors at once, then hashes and writes them in a thread.

    One checkpoint is being written at a time: the next save, and the end, wait for it. An error of the thread is raised
    by the next call of any method.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        optimizer: Optimizers,
        fence: Fence = no_fence,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """``model`` and ``optimizer`` are the unwrapped ones, as checkpoints know them.

        Args:
            fence: asked before every write; raises PreemptedError where the run is another's by now.
            check: asked once the tensors are copied; raises where what they were trained on cannot be trusted.
        """
        self._folder, self._model, self._optimizer = folder, model, optimizer
        self._fence, self._check = fence, check
        self._snapshot = Snapshot()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._began = self._ended = time.monotonic()

    def is_due(self, seconds: float) -> bool:
        """Whether the last checkpoint was finished more than ``seconds`` ago, and longer if it took long."""
        if self._writing is not None:
            if not self._writing.done():
                return False
            # where the run is another's it is the loop that stops, at the same step in every process
            with suppress(PreemptedError):
                self.wait()
        return time.monotonic() - self._ended > max(seconds, (self._ended - self._began) / SAVES_SHARE)

    def save(self, state: RunState, folder: Path | None = None, fence: Fence | None = None) -> None:
        """Copy the tensors after ``state.step`` steps; a thread writes them to the run's folder.

        Args:
            folder: another run's folder of checkpoints to write to, and the ``fence`` of that.
        """
        self.wait()
        self._began = time.monotonic()
        blob = self._snapshot.take(self._model, self._optimizer)
        where = (folder or self._folder, blob, state, fence or self._fence)
        self._writing = self._thread.submit(self._write, *where)

    def wait(self) -> None:
        """Until the last checkpoint is on the disk.

        Raises:
            OSError: it isn't, because the disk is full or not writable.
            PreemptedError: it isn't, because the run is another's by now.
            UserError: it isn't, because the corpus changed.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        """:meth:`wait`, and give the memory back; nothing is saved afterwards."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._snapshot = Snapshot()

    def _write(self, folder: Path, blob: memoryview, state: RunState, fence: Fence) -> None:
        self._check()
        write_checkpoint(folder, blob, state, fence)
        self._ended = time.monotonic()


class Snapshot:
    """Weights and moments after one step, in host memory, as the bytes of a safetensors file.

    The memory is kept and used again: getting it anew from the system takes longer than copying into it.
    """

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)

    def take(self, model: nn.Module, optimizer: Optimizers) -> memoryview:
        """The tensors as they are now; valid until the next call. On a GPU it waits for the steps that are queued."""
        tensors = _tensors(model, optimizer)
        entries: dict[str, dict[str, Any]] = {}
        end = 0
        for name, tensor in tensors.items():
            begin, end = end, end + tensor.nbytes
            entries[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
        header = json.dumps(entries).encode()
        header += b" " * (-len(header) % ALIGNMENT)
        head = len(header).to_bytes(8, "little") + header
        if len(self._memory) != len(head) + end:
            self._memory = torch.empty(len(head) + end, dtype=torch.uint8)
        blob = self._memory.numpy().data
        blob[: len(head)] = head
        numbers = self._memory[len(head) :].view(torch.float32)
        for name, tensor in tensors.items():
            begin, end = (offset // tensor.itemsize for offset in entries[name]["data_offsets"])
            numbers[begin:end].view(tensor.shape).copy_(tensor)
        return blob


def _tensors(model: nn.Module, optimizer: Optimizers) -> dict[str, torch.Tensor]:
    """Weights and moments by parameter name, all float32. Shared parameters appear once."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        for key, value in optimizer.state(parameter).items():
            tensors[f"optimizer.{key}.{name}"] = value.detach()
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values()), (
        "weights and moments are float32"
    )
    return tensors
