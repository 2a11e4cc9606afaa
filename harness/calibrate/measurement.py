"""The steps that a calibration timed, kept on disk, and the fit of :mod:`harness.plan.duration` to them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.optimize import least_squares, minimize_scalar

from harness.calibrate.muon import TimedMuon, fit_muon_time
from harness.calibrate.stretch import MeasuredDevice, Speed
from harness.files import strict_json, unseal, write_json
from harness.plan.cell import Cell
from harness.plan.duration import NO_MUON, StepWork, Timing, step_seconds
from harness.plan.throughput import MuonTime, StepTime, ThroughputConfig

NOISE = 0.05  # spread of a measured step about the model, in its logarithm
PRIOR = 1.0  # and of a coefficient about where it begins: a factor of three either way is nothing unusual
COEFFICIENTS = tuple(field.name for field in fields(StepTime) if field.name != "compile_seconds")
FURTHEST, FURTHEST_SLOWDOWN = 12.0, 2.5  # bounds in logarithms: whatever was timed, the result is finite


@dataclass
class Measurement:
    """Speeds of some cells on one device.

    Attributes:
        key: what the speeds depend on, hashed; the file of another key is measured anew.
        device: that was measured; None before anything was measured.
        alone: by mode, a speed for each cell that was timed in it, in the order of the cells.
        together: by number of runs at once, a speed for each cell, each in the mode that suits its shape.
    """

    key: str
    device: MeasuredDevice | None = None
    alone: dict[str, list[Speed]] = field(default_factory=dict)
    together: dict[int, list[Speed]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, key: str) -> "Measurement":
        """What is kept at ``path``, as far as it was measured under ``key``."""
        try:
            data = unseal(strict_json(path.read_bytes()))
            if data["key"] == key:
                return cls(
                    key=key,
                    device=MeasuredDevice(**data["where"]),
                    alone={mode: [Speed(**speed) for speed in v] for mode, v in data["alone"].items()},
                    together={int(k): [Speed(**speed) for speed in v] for k, v in data["together"].items()},
                )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return cls(key)

    def drop_incomplete(self, timed: int, chosen: int) -> None:
        """Forget a mode or a number of runs without a speed for each of the cells that are to be timed.

        Args:
            timed: cells that are timed in eager steps; the first ``chosen`` of them otherwise.
        """
        numbers = {mode: timed if mode == "eager" else chosen for mode in self.alone}
        self.alone = {mode: speeds for mode, speeds in self.alone.items() if len(speeds) == numbers[mode]}
        self.together = {runs: speeds for runs, speeds in self.together.items() if len(speeds) == chosen}

    def write(self, path: Path) -> None:
        """Keep it at ``path``."""
        assert self.device is not None
        plain: dict[str, Any] = {
            "key": self.key,
            "where": vars(self.device),
            "alone": {mode: [vars(speed) for speed in speeds] for mode, speeds in self.alone.items()},
            "together": {str(k): [vars(speed) for speed in speeds] for k, speeds in self.together.items()},
        }
        write_json(path, plain)


def hashed(facts: Any) -> str:
    """A hash of ``facts`` (plain data) as a key: a published file names nothing of the machine."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def fit_modes(
    cells: Sequence[Cell],
    found: Measurement,
    prior: ThroughputConfig,
    asynchronous: bool,
    micro_batch: int = 0,
) -> ThroughputConfig:
    """The time model of one run alone: a fit for each mode, to the cells that were timed in it.

    Args:
        micro_batch: sequences taken at once in the timed steps; 0 is the whole batch.
    """
    empty = replace(prior, asynchronous=asynchronous, per_device=0, shared_slowdown=1.0)
    work = Timing(empty, micro_batch=micro_batch).work
    muon = _muon(cells, found.alone["eager"], empty)
    empty = replace(empty, muon=muon)
    eager_startup = _startup(found.alone["eager"])
    fitted: dict[str, StepTime] = {}
    for mode, speeds in found.alone.items():
        timed = [
            TimedStep(work(cell.spec), speed.step_seconds)
            for cell, speed in zip(
                cells, speeds, strict=False
            )  # the small batches are timed in eager mode only
        ]
        begin = prior.modes.get(mode) or fitted.get("eager") or prior.mode("eager")
        peak = found.device.peak if found.device else None
        times = fit_step_time(timed, begin, asynchronous, peak, empty.muon_time)
        compile_seconds = 0.0 if mode == "eager" else max(0.0, _startup(speeds) - eager_startup)
        fitted[mode] = replace(times, compile_seconds=compile_seconds)
    return replace(empty, startup_seconds=eager_startup, modes=fitted)


