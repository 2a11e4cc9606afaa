"""The runs of a tuning as the fit sees them: a flat table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.runs.record import Record
from harness.tune.design import TuneSize


@dataclass(frozen=True)
class Trial:
    """One run: ``loss`` is nats per token, None where it diverged; ``size`` counts from 0."""

    run_id: str
    size: int
    rate: float
    batch_tokens: int
    seed: int
    loss: float | None


def trials_of(sizes: Sequence[TuneSize], records: Mapping[str, Record]) -> list[Trial]:
    """The runs that have a record, in the plan's order. A record without a loss diverged."""
    return [
        Trial(
            run_id=run_id,
            size=i,
            rate=record.spec["optimizer"]["lr"],
            batch_tokens=record.spec["batch_windows"] * record.spec["seq_len"],
            seed=record.spec["seed"],
            loss=record.loss,
        )
        for i, size in enumerate(sizes)
        for run_id in size.run_ids
        if (record := records.get(run_id)) is not None
    ]
