"""How fast a device trains a model of a given size: the basis of time estimates."""

from dataclasses import dataclass, field

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
        source: where the numbers come from.
    """

    name: str = "cpu"
    params: list[float] = field(default_factory=lambda: [1e6])
    flops_per_second: list[float] = field(default_factory=lambda: [1e10])
    startup_seconds: float = 1.0
    peak_flops: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if len(self.params) != len(self.flops_per_second) or not self.params:
            raise UserError(
                "throughput: params and flops_per_second must be two lists of the same length, not empty"
            )
        if (
            sorted(self.params) != list(self.params)
            or min(self.params) <= 0
            or min(self.flops_per_second) <= 0
        ):
            raise UserError("throughput: params must ascend, and every number must be positive")


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
