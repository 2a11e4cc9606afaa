"""``controls.json``: best cells trained again at other peak learning rates, or with schedules longer than the run."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from harness.runs.files import json_text, write_changed
from harness.runs.record import Record


@dataclass(frozen=True)
class ControlRun:
    """One control beside the run it controls.

    Attributes:
        of: run id of the budget's best cell.
        loss_of: what the control is set against, held-out nats per token: the mean of ``seeds_of`` other seeds of that
            cell; without any, the loss of ``of`` itself.
        loss_chosen: the loss of ``of``, which has the control's own seed; None in files from before it was kept.
        rate: the control's peak learning rate as a multiple of that cell's.
        loss: the control's held-out loss; None where it diverged.
        horizon: length of the control's schedule over that of its run.
    """

    budget: float
    of: str
    loss_of: float
    rate: float
    run_id: str
    loss: float | None
    horizon: float = 1.0
    seeds_of: int = 0
    loss_chosen: float | None = None

    @property
    def left(self) -> float:
        """Nats per token that this control gained over the recipe; negative where it loses."""
        return self.loss_of - self.loss if self.loss is not None else float("-inf")

    @property
    def left_by_chosen(self) -> float:
        """The same against the run of its own seed."""
        chosen = self.loss_of if self.loss_chosen is None else self.loss_chosen
        return chosen - self.loss if self.loss is not None else float("-inf")


@dataclass(frozen=True)
class SeedNoise:
    """Standard deviation of one seed's loss about its cell's mean, nats per token, and its degrees of freedom."""

    sd: float
    freedom: int


def against_other_seeds(
    controls: Iterable[ControlRun], records: Mapping[str, Record]
) -> tuple[ControlRun, ...]:
    """``controls`` set against the seeds of their cell that did not choose it.

    The lowest of a column is lower than its cell deserves, by .02 nats in sweeps of the demo's size: measured against
    it alone an equally good recipe looks worse, by as much of that luck as is not its own. But a control has the chosen
    run's seed, hence its first weights and its batches, and in the sweeps run here most of the luck went with them:
    against other seeds it looks better by that much. The truth lies between, so both are kept.

    Args:
        records: of the sweep, by run id; where a cell has one seed only, its own loss remains.
    """
    found = []
    for control in controls:
        others = _others(control.of, records)
        if control.of in records:
            control = replace(control, loss_chosen=records[control.of].loss)
        if others:
            control = replace(control, loss_of=fmean(others), seeds_of=len(others))
        found.append(control)
    return tuple(found)


def seed_noise(controls: Iterable[ControlRun], records: Mapping[str, Record]) -> SeedNoise | None:
    """The scatter of seeds, pooled over the cells with controls; None where none has two beside the one chosen."""
    squares, freedom = 0.0, 0
    for of in dict.fromkeys(control.of for control in controls):
        losses = _others(of, records)
        if len(losses) > 1:
            squares += sum((loss - fmean(losses)) ** 2 for loss in losses)
            freedom += len(losses) - 1
    return SeedNoise((squares / freedom) ** 0.5, freedom) if freedom else None


def _others(of: str, records: Mapping[str, Record]) -> list[float]:
    """Losses of the runs that differ from ``of`` in their seed alone."""
    if of not in records:
        return []
    own = {**records[of].spec, "seed": 0}
    return [
        record.loss
        for run_id, record in records.items()
        if run_id != of and record.loss is not None and {**record.spec, "seed": 0} == own
    ]


def write_controls(path: Path, controls: Iterable[ControlRun]) -> None:
    """Write ``controls.json`` where it changed, atomically."""
    write_changed(path, json_text([asdict(control) for control in controls]))


def read_controls(path: Path) -> tuple[ControlRun, ...]:
    """The controls of a sweep; none where there is no such file."""
    try:
        return tuple(ControlRun(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()
