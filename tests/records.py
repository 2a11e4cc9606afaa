"""The record of a run that was never trained."""

import numpy as np

from harness.plan.cell import Cell
from harness.runs.record import DIVERGED, FINISHED, Record

SLOWER = 1.05  # seconds of training over those that were estimated


def fake_record(cell: Cell, loss: float, diverged: bool = False) -> Record:
    """A record of ``cell`` at ``loss`` nats per token; its training took :data:`SLOWER` times the estimate."""
    seconds = SLOWER * cell.estimate.training
    return Record(
        run_id=cell.run_id,
        status=DIVERGED if diverged else FINISHED,
        reason="the loss is nan at step 12" if diverged else "",
        spec=cell.spec.to_json(),
        budget=cell.budget,
        budget_count=cell.count,
        params=cell.params.to_json(),
        params_total=cell.params.total,
        params_non_embedding=cell.params.non_embedding,
        tokens=cell.tokens,
        unique_tokens=cell.unique_tokens,
        epochs=cell.epochs,
        flops=cell.flops,
        flops_6nd=cell.flops_by_count["6nd"],
        flops_by_count=cell.flops_by_count,
        loss=None if diverged else loss,
        loss_se=None if diverged else 0.02,
        bits_per_byte=None if diverged else loss / np.log(2),
        train_loss=None if diverged else loss * 0.99,
        final_lr=cell.spec.optimizer.lr / 10,
        steps=cell.spec.steps,
        seconds=seconds,
        tokens_per_second=cell.tokens / seconds,
        mfu=None,
        device="a fake device",
        precision="fp32",
        versions={"isoflop": "0.1.0", "numpy": np.__version__},
        data={"name": "fake", "fingerprint": cell.spec.data, "tokenizer": "bytes"},
    )
