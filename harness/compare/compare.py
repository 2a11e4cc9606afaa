"""Compares fitted arms: the exponents and the optimum of every arm against the first, by all three approaches."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from harness.compare.arm import Arm
from harness.compare.assess import Asked, JointLaws, assess
from harness.compare.difference import Estimate, difference
from harness.compare.equal_time import TimedArm, compare_times
from harness.compare.families import family_cautions, recipe_cautions
from harness.compare.looks import corrected
from harness.compare.optimizer_cost import optimizer_cautions
from harness.compare.results import (
    QUANTITIES,
    ApproachComparison,
    ArmDifferences,
    ArmEstimates,
    ArmFacts,
    EqualTime,
    FrontierComparison,
)
from harness.compare.verdict import verdict
from harness.errors import UserError
from harness.fit.bootstrap import Interval
from harness.fit.results import Approach
from harness.fit.status import is_untrusted, plain
from harness.fit.table import Array
from harness.predict.source import PREFERENCE, doubt_of

# What a difference must be smaller than to be called none: the step from Kaplan's exponent to Chinchilla's is 0.23,
# single corrections of Porian et al. 2024 move it by 0.03 to 0.13; a factor of 1.5 in size; a twentieth of a bit.
RESOLUTION = {
    "a": 0.1,
    "b": 0.1,
    "log_params": float(np.log(1.5)),
    "log_tokens": float(np.log(1.5)),
    "bits_per_byte": 0.05,
}


def compare_arms(
    name: str, arms: Sequence[Arm], target: float | None = None, joint: JointLaws | None = None
) -> FrontierComparison:
    """Every arm against the first, by all three approaches, by runs in pairs, and in the compute that it saves.

    Args:
        target: a C at which the saving is told, too, in FLOPs; None for the common budget alone.
        joint: laws with exponents in common, which savings are then told by.

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
    decides = _deciding(arms, approaches)
    paired, savings = assess(arms, _asked(arms, level, flops, target, decides, joint))
    made = FrontierComparison(
        name=name,
        level=level,
        flops=flops,
        arms=tuple(_facts(arm) for arm in arms),
        approaches=approaches,
        decides=decides,
        verdict=(),
        cautions=(
            *family_cautions(arms),
            *recipe_cautions(arms),
            *optimizer_cautions(arms),
            *_count_cautions(arms),
        ),
        equal_time=_in_equal_time(arms, decides, level),
        paired=paired,
        savings=savings,
        joint="" if joint is None else joint.said,
    )
    return replace(made, verdict=verdict(made))


def _asked(
    arms: Sequence[Arm],
    level: float,
    flops: float,
    target: float | None,
    decides: str | None,
    joint: JointLaws | None,
) -> Asked:
    refused = {}
    for arm in arms[1:]:
        if not _one_text((arms[0], arm)):
            refused[arm.name] = "the losses are of different texts, of which one may be easier"
        elif conventions := _conventions((arms[0], arm)):
            refused[arm.name] = f"the arms count C differently ({conventions})"
    return Asked(
        level=level,
        flops=flops,
        target=target,
        bits=RESOLUTION["bits_per_byte"],
        refused=refused,
        decides=decides,
        laws={} if joint is None else joint.laws,
    )


def _one_text(arms: Sequence[Arm]) -> bool:
    """Whether losses per token can be subtracted: of fits alone that is taken for granted."""
    return len({arm.scored_on for arm in arms}) == 1


def _in_equal_time(arms: Sequence[Arm], decides: str | None, level: float) -> EqualTime | None:
    """By the deciding approach, or the first of held-out losses; in nats where the text is one.

    Where that approach has no frontier in an arm, the times are told without losses. None where an arm has no times or
    arms count C differently: C' in equal time is then no C of the other arm's.
    """
    if _conventions(arms):
        return None
    held_out = [one.name for one in arms[0].fit.approaches if one.loss_kind == "held-out"]
    chosen = next(name for name in (decides, *PREFERENCE) if name in held_out)
    nats = _one_text(arms) and arms[0].scored_on != ""
    timed = []
    for arm in arms:
        approach = next(one for one in arm.fit.approaches if one.name == chosen)
        ratio = _bits_per_nat(approach, arm)
        if arm.times is None or ratio is None:
            return None
        noise = 0.0 if nats else arm.bits_se or 0.0
        timed.append(TimedArm(arm.name, arm.times, approach, 1.0 if nats else ratio, noise))
    bits = RESOLUTION["bits_per_byte"]
    if nats:
        return compare_times(timed, "nats per token", level, bits / (arms[0].bits_per_nat or 1.0))
    return compare_times(timed, "bits per byte", level, bits)


def _conventions(arms: Sequence[Arm]) -> str:
    """``x: 6nd, y: appendix_f``: how the arms count C, where that differs; empty where it does not."""
    found = {arm.name: arm.times.convention for arm in arms if arm.times is not None}
    if len(set(found.values())) < 2:
        return ""
    return ", ".join(f"{name}: {value}" for name, value in found.items())


def _count_cautions(arms: Sequence[Arm]) -> Iterator[str]:
    if differently := _conventions(arms):
        yield (
            f"The arms count C differently ({differently}): equal FLOPs are not the same compute in them, and they are "
            "not compared in equal time; set grid.count, grid.count_optimizer and analysis.compute for all alike."
        )


def _deciding(arms: Sequence[Arm], approaches: Sequence[ApproachComparison]) -> str | None:
    """The approach that the verdict is from: 3, or 2 where there is less doubt of it in the worst of its arms.

    Approach 1 decides where the others have no numbers: its points are training losses before the cooldown.
    """
    known = [n for n in PREFERENCE for one in approaches if one.approach == n and _decided(one)]
    every = [approach for arm in arms for approach in arm.fit.approaches]
    return min(known, key=lambda n: max(doubt_of(n, a.flags) for a in every if a.name == n), default=None)


