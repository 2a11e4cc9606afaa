"""The devices that a report tells times for: the sweep's own, and others by their data sheets."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

from harness.config.compose import compose_config
from harness.config.frozen import load_throughput
from harness.config.predict import PredictConfig, setting_of_sweep
from harness.errors import UserError
from harness.fit import Fit
from harness.model.counts import known_count
from harness.model.family import FAMILIES
from harness.packaged import config_folder
from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.plan import Plan
from harness.plan.throughput import ThroughputConfig
from harness.predict.clock import Clock
from harness.predict.source import choose, from_fit
from harness.runs.record import FINISHED, Record

PUBLISHED = ("h100", "h200", "a100")  # of configs/device
NEAR = 1.25
"""An estimate within this factor of the measured seconds is near."""


@dataclass(frozen=True)
class Pace:
    """What a sweep's finished runs took, against the time model.

    Attributes:
        ratio: estimated over measured seconds of training, the median.
        near: share of the runs whose estimate is near.
        runs: how many.
    """

    ratio: float
    near: float
    runs: int


@dataclass(frozen=True, eq=False)
class Device:
    """What a run could train on, alone.

    Attributes:
        clock: seconds by N and D of runs as the sweep's rules make them.
        price: dollars per hour; None where unknown.
        pace: of the sweep's own runs, where this is its own device and it has records.
    """

    clock: Clock
    price: float | None = None
    pace: Pace | None = None

    @property
    def throughput(self) -> ThroughputConfig:
        """Its time model."""
        return self.clock.timing.throughput

    @property
    def assumed(self) -> bool:
        """Whether its times were not measured on it, or are not those of the runs that are said to be on it."""
        return self.throughput.assumed or (self.pace is not None and not 1 / NEAR < self.pace.ratio < NEAR)

    @property
    def label(self) -> str:
        """``cpu``; ``h100 (assumed)``."""
        return self.throughput.name + (" (assumed)" if self.assumed else "")

    @property
    def said(self) -> str:
        """A sentence on where its times come from, without its full stop."""
        text = f"Times by {self.throughput.name}: {self.throughput.source or 'of unknown source'}"
        if self.pace is not None and self.assumed:
            text += f"; assumed here, where it says {self.pace.ratio:.2g} times what the runs took"
        return text


def devices_of(
    fit: Fit,
    sweep: Path | None = None,
    config: str = "",
    plan: Plan | None = None,
    records: Mapping[str, Record] | None = None,
) -> tuple[Device, ...]:
    """The sweep's own device first, where its configuration has one, then :data:`PUBLISHED`.

    Without a sweep's rules, runs are taken to be made by those that ``predict`` falls back on. Their ladder is of large
    models: where it has not the size that the fit calls optimal, nothing is known of the time of such runs, and
    there is no device. Nor is there one where sizes and FLOPs are only known from a built model: a report builds none.

    Args:
        sweep: its folder.
        config: its frozen configuration, YAML.
    """
    questions = [_question(name) for name in PUBLISHED]
    setting = None if sweep is None else setting_of_sweep(sweep, questions[0].fallback)
    rules = questions[0].fallback if setting is None else setting.rules
    if rules.model.family not in FAMILIES or rules.model.options:
        return ()
    count = known_count(fit.count)
    devices = []
    if setting is not None and (own := load_throughput(config)) is not None:
        paced = None if plan is None else pace_of(plan, records or {}, own)
        devices.append(Device(Clock(rules, Timing(own), count), _price(own.name), paced))
    names = {device.throughput.name for device in devices}
    for question in questions:
        device = question.device
        assert device is not None, "it was asked for"
        if device.timing is not None and device.timing.name not in names:
            devices.append(Device(Clock(rules, Timing(device.timing), count), device.dollars_per_hour))
    return tuple(devices) if setting is not None or _covered(fit, devices[0].clock) else ()


def pace_of(plan: Plan, records: Mapping[str, Record], throughput: ThroughputConfig) -> Pace | None:
    """Estimated over measured seconds of training of the plan's finished runs; None where there are none.

    The estimate is the plan's own, which knows how many runs there were at once; of a plan from before times were
    estimated by parts, that of ``throughput`` with as many at once as it was measured with.
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
    return Pace(median(ratios), near, len(ratios))


def _training(cell: Cell, timing: Timing) -> float:
    by_parts = cell.estimate.evaluation > 0  # every run is evaluated
    return (cell.estimate if by_parts else timing.run(cell.spec, "eager")).training


def _covered(fit: Fit, clock: Clock) -> bool:
    """Whether the ladder has the optimal size of the largest budget that was run."""
    try:
        frontier = choose(from_fit(fit), "auto")[1].frontier
    except UserError:
        return False
    return frontier is not None and clock.covers(float(frontier.at_flops(fit.largest_flops).params))


@cache
def _question(device: str) -> PredictConfig:
    """What ``isoflop predict device=NAME`` is composed of; its source and its question are not looked at."""
    return compose_config(["fit=.", "budget=1", f"device={device}"], "predict", PredictConfig)[0]


def _price(name: str) -> float | None:
    """Dollars per hour of the device whose time model is called so; ``calibrate`` writes both."""
    folders = (config_folder(), Path("configs"))
    if not any((folder / "device" / f"{name}.yaml").is_file() for folder in folders):
        return None
    try:
        device = compose_config(["fit=.", "budget=1", f"device={name}"], "predict", PredictConfig)[0].device
    except UserError:  # of a user's own file, which was not asked for
        return None
    return None if device is None else device.dollars_per_hour
