"""From timed steps to the coefficients of the time model (:mod:`harness.plan.duration`)."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.optimize import least_squares, minimize_scalar

from harness.plan.duration import StepWork, step_seconds
from harness.plan.throughput import StepTime

NOISE = 0.05  # spread of a measured step about the model, in its logarithm
PRIOR = 1.0  # and of a coefficient about where it begins: a factor of three either way is nothing unusual
COEFFICIENTS = tuple(field.name for field in fields(StepTime) if field.name != "compile_seconds")
FURTHEST, FURTHEST_SLOWDOWN = 12.0, 2.5  # in logarithms: whatever was timed, the result is a number


@dataclass(frozen=True)
class TimedStep:
    """A step's work, and the seconds it was measured to take."""

    work: StepWork
    seconds: float


def fit_step_time(timed: Sequence[TimedStep], prior: StepTime, asynchronous: bool) -> StepTime:
    """The coefficients that explain ``timed``; one that these steps say nothing of stays near ``prior``.

    Least squares in logarithms, so that a small model counts like a large one: every measured step pulls with
    1/:data:`NOISE`, every coefficient towards the prior's with 1/:data:`PRIOR`, and one measurement in many that was
    disturbed is bounded (soft L1). Coefficients of the prior that are zero or infinite are left out of the model.
    """
    names = [name for name in COEFFICIENTS if 0 < getattr(prior, name) < float("inf")]
    begin = np.log([getattr(prior, name) for name in names])
    measured = np.log([one.seconds for one in timed])

    def made(moves: np.ndarray) -> StepTime:
        values = np.exp(begin + moves)
        return replace(prior, **{name: float(value) for name, value in zip(names, values, strict=True)})

    def residuals(moves: np.ndarray) -> np.ndarray:
        times = made(moves)
        modelled = np.log([step_seconds(times, one.work, asynchronous) for one in timed])
        return np.concatenate([(modelled - measured) / NOISE, moves / PRIOR])

    bounds = (-FURTHEST, FURTHEST)
    found = least_squares(residuals, np.zeros(len(names)), bounds=bounds, loss="soft_l1")
    return made(found.x)


def fit_slowdown(timed: Sequence[tuple[TimedStep, StepTime]], asynchronous: bool, runs: int) -> float:
    """How much longer the device's part takes of each of ``runs`` at once than if they shared it perfectly.

    On a device that is not asynchronous each run has a core of its own: how much longer a whole step takes.

    Args:
        timed: steps beside others, each with the coefficients of its mode when alone.
    """
    shared = runs if asynchronous else 1

    def misfit(log_slowdown: float) -> float:
        sharing = float(np.exp(log_slowdown)) * shared
        ratios = [step_seconds(times, one.work, asynchronous, sharing) / one.seconds for one, times in timed]
        return float(np.sum(np.abs(np.log(ratios))))

    found = minimize_scalar(misfit, bounds=(-FURTHEST_SLOWDOWN, FURTHEST_SLOWDOWN), method="bounded")
    return float(np.exp(found.x))
