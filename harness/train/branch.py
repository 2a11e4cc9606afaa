"""A branch of the run being trained: its curve is followed, and at the branch point it gets a checkpoint."""

from contextlib import suppress

from accelerate import Accelerator
from torch import Tensor

from harness.plan.cell import Cell
from harness.runs.claim import take
from harness.runs.files import CellFolder
from harness.runs.record import FAILED, record_to_keep
from harness.train.checkpoint import BranchState, RunState
from harness.train.job import DivergedError, PreemptedError, Watch
from harness.train.meter import LossMeter, check_loss
from harness.train.saver import Saver


class Branch:
    """The beginning of a run, trained as the beginning of a longer one, its trunk (see ``harness.plan.branching``).

    A curve's rows lie at shares of its own horizon, so a branch averages its losses over its own rows.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        cell: Cell,
        folder: CellFolder,
        step: int,
        row_steps: int,
        state: BranchState,
    ) -> None:
        """``step`` is the last that is shared; ``state`` where the branch's curve stands."""
        self.run_id, self.step = cell.run_id, step
        self._main = accelerator.is_main_process
        self._cell, self._folder, self._row_steps = cell, folder, row_steps
        self._rows = list(state.rows)
        self._meter = LossMeter(accelerator, state.loss_sum, state.loss_steps)

    def add(self, step: int, loss: Tensor, grad_norm: Tensor) -> None:
        """What step ``step`` gave: this process's share of the batch's mean loss, and the gradient norm; scalars."""
        self._meter.add(loss)
        if step % self._row_steps == 0:
            self._meter.end_row(step, grad_norm)

    def state(self) -> BranchState:
        """Where the branch's curve stands, for a checkpoint of the trunk."""
        self._rows += self._meter.read_rows()
        return BranchState(tuple(self._rows), self._meter.sum(), self._meter.steps)

    def save(self, saver: Saver, seconds: float, notes: tuple[str, ...]) -> None:
        """Put a checkpoint into the branch's folder, as the run alone would have written at this step.

        Done under the branch's claim: a process that trains it already, has come further, or takes it over while this
        one is frozen, is left alone. Nothing is written where the run alone would have ended as diverged at one of its
        rows, which need not be the trunk's.

        Raises:
            OSError: the disk is full or not writable.
        """
        state = self.state()
        if not self._main or self._diverged():
            return
        claim = take(self._folder.path)
        if claim is None:
            return
        with claim:
            record = record_to_keep(self._folder.record, self.run_id)
            ended = record is not None and record.status != FAILED
            if ended or self._folder.checkpoint_step() >= self.step:
                return
            own = RunState(
                step=self.step,
                run_id=self.run_id,
                rows=state.rows,
                loss_sum=state.loss_sum,
                loss_steps=state.loss_steps,
                seconds=seconds,
                notes=notes,
                inherited=self.step,
            )
            # a trunk that is another's by now stops at its next step, in all its processes
            with suppress(PreemptedError):
                saver.save(own, self._folder.checkpoint, Watch(claim=claim).fence)
                saver.wait()  # the claim is held until it is there

    def _diverged(self) -> bool:
        try:
            for row in self._rows:
                check_loss(row.loss, row.step, self._cell.spec.shape.vocab_size)
        except DivergedError:
            return True
        return False
