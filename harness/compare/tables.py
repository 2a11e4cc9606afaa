"""The verdict of a comparison in plain sentences.

A comparison as tables: exponents and their differences, and the optimum at a common budget.
"""

import math

from harness.compare.results import (
    ALIKE,
    DIFFER,
    UNKNOWN,
    ApproachComparison,
    ArmDifferences,
    ArmEstimates,
    Comparison,
    Difference,
)
from harness.report.table import Table
from harness.report.text import (
    approach_label,
    counted,
    fixed,
    interval,
    plain_status,
    power,
    ratio,
    with_interval,
)

LAWS = {"a": "N* ∝ C^a", "b": "D* ∝ C^b"}


def verdict(found: Comparison) -> tuple[str, ...]:
    """One text for every arm but the first: a and b against the first arm's, and what the other approaches say."""
    deciding = found.deciding
    if deciding is None:
        return ("No approach has exponents with intervals in every arm: whether they differ cannot be told.",)
    return tuple(_arm(found, deciding, differences) for differences in deciding.differences)


def _arm(found: Comparison, deciding: ApproachComparison, differences: ArmDifferences) -> str:
    told = [_exponent(deciding, differences, name) for name in LAWS]
    others = [_agreement(other, differences.arm) for other in found.approaches if other is not deciding]
    return " ".join([f"{approach_label(deciding.approach)}:", *told, *(text for text in others if text)])


def _exponent(deciding: ApproachComparison, differences: ArmDifferences, name: str) -> str:
    """``N* ∝ C^a: a is 0.61 in fixed against 0.54 in matched, +0.07 (+0.02 to +0.12): they differ beyond …``"""
    first = deciding.arms[0]
    second = next(arm for arm in deciding.arms if arm.arm == differences.arm)
    one, two = getattr(first, name), getattr(second, name)
    found = differences.by_quantity[name]
    return (
        f"{LAWS[name]}: {name} is {two:.3f} in {second.arm} against {one:.3f} in {first.arm}, "
        f"{signed(found)}: {judged(found)}."
    )


def judged(found: Difference) -> str:
    """What a difference's verdict means."""
    if found.verdict == DIFFER:
        return "they differ beyond their intervals"
    if found.verdict == ALIKE and found.interval is not None:
        reach = max(-found.interval[0], found.interval[1])
        return f"they do not differ beyond their intervals (nor would a difference of less than {reach:.2g} have shown)"
    return f"whether they differ cannot be told ({found.reason})"


def signed(found: Difference, digits: int = 3) -> str:
    """``+0.071 (+0.020 to +0.122)``."""
    if found.value is None:
        return "–"
    text = f"{found.value:+.{digits}f}"
    if found.interval is None:
        return text
    return f"{text} ({found.interval[0]:+.{digits}f} to {found.interval[1]:+.{digits}f})"


def _agreement(other: ApproachComparison, arm: str) -> str:
    found = next(d for d in other.differences if d.arm == arm).by_quantity["a"]
    if found.value is None:
        return ""
    return f"{approach_label(other.approach)} puts the difference in a at {signed(found)}."


# Whether a difference goes beyond its interval, for a narrow column.
BEYOND = {DIFFER: "yes", ALIKE: "no", UNKNOWN: "unclear"}


def build(found: Comparison) -> tuple[Table, Table]:
    """Both tables."""
    return _exponents(found), _optimum(found)


def _exponents(found: Comparison) -> Table:
    rows = [
        (
            approach_label(approach.approach),
            arm.arm,
            with_interval(fixed(arm.a, 3), interval(arm.a_interval, "fixed")),
            with_interval(fixed(arm.b, 3), interval(arm.b_interval, "fixed")),
            *_exponent_difference(next((d for d in approach.differences if d.arm == arm.arm), None)),
            plain_status(arm.status),
        )
        for approach in found.approaches
        for arm in approach.arms
    ]
    return Table(
        "exponents",
        "Exponents: N* ∝ C^a, D* ∝ C^b",
        (
            "approach",
            "arm",
            "a",
            "b",
            "difference in a",
            "beyond interval",
            "difference in b",
            "beyond interval",
            "status",
        ),
        tuple(rows),
        left=("approach", "arm", "beyond interval", "status"),
        note=f"{found.level:.0%} bootstrap intervals. A difference is from the first arm; its interval is that of two "
        "independent bootstraps. Arms that share corpus and seeds share some of their luck, so for them it is too "
        "long rather than too short. It covers the runs' scatter, not what a wrong form or recipe does to both.",
    )


def _optimum(found: Comparison) -> Table:
    rows = [
        (
            approach_label(approach.approach),
            arm.arm,
            with_interval(counted(arm.params), interval(arm.params_interval)),
            with_interval(counted(arm.tokens), interval(arm.tokens_interval)),
            _per_param(arm),
            with_interval(fixed(arm.bits_per_byte, 3), interval(arm.bits_per_byte_interval, "fixed")),
            *_optimum_difference(next((d for d in approach.differences if d.arm == arm.arm), None)),
        )
        for approach in found.approaches
        for arm in approach.arms
    ]
    corpora = dict.fromkeys(arm.fingerprint for arm in found.arms)
    note = "Ratios and differences are to the first arm."
    if len(corpora) > 1:
        note += (
            " Corpora differ: fewer bits per byte say that a text is easier, not that a model is better. An arm's own "
            "interval is for its held-out documents; that of a difference also holds which documents these are."
        )
    return Table(
        "optimum",
        f"The optimum at C = {power(found.flops)} FLOPs, the largest budget within every arm's runs",
        (
            "approach",
            "arm",
            "N*",
            "D*",
            "D*/N*",
            "bits per byte",
            "ratio of N*",
            "ratio of D*",
            "more bits per byte",
        ),
        tuple(rows),
        left=("approach", "arm"),
        note=note,
    )


def _exponent_difference(found: ArmDifferences | None) -> tuple[str, ...]:
    if found is None:
        return ("", "", "", "")
    a, b = found.by_quantity["a"], found.by_quantity["b"]
    return signed(a), BEYOND[a.verdict], signed(b), BEYOND[b.verdict]


def _optimum_difference(found: ArmDifferences | None) -> tuple[str, ...]:
    if found is None:
        return ("", "", "")
    by = found.by_quantity
    return _times(by["log_params"]), _times(by["log_tokens"]), signed(by["bits_per_byte"])


def _times(found: Difference) -> str:
    """A difference of logs as a ratio."""
    if found.value is None:
        return "–"
    text = f"{math.exp(found.value):.2f}"
    bounds = found.interval
    return with_interval(
        text, "" if bounds is None else f"{math.exp(bounds[0]):.2f} to {math.exp(bounds[1]):.2f}"
    )


def _per_param(arm: ArmEstimates) -> str:
    return ratio(arm.tokens / arm.params) if arm.tokens and arm.params else "–"
