"""Timing Muon's part of a step by itself, and the fit of its two coefficients: in whole steps it cannot be told apart.

The number of its matrices grows with the layers, and its FLOPs with the parameters, as other parts of a step do.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from scipy.optimize import least_squares

from harness.plan.duration import StepWork, step_seconds
from harness.plan.spec import RunSpec
from harness.plan.throughput import MuonTime, StepTime

WARM_UP, REPEATS = 2, 9  # steps that are not timed, and reads of the clock
READ_SECONDS = 0.02  # a read is of as many steps as take so long: on a GPU, each waits for the device
NOISE, PRIOR = 0.05, 3.0  # in logarithms: of a timed step; of a coefficient about where it begins
NOTHING = StepTime()


@dataclass(frozen=True)
class TimedMuon:
    """A step of a model's matrices: their number, the FLOPs of their products, the seconds it took."""

    matrices: int
    flops: float
    seconds: float


def time_step(spec: RunSpec, device: str) -> float:
    """Seconds of a step of Muon's matrices in ``spec``, on random numbers; 0 where it has none.

    Args:
        device: ``cpu`` or ``cuda``.
    """
    # torch: only here, after the environment is set
    import torch

    from harness.model.counts import block_matrices
    from harness.train.optimizer import muon_optimizer

    muon = spec.optimizer.muon
    if muon is None:
        return 0.0
    made = torch.Generator().manual_seed(0)
    parameters = []
    for rows, columns, number in block_matrices(spec.shape):
        for _ in range(number):
            values, gradient = torch.randn(2, rows, columns, generator=made).to(device)
            parameters.append(torch.nn.Parameter(values))
            parameters[-1].grad = gradient
    optimizer = muon_optimizer([{"params": parameters, "lr": 1e-6, "weight_decay": 0.0}], muon)

    def read(steps: int) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - began) / steps

    steps = max(1, round(READ_SECONDS / min(read(1) for _ in range(WARM_UP))))
    return median(read(steps) for _ in range(REPEATS))


def fit_muon_time(timed: Sequence[TimedMuon], prior: MuonTime, asynchronous: bool) -> MuonTime:
    """The coefficients fitted to ``timed``; what they do not determine stays near ``prior``.

    Least squares in logarithms, with one disturbed measurement in many bounded (soft L1).
    """
    begin = np.log([prior.matrix_seconds, prior.flops_per_second])
    measured = np.log([one.seconds for one in timed])
    works = [StepWork(0, 0.0, 0.0, 0.0, one.matrices, one.flops) for one in timed]

    def made(moves: np.ndarray) -> MuonTime:
        seconds, rate = np.exp(begin + moves)
        return replace(prior, matrix_seconds=float(seconds), flops_per_second=float(rate))

    def residuals(moves: np.ndarray) -> np.ndarray:
        muon = made(moves)
        modelled = [step_seconds(NOTHING, work, asynchronous, muon=muon) for work in works]
        return np.concatenate([(np.log(modelled) - measured) / NOISE, moves / PRIOR])

    return made(least_squares(residuals, np.zeros(2), bounds=(-12.0, 12.0), loss="soft_l1").x)