def _muon(cells: Sequence[Cell], speeds: Sequence[Speed], prior: ThroughputConfig) -> MuonTime | None:
    """Muon's coefficients as they were measured; where no run has it, the prior's, which are assumed here."""
    timed = [
        TimedMuon(work.muon_matrices, work.muon_flops, speed.muon_seconds)
        for cell, speed in zip(cells, speeds, strict=False)
        if speed.muon_seconds > 0 and (work := Timing(prior).work(cell.spec)).muon_matrices
    ]
    if not timed:
        return prior.muon and replace(prior.muon, assumed=True)
    found = fit_muon_time(timed, prior.muon_time, prior.asynchronous)
    return replace(found, source="isoflop calibrate", assumed=False)


def with_sharing(
    throughput: ThroughputConfig,
    cells: Sequence[Cell],
    speeds: Sequence[Speed],
    modes: Sequence[str],
    runs: int,
    micro_batch: int = 0,
) -> ThroughputConfig:
    """``throughput`` with ``runs`` runs on a device, as they were timed beside each other."""
    work = Timing(throughput, micro_batch=micro_batch).work
    timed = [
        (TimedStep(work(cell.spec), speed.step_seconds), throughput.mode(mode))
        for cell, speed, mode in zip(cells, speeds, modes, strict=True)
    ]
    slowdown = fit_slowdown(timed, throughput.asynchronous, runs, throughput.muon_time)
    return replace(throughput, per_device=runs, shared_slowdown=slowdown)


def deviations(
    throughput: ThroughputConfig,
    cells: Sequence[Cell],
    speeds: Sequence[Speed],
    mode: str,
    micro_batch: int = 0,
) -> list[float]:
    """The model's seconds of a step over the measured, for each cell that was timed alone in ``mode``."""
    work = Timing(throughput, micro_batch=micro_batch).work
    times = throughput.modes[mode]
    return [
        step_seconds(times, work(cell.spec), throughput.asynchronous, muon=throughput.muon_time)
        / speed.step_seconds
        for cell, speed in zip(cells, speeds, strict=False)
    ]


def _startup(speeds: Sequence[Speed]) -> float:
    return median(speed.startup_seconds for speed in speeds)


@dataclass(frozen=True)
class TimedStep:
    """A step's work, and the seconds it was measured to take."""

    work: StepWork
    seconds: float


def fit_step_time(
    timed: Sequence[TimedStep],
    prior: StepTime,
    asynchronous: bool,
    peak_flops: float | None = None,
    muon: MuonTime = NO_MUON,
) -> StepTime:
    """The coefficients fitted to ``timed``; one that these steps do not determine stays near ``prior``.

    Least squares in logarithms, so that a small model counts like a large one: every measured step pulls with
    1/:data:`NOISE`, every coefficient towards the prior's with 1/:data:`PRIOR`, and one measurement in many that was
    disturbed is bounded (soft L1). Coefficients of the prior that are zero or infinite are left out of the model.

    Args:
        peak_flops: the device's peak FLOP/s, which its matrix products are never fitted to exceed: the three rates of a
            few timed steps trade against each other, and without a bound one of them may become impossible.
        muon: time of Muon's part of the steps, known.
    """
    names = [name for name in COEFFICIENTS if 0 < getattr(prior, name) < float("inf")]
    begin = np.log([getattr(prior, name) for name in names])
    measured = np.log([one.seconds for one in timed])

    def made(moves: np.ndarray) -> StepTime:
        values = np.exp(begin + moves)
        return replace(prior, **{name: float(value) for name, value in zip(names, values, strict=True)})

    def residuals(moves: np.ndarray) -> np.ndarray:
        times = made(moves)
        modelled = np.log([step_seconds(times, one.work, asynchronous, muon=muon) for one in timed])
        return np.concatenate([(modelled - measured) / NOISE, moves / PRIOR])

    highest = np.full(len(names), FURTHEST)
    if peak_flops and "flops_per_second" in names:
        highest[names.index("flops_per_second")] = np.log(peak_flops / prior.flops_per_second)
    found = least_squares(
        residuals, np.minimum(0.0, highest), bounds=(np.full(len(names), -FURTHEST), highest), loss="soft_l1"
    )
    return made(found.x)


def fit_slowdown(
    timed: Sequence[tuple[TimedStep, StepTime]], asynchronous: bool, runs: int, muon: MuonTime = NO_MUON
) -> float:
    """How much longer the device's part takes of each of ``runs`` at once than if they shared it perfectly.

    On a device that is not asynchronous each run has a core of its own: how much longer a whole step takes.

    Args:
        timed: steps beside others, each with the coefficients of its mode when alone.
        muon: time of Muon's part of them.
    """
    shared = runs if asynchronous else 1

    def misfit(log_slowdown: float) -> float:
        sharing = float(np.exp(log_slowdown)) * shared
        ratios = [
            step_seconds(times, one.work, asynchronous, sharing, muon) / one.seconds for one, times in timed
        ]
        return float(np.sum(np.abs(np.log(ratios))))

    found = minimize_scalar(misfit, bounds=(-FURTHEST_SLOWDOWN, FURTHEST_SLOWDOWN), method="bounded")
    return float(np.exp(found.x))
