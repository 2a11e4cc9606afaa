"""Whether the approaches agree: their exponents, and N*, D* and L* at one budget."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtri

from harness.fit.bootstrap import Interval, bounds_text, difference_halves, percentile_interval
from harness.fit.estimate import HELD_OUT
from harness.fit.results import Agreement, Approach
from harness.fit.status import is_serious
from harness.fit.table import Array

RATIO = 1.5  # between two N* that agree
FALSE_ALARMS = 0.005
"""Of a comparison in which nothing is amiss: the share of this check in the .05 that the whole report has.

It is the level of each single test and not shared out among the ten of them, since estimates of the same runs err
together: of 1,800 clean sweeps (5 budgets of 7 sizes over 4 or 12 times, noise .002 to .01, three laws, 200 draws) one
disagreed.
"""

LEVEL = 0.9  # of the intervals that the test is made from: percentiles further out are of few draws
# Smaller differences matter to nobody, however small the noise: in a, ln N* and ln D*, and as a share of L*.
SMALLEST = {"a": 1e-3, "N*": 0.01, "D*": 0.01, "L*": 5e-4}
WITHOUT_DOUBT = ("ok", "no_interval")


@dataclass(frozen=True, eq=False)
class _Quantity:
    """One number of one approach as the test sees it: N* and D* by their logarithms.

    Attributes:
        value: the point estimate. draws: (draws,), None without.
        level: of the interval that is shown.
        write: the value as people read it.
    """

    value: float
    draws: Array | None
    level: float
    write: Callable[[float], str]

    def interval(self, level: float) -> Interval | None:
        return percentile_interval(self.draws, level, keep_infinite=True)

    def __str__(self) -> str:
        interval = self.interval(self.level)
        return self.write(self.value) + (
            "" if interval is None else f" ({bounds_text(interval, self.write)})"
        )


Quantities = dict[str, _Quantity]


def compare_approaches(approaches: tuple[Approach, ...], target: float) -> Agreement:
    """Sets the approaches' exponents and their N*, D* and L* at ``target`` FLOPs side by side.

    Two approaches disagree where ``a``, N*, D* or L* differ by more than the bootstraps of both explain; without draws,
    where N* or D* differs by more than a factor of 1.5. L* is compared where it is a held-out loss, so approach 1's is
    not, and its law has a floor. Intervals that overlap are no agreement, since wide ones overlap whatever is true:
    where N* differs by more than that factor the status is ``unclear``. An agreement of answers that their own checks
    all doubt is said to be none.

    An approach 1 whose points come from before the cooldown is known to be off (on grids that drift across the optimum
    N* by as much as 2.5), which its own status says: it does not decide, and alone with another confirms nothing.
    """
    found = {approach.name: approach.predict(target) for approach in approaches}
    params = {name: one.params for name, one in found.items()}
    at_target = {
        "params_opt": params,
        "tokens_opt": {name: one.tokens for name, one in found.items()},
        "loss_opt": {name: one.loss for name, one in found.items()},
    }
    known = [approach for approach in approaches if params[approach.name] is not None]
    quantities = {a.name: _quantities(a, target, "no_floor" in found[a.name].flags) for a in known}
    deciding = [approach for approach in known if "mid_run" not in approach.flags]
    left_out = _left_out([a.name for a in known if a not in deciding], [a.name for a in deciding], quantities)
    if len(deciding) < 2:
        message = f"{len(known)} of {len(approaches)} approaches has an answer; nothing to compare"
        if left_out:
            message = f"nothing to compare {deciding[0].name if deciding else 'it'} with{left_out}"
        return Agreement(target=target, ratio=None, status="unknown", message=message, **at_target)
    values = [value for a in deciding if (value := params[a.name]) is not None]
    ratio = max(values) / min(values)
    told = f"at C = {target:.3g} the largest N* is {ratio:.2f} x the smallest; "
    if clashes := list(_clashes({a.name: quantities[a.name] for a in deciding})):
        status, told = "disagree", told + f"beyond their intervals: {'; '.join(clashes)}"
    elif ratio > RATIO:
        status, told = (
            "unclear",
            told + "their intervals overlap, being wide: whether they agree cannot be told",
        )
    else:
        status, told = "agree", told + "a, N*, D* and L* differ by no more than their intervals allow"
        told += _doubts(deciding)
    told += left_out
    return Agreement(target=target, ratio=ratio, status=status, message=told, **at_target)


def _left_out(others: list[str], deciding: list[str], quantities: Mapping[str, Quantities]) -> str:
    """The end of a sentence: which approaches the comparison leaves out, and whether they say something else."""
    told = ""
    for name in others:
        told += f"; {name}, whose points come from before the cooldown, is left out of this"
        if any(next(_clashes({n: quantities[n] for n in (name, one)}), "") for one in deciding):
            told += ": it differs beyond its interval"
    return told


def _clashes(quantities: Mapping[str, Quantities]) -> Iterator[str]:
    """Every quantity of every pair of approaches that differs beyond the intervals of both, with both values."""
    for (first, mine), (second, its) in combinations(quantities.items(), 2):
        for name in (name for name in mine if name in its):
            if _apart(mine[name], its[name], name):
                yield f"{first} and {second} on {name}: {mine[name]} against {its[name]}"


def _apart(one: _Quantity, two: _Quantity, name: str) -> bool:
    """Whether two estimates differ, by the interval of their difference.

    Estimates of the same runs err in the same direction, for which it is on the safe side.
    """
    low, high = (one, two) if one.value < two.value else (two, one)
    difference = high.value - low.value
    if not difference > SMALLEST[name] * (low.value if name == "L*" else 1):
        return False
    below, above = low.interval(LEVEL), high.interval(LEVEL)
    if below is None or above is None:
        return name in ("N*", "D*") and difference > np.log(RATIO)
    facing, _ = difference_halves(high.value, above, low.value, below)
    return bool(difference > facing * ndtri(1 - FALSE_ALARMS / 2) / ndtri((1 + LEVEL) / 2))


def _quantities(approach: Approach, target: float, floorless: bool) -> Quantities:
    """What is compared, by name; a quantity that is not a number is left out.

    Args:
        floorless: the loss law has no floor and says of itself that its losses are too low beyond the runs: no L*.
    """
    theta, draws = approach.theta(), approach.draws
    assert theta is not None
    with np.errstate(all="ignore"):
        values = _columns(approach, theta, target)
        drawn = None if draws is None or not len(draws) else _columns(approach, draws, target)
    return {
        name: _Quantity(float(value), None if drawn is None else drawn[name], approach.level, WRITTEN[name])
        for name, value in values.items()
        if np.isfinite(value) and not (floorless and name == "L*")
    }


def _columns(approach: Approach, theta: Array, target: float) -> dict[str, Array]:
    """a, ln N*, ln D* and, of held-out losses, L* for rows of parameters (..., columns), each (...)."""
    log_n, log_d, loss = approach.optimum(theta, target)
    found = {"a": approach.exponents(theta)[0], "N*": log_n, "D*": log_d}
    return found | ({"L*": loss} if approach.loss_kind == HELD_OUT else {})


def _of_log(value: float) -> str:
    with np.errstate(over="ignore"):
        return f"{np.exp(value):.3g}"


WRITTEN: dict[str, Callable[[float], str]] = {
    "a": lambda value: f"{value:.3f}",
    "N*": _of_log,
    "D*": _of_log,
    "L*": lambda value: f"{value:.3f}",
}


def _doubts(approaches: list[Approach]) -> str:
    """What an agreement is worth where its answers are doubted by their own checks: all of them, or all but one."""
    listed = ", ".join(f"{a.name} {a.status}" for a in approaches if a.status not in WITHOUT_DOUBT)
    sound = [a for a in approaches if a.status in WITHOUT_DOUBT]
    if not sound:
        return f"; each is doubted by its own checks ({listed}), so that they agree confirms none of them"
    if len(sound) == 1 and all(is_serious(a.status) for a in approaches if a is not sound[0]):
        said = f"by their own checks only {sound[0].name} is to be used ({listed})"
        return f"; {said}: this agreement does not confirm it"
    return ""
