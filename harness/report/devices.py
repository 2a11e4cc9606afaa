"""The devices that a report gives times for, and how well a time model predicted a sweep's own runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.plan import Plan
from harness.plan.throughput import ThroughputConfig
from harness.predict.clock import Clock
from harness.runs.record import FINISHED, Record

NEAR = 1.25
"""An estimate within this factor of the measured seconds counts as near."""


@dataclass(frozen=True)
class TimeCheck:
    """Estimated over measured training time of a sweep's finished runs.

    Attributes:
        ratio: median of estimated over measured seconds of training.
        near: share of the runs whose estimate is within a factor of :data:`NEAR` of the measured seconds.
        runs: number of runs.
    """

    ratio: float
    near: float
    runs: int


@dataclass(frozen=True, eq=False)
class TimedDevice:
    """A device that a run could train on, with the device to itself.

    Attributes:
        clock: seconds by N and D, for runs made by the sweep's rules.
        price: dollars per hour; None where unknown.
        peak: its FLOP/s in the precision that its times are of; None where unknown.
        asked: whether it is what ``isoflop predict`` takes for ``device=NAME``.
        check: estimates against the sweep's own runs, where this is the sweep's device and there are records.
    """

    clock: Clock
    price: float | None = None
    peak: float | None = None
    asked: bool = False
    check: TimeCheck | None = None

    @property
    def throughput(self) -> ThroughputConfig:
        """Its time model."""
        return self.clock.timing.throughput

    @property
    def assumed(self) -> bool:
        """Whether its times are assumed: not measured on it, or not near those of the sweep's runs on it."""
        return self.clock.assumed or (self.check is not None and not 1 / NEAR < self.check.ratio < NEAR)

    @property
    def label(self) -> str:
        """``cpu``; ``h100 (assumed)``."""
        return self.throughput.name + (" (assumed)" if self.assumed else "")

    @property
    def said(self) -> str:
        """The source of its times, a sentence without its full stop."""
        text = f"Times by {self.throughput.name}: {self.throughput.source or 'of unknown source'}"
        if self.clock.assumed and not self.throughput.assumed:
            text += f"; Muon's part assumed: {self.throughput.muon_time.source or 'set by hand'}"
        if self.check is not None and self.assumed:
            text += f"; assumed here: its estimates are {self.check.ratio:.2g} times what the runs took"
        return text


def check_times(plan: Plan, records: Mapping[str, Record], throughput: ThroughputConfig) -> TimeCheck | None:
    """Estimated over measured seconds of training of the plan's finished runs; None where there are none.

    The estimate is the plan's own, which knows how many runs shared a device. A plan from before times were estimated
    by parts has none: for it, the estimate of ``throughput`` with as many runs at once as it was measured with.
    """
    timing = Timing(throughput, max(1, throughput.per_device))
    ratios = [
        _training(cell, timing) / record.seconds
        for cell in plan.cells
        if (record := records.get(cell.run_id)) is not None
        and record.status == FINISHED
        and record.seconds > 0
    ]
    if not ratios:
        return None
    near = sum(1 / NEAR < ratio < NEAR for ratio in ratios) / len(ratios)
    return TimeCheck(median(ratios), near, len(ratios))


def _training(cell: Cell, timing: Timing) -> float:
    by_parts = cell.estimate.evaluation > 0  # every run is evaluated
    return (cell.estimate if by_parts else timing.run(cell.spec, "eager")).training
