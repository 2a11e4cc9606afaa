"""Checkpoints written beside the training: the loop waits for a copy of the state, not for the disk."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from torch import nn
from torch.optim import Optimizer

from harness.train.checkpoint import Progress, Snapshot, write_checkpoint

# a large model on a slow disk would otherwise write most of the time
SAVES_SHARE = 1 / 20


class Saver:
    """Saves a run: copies its state at once, then hashes and writes it in a thread.

    One checkpoint is on its way at a time: what needs the next one, or an end, waits for it. An error of the thread is
    raised by the next call of any method.
    """

    def __init__(self, folder: Path, model: nn.Module, optimizer: Optimizer) -> None:
        """``model`` and ``optimizer`` are the unwrapped ones, as checkpoints know them."""
        self._folder, self._model, self._optimizer = folder, model, optimizer
        self._snapshot = Snapshot()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[None] | None = None
        self._began = self._ended = time.monotonic()

    def is_due(self, seconds: float) -> bool:
        """Whether the last checkpoint was finished more than ``seconds`` ago, and longer if it took long."""
        if self._writing is not None:
            if not self._writing.done():
                return False
            self.wait()
        return time.monotonic() - self._ended > max(seconds, (self._ended - self._began) / SAVES_SHARE)

    def save(self, progress: Progress, folder: Path | None = None) -> None:
        """Copy the state after ``progress.step`` steps; a thread writes it to the run's folder, or to ``folder``."""
        self.wait()
        self._began = time.monotonic()
        blob = self._snapshot.take(self._model, self._optimizer)
        self._writing = self._thread.submit(self._write, folder or self._folder, blob, progress)

    def wait(self) -> None:
        """Until the last checkpoint is on the disk.

        Raises:
            OSError: it isn't, because the disk is full or not writable.
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

    def _write(self, folder: Path, blob: memoryview, progress: Progress) -> None:
        write_checkpoint(folder, blob, progress)
        self._ended = time.monotonic()
