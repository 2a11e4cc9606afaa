"""How fast a device trains a model of a given size: the basis of time estimates."""

from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import UserError


@dataclass
class ThroughputConfig:
    """Measured training speed of one worker against model size.

    Attributes:
        params: model sizes N, ascending.
        flops_per_second: achieved training FLOP/s (Appendix F count) at each size.
        startup_seconds: fixed cost of one run (building, evaluation, tracker).
        peak_flops: the worker's peak FLOP/s, for MFU; null where unknown.
        per_device: runs side by side on one device that finish a sweep soonest; 0 where that was not measured.
        shared_flops_per_second: FLOP/s of one run at each size while ``per_device`` run; empty is as alone.
        source: where the numbers come from.
    """

    name: str = "cpu"
    params: list[float] = field(default_factory=lambda: [1e6])
    flops_per_second: list[float] = field(default_factory=lambda: [1e10])
    startup_seconds: float = 1.0
    peak_flops: float | None = None
    per_device: int = 0
    shared_flops_per_second: list[float] = field(default_factory=list)
    source: str = ""

    def __post_init__(self) -> None:
        if self.per_device < 0:
            raise UserError(f"throughput.per_device: must not be negative, got {self.per_device}")
        if self.shared_flops_per_second and len(self.shared_flops_per_second) != len(self.params):
            raise UserError("throughput: shared_flops_per_second must be as long as params, or empty")
        if len(self.params) != len(self.flops_per_second) or not self.params:
            raise UserError(
                "throughput: params and flops_per_second must be two lists of the same length, not empty"
            )
        if (
            sorted(self.params) != list(self.params)
            or min(self.params) <= 0
            or min([*self.flops_per_second, *self.shared_flops_per_second]) <= 0
        ):
            raise UserError("throughput: params must ascend, and every number must be positive")


def sharing(config: ThroughputConfig, runs: int) -> ThroughputConfig:
    """``config`` for a worker that shares its device, ``runs`` runs in all.

    Measured are one run and ``per_device`` of them. In between a run is taken to be as slow as with
    ``per_device``; beyond, a device does no more than it did then.
    """
    if runs <= 1:
        return config
    measured = config.per_device if config.shared_flops_per_second else 1
    rates = config.shared_flops_per_second or config.flops_per_second
    slower = min(1.0, measured / runs)
    return replace(config, flops_per_second=[rate * slower for rate in rates])


def flops_per_second(config: ThroughputConfig, params: float) -> float:
    """Achieved FLOP/s at ``params`` parameters: linear in log-log between the measured sizes, flat beyond them."""
    return float(np.exp(np.interp(np.log(params), np.log(config.params), np.log(config.flops_per_second))))


def seconds(config: ThroughputConfig, params: float, flops: float) -> float:
    """Estimated seconds of one run of ``flops`` training FLOPs on one worker."""
    return config.startup_seconds + flops / flops_per_second(config, params)


def makespan(durations: list[float], workers: int) -> float:
    """Seconds until ``workers`` have done all runs, longest first (Graham 1969's list scheduling)."""
    busy = [0.0] * max(1, workers)
    for duration in sorted(durations, reverse=True):
        first = busy.index(min(busy))
        busy[first] += duration
    return max(busy)
