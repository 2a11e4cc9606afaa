"""Learning-rate schedules as pure functions of the step. The last step of a schedule is the last step of its run."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.bounds import bounded, check_bounds
from harness.errors import UserError


@dataclass
class ScheduleConfig:
    """How the learning rate moves over a run.

    Attributes:
        kind: one of :data:`KINDS`.
        floor: the final learning rate as a share of the peak (Hoffmann et al. 2022, section 3.1: a tenth).
        horizon: the schedule's length over the run's length. 1 is the rule; above 1 the run is cut before the
            cooldown ends, which exists to show the distortion (Hoffmann et al. 2022, Fig. A1).
        tokens: one length in tokens for the schedules of all runs, instead of a multiple of each run's own; 0 is
            off. At least the longest run's; it exists to show the distortion (Kaplan et al. 2020 trained so).
        decay_share: share of the horizon that warm-up–stable–decay spends cooling down.
        share_trunk: runs of one shape and seed differ in nothing but their horizon, and what they have in common is
            trained once (see ``harness.plan.branching``); for schedules whose beginning does not depend on their end.
    """

    kind: str = "cosine"
    floor: float = bounded(0.1, 0, 1)
    horizon: float = bounded(1.0, 1, 1e6)
    decay_share: float = bounded(0.2, 0, 1, above=True)
    tokens: float = bounded(0.0, 0, 1e20)
    share_trunk: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"schedule.kind: '{self.kind}' is none of {', '.join(KINDS)}")
        check_bounds(self, "schedule")
        if self.tokens and self.horizon != 1:
            raise UserError(
                "schedule: set horizon (a multiple of each run) or tokens (one length for all), not both"
            )
        if self.share_trunk and not self.tokens and not KINDS[self.kind].begins_alike:
            raise UserError(
                f"schedule.share_trunk: the learning rate of a {self.kind} schedule depends on the horizon from the "
                "start, so its runs have no trunk; use schedule=wsd"
            )


@dataclass(frozen=True)
class Schedule:
    """A schedule with its numbers: ``steps`` is the schedule's own length, not below the run's."""

    kind: str
    warmup_steps: int
    steps: int
    floor: float
    decay_share: float

    def factor(self, step: int) -> float:
        """Share of the peak learning rate at ``step`` (1-based: step 1 is the first update, ``steps`` the last).

        Warm-up rises linearly and reaches the peak at ``warmup_steps``; what follows ends on ``floor`` at ``steps``.
        """
        if step <= self.warmup_steps:
            return step / self.warmup_steps
        span = self.steps - self.warmup_steps
        return KINDS[self.kind].factor(self, (step - self.warmup_steps) / span)


@dataclass(frozen=True)
class Kind:
    """A schedule by name: what follows warm-up.

    Attributes:
        factor: share of the peak learning rate, of the schedule and of ``progress``, which is above 0 after warm-up
            and 1 at the last step. It may read ``floor`` and ``decay_share``.
        begins_alike: the learning rate does not depend on the horizon until the run cools down, so that runs which
            differ in their horizon only can share a trunk.
        has_length: False where the learning rate does not depend on the horizon at all.
    """

    factor: Callable[[Schedule, float], float]
    begins_alike: bool = False
    has_length: bool = True


def _cosine(schedule: Schedule, progress: float) -> float:
    return schedule.floor + (1 - schedule.floor) * 0.5 * (1 + math.cos(math.pi * progress))


def _linear(schedule: Schedule, progress: float) -> float:
    return schedule.floor + (1 - schedule.floor) * (1 - progress)


def _wsd(schedule: Schedule, progress: float) -> float:
    span = schedule.steps - schedule.warmup_steps
    cooling = min(1.0, schedule.decay_share * schedule.steps / span)
    return schedule.floor + (1 - schedule.floor) * min(1.0, (1 - progress) / cooling)


def _constant(schedule: Schedule, progress: float) -> float:
    return 1.0


KINDS: dict[str, Kind] = {
    "cosine": Kind(_cosine),
    "linear": Kind(_linear),
    "wsd": Kind(_wsd, begins_alike=True),
    "constant": Kind(_constant, begins_alike=True, has_length=False),
}
"""By ``schedule.kind``. A schedule is one entry here, and a file in ``configs/schedule``."""


def resolve(config: ScheduleConfig, steps: int, warmup_tokens: float, batch_tokens: int) -> Schedule:
    """The schedule of a run of ``steps`` steps; warm-up is rounded to whole steps and leaves one to cool down.

    Raises:
        UserError: ``config.tokens`` is shorter than this run.
    """
    length = round(config.tokens / batch_tokens) if config.tokens else round(steps * config.horizon)
    if length < steps:
        raise UserError(
            f"schedule.tokens: {config.tokens:.4g} is shorter than a run of {steps * batch_tokens:,} tokens; "
            "the longest run of the grid is the least it may be ('isoflop plan' without it shows D)"
        )
    warmup = min(round(warmup_tokens / batch_tokens), length - 1)
    return Schedule(config.kind, warmup, length, config.floor, config.decay_share)