def _decided(found: ApproachComparison) -> bool:
    return all(arm.a is not None and arm.a_interval is not None for arm in found.arms)


def _approach(position: int, arms: Sequence[Arm], flops: float, level: float) -> ApproachComparison:
    approaches = [arm.fit.approaches[position] for arm in arms]
    columns = [_estimates(a, arm, flops) for a, arm in zip(approaches, arms, strict=True)]
    differences = [
        ArmDifferences(
            arm=arm.name,
            by_quantity={
                quantity: difference(
                    columns[0][quantity],
                    column[quantity],
                    level,
                    RESOLUTION[quantity],
                    _document_noise(arms[0], arm) if quantity == "bits_per_byte" else 0.0,
                    logs=quantity.startswith("log_"),
                )
                for quantity in QUANTITIES
            },
        )
        for arm, column in zip(arms[1:], columns[1:], strict=True)
    ]
    differences = _corrected(differences, level)
    return ApproachComparison(
        approach=approaches[0].name,
        arms=tuple(_shown(arm, approach, flops) for arm, approach in zip(arms, approaches, strict=True)),
        differences=tuple(differences),
    )


def _corrected(found: Sequence[ArmDifferences], level: float) -> list[ArmDifferences]:
    """With Holm's correction of each quantity over the arms."""
    by = {name: corrected([one.by_quantity[name] for one in found], level) for name in QUANTITIES}
    return [
        ArmDifferences(arm=one.arm, by_quantity={name: by[name][i] for name in QUANTITIES})
        for i, one in enumerate(found)
    ]


def _document_noise(first: Arm, second: Arm) -> float:
    """Standard error of a difference in bits per byte from which documents were held out: none where they are the same.

    All runs of an arm are scored on the same documents, so no resampling of runs shows it.
    """
    if first.scored_on == second.scored_on:
        return 0.0
    return float(np.hypot(first.bits_se or 0.0, second.bits_se or 0.0))


def _estimates(approach: Approach, arm: Arm, flops: float) -> dict[str, Estimate]:
    """The quantities of one approach in one arm, values and draws."""
    codes = [c for c in approach.flags if is_untrusted(c) or approach.a is None]
    warning = f"{arm.name}: {', '.join(plain(code) for code in dict.fromkeys(codes))}" if codes else ""
    theta, draws = approach.theta(), approach.draws
    if theta is None or approach.a is None:
        return dict.fromkeys(QUANTITIES, Estimate(None, None, warning))
    ratio = _bits_per_nat(approach, arm)
    values = _columns(approach, theta, flops, ratio)
    drawn = None
    if draws is not None and len(draws):
        with np.errstate(all="ignore"):
            drawn = _columns(approach, draws, flops, ratio)
    found = {
        quantity: Estimate(
            float(values[quantity]) if np.isfinite(values[quantity]) else None,
            None if drawn is None else drawn[quantity],
            warning,
        )
        for quantity in QUANTITIES
    }
    if ratio is None:
        found["bits_per_byte"] = Estimate(None, None, warning or _no_bits(approach))
    return found


def _bits_per_nat(approach: Approach, arm: Arm) -> float | None:
    """The ratio for a *held-out* loss; approach 1 has training losses, which are of other text, so none."""
    return arm.bits_per_nat if approach.loss_kind == "held-out" else None


def _no_bits(approach: Approach) -> str:
    if approach.loss_kind == "held-out":
        return "an arm has no bits per byte"
    return f"{approach.name.replace('_', ' ')} has {approach.loss_kind} losses only"


def _columns(approach: Approach, theta: Array, flops: float, bits_per_nat: float | None) -> dict[str, Array]:
    """Each of ``QUANTITIES`` for rows of parameters, shape (..., columns) to (...)."""
    a, b = approach.exponents(theta)
    log_n, log_d, loss = approach.optimum(theta, flops)
    return dict(zip(QUANTITIES, (a, b, log_n, log_d, loss * (bits_per_nat or np.nan)), strict=True))


def _shown(arm: Arm, approach: Approach, flops: float) -> ArmEstimates:
    at, known = approach.predict(flops), approach.a is not None
    return ArmEstimates(
        arm=arm.name,
        status=approach.status,
        a=approach.a,
        b=approach.b,
        params=at.params,
        tokens=at.tokens,
        loss=at.loss,
        loss_kind=approach.loss_kind,
        bits_per_byte=_bits(at.loss, _bits_per_nat(approach, arm)),
        a_interval=approach.a_interval if known else None,
        b_interval=approach.b_interval if known else None,
        params_interval=at.params_interval,
        tokens_interval=at.tokens_interval,
        loss_interval=at.loss_interval,
        bits_per_byte_interval=_bits_interval(at.loss_interval, _bits_per_nat(approach, arm)),
    )


def _bits(loss: float | None, bits_per_nat: float | None) -> float | None:
    """A loss in nats per token as bits per byte."""
    return None if loss is None or bits_per_nat is None else loss * bits_per_nat


def _bits_interval(bounds: Interval | None, bits_per_nat: float | None) -> Interval | None:
    if bounds is None or bits_per_nat is None:
        return None
    return bounds[0] * bits_per_nat, bounds[1] * bits_per_nat


def _facts(arm: Arm) -> ArmFacts:
    return ArmFacts(
        name=arm.name,
        runs=arm.fit.n_points,
        corpus=arm.corpus,
        fingerprint=arm.fingerprint,
        count=arm.fit.count,
        compute=arm.fit.compute,
    )
