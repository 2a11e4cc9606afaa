"""From fitted arms to a comparison."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.compare.arm import Arm
from harness.compare.difference import Estimate, difference
from harness.compare.results import (
    QUANTITIES,
    ApproachComparison,
    ArmDifferences,
    ArmEstimates,
    ArmFacts,
    Comparison,
)
from harness.compare.words import verdict
from harness.errors import UserError
from harness.fit.predict import percentiles
from harness.fit.results import Approach, Approach3, Interval
from harness.fit.surface import exponents
from harness.fit.table import Array

# What a difference must be smaller than to be called none: the step from Kaplan's exponent to Chinchilla's is 0.23,
# single corrections of Porian et al. 2024 move it by 0.03 to 0.13; a factor of 1.5 in size; a twentieth of a bit.
RESOLUTION = {
    "a": 0.1,
    "b": 0.1,
    "log_params": float(np.log(1.5)),
    "log_tokens": float(np.log(1.5)),
    "bits_per_byte": 0.05,
}
# Statuses under which an approach's own interval is not to be trusted.
UNTRUSTED = ("not_converged", "unidentified", "negative_exponent", "unstable")
# As 'isoflop predict' chooses.
PREFERENCE = ("approach_3", "approach_2", "approach_1")


def compare_arms(name: str, arms: Sequence[Arm]) -> Comparison:
    """Every arm against the first, by all three approaches.

    Raises:
        UserError: fewer than two arms, or intervals of different levels.
    """
    if len(arms) < 2:
        raise UserError(f"arms: a comparison needs two, got {len(arms)}")
    if len({arm.fit.level for arm in arms}) > 1:
        raise UserError(
            "arms: their fits have intervals of different levels; set analysis.level for all alike"
        )
    level = arms[0].fit.level
    flops = min(arm.fit.largest_flops for arm in arms)
    approaches = tuple(_approach(position, arms, flops, level) for position in range(3))
    decides = next(
        (n for n in PREFERENCE for found in approaches if found.approach == n and _decided(found)), None
    )
    made = Comparison(
        name=name,
        level=level,
        flops=flops,
        arms=tuple(_facts(arm) for arm in arms),
        approaches=approaches,
        decides=decides,
        verdict=(),
    )
    return replace(made, verdict=verdict(made))


def _decided(found: ApproachComparison) -> bool:
    return all(arm.a is not None and arm.a_interval is not None for arm in found.arms)


def _approach(position: int, arms: Sequence[Arm], flops: float, level: float) -> ApproachComparison:
    approaches = [arm.fit.approaches[position] for arm in arms]
    columns = [_estimates(a, arm, flops) for a, arm in zip(approaches, arms, strict=True)]
    rows = zip(arms, approaches, columns, strict=True)
    differences = [
        ArmDifferences(
            arm=arm.name,
            by_quantity={
                quantity: difference(columns[0][quantity], column[quantity], level, RESOLUTION[quantity])
                for quantity in QUANTITIES
            },
        )
        for arm, column in zip(arms[1:], columns[1:], strict=True)
    ]
    return ApproachComparison(
        approach=approaches[0].name,
        arms=tuple(_shown(arm, approach, column, level) for arm, approach, column in rows),
        differences=tuple(differences),
    )


def _estimates(approach: Approach, arm: Arm, flops: float) -> dict[str, Estimate]:
    """The quantities of one approach in one arm, values and draws."""
    doubt = "; ".join(
        f"{arm.name}: {note}"
        for code, note in zip(approach.flags, approach.notes, strict=True)
        if code in UNTRUSTED or approach.a is None
    )
    theta, draws = approach.theta(), approach.draws
    if theta is None or approach.a is None:
        return dict.fromkeys(QUANTITIES, Estimate(None, None, doubt))
    values = _columns(approach, theta, flops, arm.bits_per_nat)
    drawn = None
    if draws is not None and len(draws):
        with np.errstate(all="ignore"):
            drawn = _columns(approach, draws, flops, arm.bits_per_nat)
    return {
        quantity: Estimate(
            float(values[quantity]) if np.isfinite(values[quantity]) else None,
            None if drawn is None else drawn[quantity],
            doubt,
        )
        for quantity in QUANTITIES
    }


def _columns(approach: Approach, theta: Array, flops: float, bits_per_nat: float | None) -> dict[str, Array]:
    """Each of ``QUANTITIES`` for rows of parameters, shape (..., columns) to (...)."""
    a, b = (
        exponents(theta, approach.cost) if isinstance(approach, Approach3) else (theta[..., 1], theta[..., 3])
    )
    log_n, log_d, loss = approach.optimum(theta, flops)
    return dict(zip(QUANTITIES, (a, b, log_n, log_d, loss * (bits_per_nat or np.nan)), strict=True))


def _shown(arm: Arm, approach: Approach, column: dict[str, Estimate], level: float) -> ArmEstimates:
    at = {quantity: (found.value, _interval(found, level)) for quantity, found in column.items()}
    (n, n_interval), (d, d_interval), (bits, bits_interval) = (at[q] for q in QUANTITIES[2:])
    nats = arm.bits_per_nat
    return ArmEstimates(
        arm=arm.name,
        status=approach.status,
        a=approach.a,
        b=approach.b,
        params=None if n is None else float(np.exp(n)),
        tokens=None if d is None else float(np.exp(d)),
        loss=None if bits is None or nats is None else bits / nats,
        bits_per_byte=bits,
        a_interval=None if approach.a is None else approach.a_interval,
        b_interval=None if approach.b is None else approach.b_interval,
        params_interval=_exp(n_interval),
        tokens_interval=_exp(d_interval),
        loss_interval=None
        if bits_interval is None or nats is None
        else (bits_interval[0] / nats, bits_interval[1] / nats),
        bits_per_byte_interval=bits_interval,
    )


def _interval(found: Estimate, level: float) -> Interval | None:
    return None if found.draws is None else percentiles(found.draws, level)


def _exp(bounds: Interval | None) -> Interval | None:
    return None if bounds is None else (float(np.exp(bounds[0])), float(np.exp(bounds[1])))


def _facts(arm: Arm) -> ArmFacts:
    return ArmFacts(
        name=arm.name,
        runs=arm.fit.n_points,
        corpus=arm.corpus,
        fingerprint=arm.fingerprint,
        count=arm.fit.count,
        compute=arm.fit.compute,
    )
