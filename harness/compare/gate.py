"""A gate for a change: the cheapest runs at two budgets that could show a saving of a stated size, and their verdict.

What is tested is the mean over both budgets of ln of effective compute: by how much less loss a pair of runs has, over
how fast loss falls with ln C there. The plan has the least compute whose one-sided t test has the power asked for;
test, size of the saving and looks are written down before anything is trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from scipy import stats

from harness.compare.paired import PairedCell
from harness.errors import UserError

SIZES = 3  # of a budget: about N*, where arms are compared and where their recipes hold
SPAN = 2.0  # largest over smallest of them
MOST_SEEDS = 64
PASSED, FAILED, UNKNOWN = "passed", "failed", "cannot be told"


@dataclass(frozen=True, kw_only=True)
class GatePlan:
    """What is trained and how it will be judged.

    Attributes:
        budgets: two, FLOPs. sizes, seeds: of each budget, in every arm.
        slopes: -dL*/dlnC at each budget, nats.
        noise: standard deviation of the difference of a pair, nats; ``noise_from`` is what says so.
        speedup: the saving that is to be shown, as a ratio of compute. power: to show it, expected.
        alpha: of this look and arm, one-sided: ``level`` halved with every look and divided by the arms.
        flops: of all runs, in all arms.
        runs: by arm, the ids of its runs. They are of what is tested: an arm that is changed is another gate's.
    """

    budgets: tuple[float, float]
    sizes: int
    seeds: int
    slopes: tuple[float, float]
    noise: float
    noise_from: str
    speedup: float
    power: float
    level: float
    alpha: float
    look: int
    arms: int
    flops: float
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GateVerdict:
    """One arm against the first.

    Attributes:
        ratio: of compute that the first arm needs for this one's loss; above 1 it saves.
        lower, upper: one-sided bounds of it.
        p: of no saving, one-sided.
        verdict: ``passed`` where the lower bound is above 1, ``failed`` where it is not and the upper bound is below
            the speed-up, else ``cannot be told``.
        seeds: that the next look would need for the same speed-up at the noise that was measured; None where that is
            more than any gate has, or none is needed.
        missing: runs of either arm that were registered and have no loss. An arm does not pass without them: those
            that diverged would have been its worst.
    """

    arm: str
    ratio: float
    lower: float
    upper: float
    p: float
    noise: float
    verdict: str
    seeds: int | None = None
    missing: int = 0


def error_of(slopes: Sequence[float], noise: float, pairs: int) -> float:
    """Standard error of ln of the ratio, the mean over budgets of so many pairs each."""
    return float(noise / np.sqrt(pairs) * np.sqrt(np.sum(1 / np.square(slopes))) / len(slopes))


def power_of(slopes: Sequence[float], noise: float, pairs: int, speedup: float, alpha: float) -> float:
    """Of the one-sided t test at ``alpha``, where the change saves ``speedup``.

    Its degrees of freedom are those of the sizes: see :func:`judge_gate`.
    """
    freedom = len(slopes) * (SIZES - 1)
    shift = np.log(speedup) / error_of(slopes, noise, pairs)
    return float(stats.nct.sf(stats.t.isf(alpha, freedom), freedom, shift))


def alpha_of(level: float, look: int, arms: int) -> float:
    """Of one look and one arm: all looks and arms together then pass a change without a saving in ``level`` at most."""
    return level / 2**look / max(arms - 1, 1)


def plan_gate(
    slopes: Mapping[float, float],
    noise: float,
    noise_from: str,
    speedup: float,
    power: float,
    arms: int,
    level: float = 0.05,
) -> GatePlan:
    """The two budgets and the seeds that cost the least.

    Args:
        slopes: -dL*/dlnC by budget, nats.
        noise: standard deviation of the difference of a pair, nats.

    Raises:
        UserError: fewer than two budgets, or no number of seeds has that power.
    """
    if len(slopes) < 2:
        raise UserError("gate: needs two budgets, e.g. grid.budgets=[1e11,2.5e11]")
    alpha, made = alpha_of(level, 1, arms), list[GatePlan]()
    for pair in combinations(sorted(slopes), 2):
        falls = (slopes[pair[0]], slopes[pair[1]])
        seeds = needed_seeds(falls, noise, speedup, power, alpha)
        if seeds is not None:
            made.append(
                GatePlan(
                    budgets=pair,
                    sizes=SIZES,
                    seeds=seeds,
                    slopes=falls,
                    noise=noise,
                    noise_from=noise_from,
                    speedup=speedup,
                    power=power_of(falls, noise, SIZES * seeds, speedup, alpha),
                    level=level,
                    alpha=alpha,
                    look=1,
                    arms=arms,
                    flops=sum(pair) * SIZES * seeds * arms,
                )
            )
    if not made:
        raise UserError(
            f"gate: {MOST_SEEDS} seeds could not show a saving of {speedup:g} with a power of {power:g} at a noise of "
            f"{noise:.2g} nats a pair; ask for a larger speedup="
        )
    return min(made, key=lambda plan: plan.flops)


def needed_seeds(
    slopes: Sequence[float], noise: float, speedup: float, power: float, alpha: float
) -> int | None:
    """The least that have the power; None where :data:`MOST_SEEDS` have not."""
    return next(
        (k for k in range(1, MOST_SEEDS + 1) if power_of(slopes, noise, SIZES * k, speedup, alpha) >= power),
        None,
    )


def next_look(plan: GatePlan, noise: float, power: float) -> GatePlan | None:
    """The same gate with more seeds, after a look that could not tell; None where no number of them would.

    Args:
        noise: as the pairs so far have it.
    """
    alpha = alpha_of(plan.level, plan.look + 1, plan.arms)
    seeds = needed_seeds(plan.slopes, noise, plan.speedup, power, alpha)
    if seeds is None:
        return None
    seeds = max(seeds, plan.seeds + 1)
    return replace(
        plan,
        seeds=seeds,
        noise=noise,
        noise_from=f"the pairs of look {plan.look}",
        power=power_of(plan.slopes, noise, plan.sizes * seeds, plan.speedup, alpha),
        alpha=alpha,
        look=plan.look + 1,
        flops=sum(plan.budgets) * plan.sizes * seeds * plan.arms,
    )


def judge_gate(
    plan: GatePlan, arm: str, cells: Sequence[PairedCell], power: float = 0.8, missing: int = 0
) -> GateVerdict:
    """The verdict on ``arm`` by its pairs with the first arm.

    Sizes are the units of the test, each with the mean of its seeds: how the arms' difference varies from size to size
    is alike in all seeds of one, and pairs taken as independent would pass equal arms too often. The noise is that
    scatter, times the root of the seeds.

    Args:
        missing: registered runs of either arm without a loss.

    Raises:
        UserError: a budget has fewer than two sizes with pairs.
    """
    differences = []
    for budget in plan.budgets:
        mine = [cell for cell in cells if np.isclose(cell.budget, budget, rtol=1e-3)]
        differences.append(np.array([cell.difference for cell in mine if cell.matched]))
    if min(map(len, differences)) < 2:
        raise UserError(
            f"gate: {arm} has too few runs that the first arm has, too: the others did not finish"
        )
    freedom = sum(len(one) - 1 for one in differences)
    scatter = float(np.sqrt(sum(np.sum((one - one.mean()) ** 2) for one in differences) / freedom))
    gains = [-one.mean() / slope for one, slope in zip(differences, plan.slopes, strict=True)]
    value = float(np.mean(gains))
    weights = [1 / (len(one) * slope**2) for one, slope in zip(differences, plan.slopes, strict=True)]
    error = max(scatter * float(np.sqrt(sum(weights))) / len(gains), 1e-12)
    noise = scatter * float(np.sqrt(np.mean([cell.pairs for cell in cells if cell.matched])))
    reach = float(stats.t.isf(plan.alpha, freedom)) * error
    lower, upper = value - reach, value + reach
    verdict = PASSED if lower > 0 else FAILED if upper < np.log(plan.speedup) else UNKNOWN
    if verdict == PASSED and missing:
        verdict = UNKNOWN
    more = next_look(plan, noise, power) if verdict == UNKNOWN and not missing else None
    return GateVerdict(
        arm=arm,
        ratio=float(np.exp(value)),
        lower=float(np.exp(lower)),
        upper=float(np.exp(upper)),
        p=float(stats.t.sf(value / error, freedom)),
        noise=noise,
        verdict=verdict,
        seeds=None if more is None else more.seeds,
        missing=missing,
    )
