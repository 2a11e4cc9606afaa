"""Arms at equal time beside arms at equal FLOPs: what a step costs on the clock is no part of C.

An optimizer whose steps take longer, or a model that computes more slowly, is better at a budget than in an hour. Each
arm's runs say how long its best cell of a budget took; at the time that the first arm took, another arm would have
spent other FLOPs C', and its own frontier says which loss it has there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from harness.compare.difference import Difference, Estimate, difference
from harness.compare.results import EqualTime, EqualTimeRow
from harness.fit.results import Approach
from harness.runs.convention import convention, flops_of
from harness.runs.record import FINISHED, Record, Score

SLOPE = 1.0  # of time in C beyond an arm's budgets, in logarithms: a step of the same model takes as long
EDGE = 1 + 1e-6  # budgets are written numbers


@dataclass(frozen=True)
class BudgetTime:
    """Seconds that training the best cell of a budget took: its tokens at the median speed of its runs.

    Attributes:
        budget: C of it as the arm's fit counts C: its frontier is evaluated there.
    """

    budget: float
    seconds: float


@dataclass(frozen=True)
class ArmTimes:
    """The times of an arm by rising budget, and on which devices they were measured.

    Attributes:
        convention: what C has in it.
    """

    budgets: tuple[BudgetTime, ...]
    devices: tuple[str, ...] = ()
    convention: str = ""

    def seconds(self, flops: float) -> float:
        """At C = ``flops``: between budgets on straight lines in logarithms, beyond them in proportion to C."""
        return float(np.exp(_line(np.log(flops), *self._logs())))

    def flops(self, seconds: float) -> float:
        """Inverse of :meth:`seconds`, where longer takes more; the least C of that time where it does not."""
        log_c, log_s = self._logs()
        return float(np.exp(_line(np.log(seconds), np.maximum.accumulate(log_s), log_c)))

    def covers(self, flops: float) -> bool:
        """Whether C lies within the budgets."""
        return bool(self.budgets[0].budget <= flops * EDGE and flops <= self.budgets[-1].budget * EDGE)

    def _logs(self) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.log([one.budget for one in self.budgets]),
            np.log([one.seconds for one in self.budgets]),
        )


def _line(x: float, known: np.ndarray, values: np.ndarray) -> float:
    if x < known[0]:
        return float(values[0] + SLOPE * (x - known[0]))
    if x > known[-1]:
        return float(values[-1] + SLOPE * (x - known[-1]))
    return float(np.interp(x, known, values))


def arm_times(records: Iterable[tuple[Record, Score]], compute: str = "flops") -> ArmTimes | None:
    """The times of the cells of the lowest mean loss at each budget; None where no run has a loss and a time.

    Args:
        records: each with its score on the text that losses are compared on.
        compute: the column of C that the arm was fitted by. Budgets were planned as ``grid.count`` says: where the
            column counts otherwise, a budget's C is that of its best cell. None where no run has that column.
    """
    cells: dict[float, dict[tuple[int, int], list[tuple[Record, float]]]] = {}
    for record, score in records:
        if record.status == FINISHED and score.loss is not None and record.tokens_per_second > 0:
            size = record.params_total, record.tokens
            cells.setdefault(record.budget, {}).setdefault(size, []).append((record, score.loss))
    if not cells:
        return None
    times, devices, conventions = [], set(), set()
    for budget in sorted(cells):
        runs = min(cells[budget].values(), key=lambda same: sum(loss for _, loss in same) / len(same))
        devices |= {f"{record.device}, {record.precision}" for record, _ in runs}
        conventions |= {convention(record, compute) for record, _ in runs}
        counted = budget if compute == "flops" else flops_of(runs[0][0], compute)
        if counted is None:
            return None
        times.append(
            BudgetTime(counted, median(record.tokens / record.tokens_per_second for record, _ in runs))
        )
    ordered = sorted(times, key=lambda one: one.budget)
    return ArmTimes(tuple(ordered), tuple(sorted(devices)), " and ".join(sorted(conventions)))


@dataclass(frozen=True, eq=False)
class TimedArm:
    """What of an arm is compared: its times, the deciding approach, and which text its losses are of.

    Attributes:
        per_nat: what a nat is in the unit of the comparison.
        noise: standard error, in that unit, of its losses as those of the text, where texts differ.
    """

    name: str
    times: ArmTimes
    approach: Approach
    per_nat: float = 1.0
    noise: float = 0.0


def compare_times(arms: Sequence[TimedArm], unit: str, level: float, resolution: float) -> EqualTime:
    """Every arm against the first, at each of the first one's budgets.

    Args:
        unit: of losses.
        resolution: a difference of losses that matters.
    """
    first, *others = arms
    rows = tuple(
        _row(first, arm, one.budget, level, resolution) for arm in others for one in first.times.budgets
    )
    return EqualTime(
        approach=first.approach.name,
        first=first.name,
        unit=unit,
        rows=rows,
        devices={arm.name: arm.times.devices for arm in arms},
    )


def _row(first: TimedArm, arm: TimedArm, budget: float, level: float, resolution: float) -> EqualTimeRow:
    theirs, own = first.times.seconds(budget), arm.times.seconds(budget)
    flops = arm.times.flops(theirs)
    noise = float(np.hypot(first.noise, arm.noise))

    def apart(at: float) -> Difference:
        return difference(_loss(first, budget), _loss(arm, at), level, resolution, noise)

    return EqualTimeRow(
        arm=arm.name,
        budget=budget,
        first_seconds=theirs,
        seconds=own,
        measured=arm.times.covers(budget),
        at_flops=apart(budget),
        flops=flops,
        within=arm.times.covers(flops),
        at_time=apart(flops),
    )


def _loss(arm: TimedArm, flops: float) -> Estimate:
    """L* of an arm at C by its own frontier, with its draws, in the unit of the comparison."""
    theta, draws = arm.approach.theta(), arm.approach.draws
    if theta is None or arm.approach.a is None:
        return Estimate(None, None, f"{arm.name}: no frontier")
    value = float(arm.approach.optimum(theta, flops)[2])
    drawn = None
    if draws is not None and len(draws):
        with np.errstate(all="ignore"):
            drawn = arm.per_nat * arm.approach.optimum(draws, flops)[2]
    return Estimate(arm.per_nat * value if np.isfinite(value) else None, drawn)
