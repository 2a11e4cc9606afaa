"""The verdict of a comparison in sentences: whether the exponents differ beyond their intervals."""

from harness.compare.difference import ALIKE, DIFFER, Difference
from harness.compare.results import ApproachComparison, ArmDifferences, FrontierComparison
from harness.fit.bootstrap import bounds_text
from harness.report.text import approach_label

LAWS = {"a": "N* ∝ C^a", "b": "D* ∝ C^b"}


def verdict(found: FrontierComparison) -> tuple[str, ...]:
    """One text for every arm but the first: a and b against the first arm's, and what the other approaches say."""
    deciding = found.deciding
    if deciding is None:
        return ("No approach has exponents with intervals in every arm: whether they differ cannot be told.",)
    return tuple(_arm(found, deciding, differences) for differences in deciding.differences)


def _arm(found: FrontierComparison, deciding: ApproachComparison, differences: ArmDifferences) -> str:
    exponents = [_exponent(deciding, differences, name) for name in LAWS]
    others = [_agreement(other, differences.arm) for other in found.approaches if other is not deciding]
    others.append(_in_equal_time(found, differences.arm))
    return " ".join([f"{approach_label(deciding.approach)}:", *exponents, *(text for text in others if text)])


def _in_equal_time(found: FrontierComparison, arm: str) -> str:
    """At the largest budget of the first arm; empty where times are not known or are of several devices."""
    times = found.equal_time
    if times is None or not times.one_device:
        return ""
    row = max((row for row in times.rows if row.arm == arm), key=lambda row: row.budget)
    beyond = "" if row.within else ", which is beyond its budgets,"
    ratio = row.seconds / row.first_seconds
    return (
        f"At {row.budget:.3g} FLOPs {arm} takes {ratio:.2f} times as long as {times.first}, and "
        f"its loss differs by {signed(row.at_flops)} {times.unit}; in equal time, at {row.flops:.3g} FLOPs{beyond} by "
        f"{signed(row.at_time)}: {judged(row.at_time)}."
    )


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
    return f"{text} ({bounds_text(found.interval, lambda end: f'{end:+.{digits}f}')})"


def _agreement(other: ApproachComparison, arm: str) -> str:
    found = next(d for d in other.differences if d.arm == arm).by_quantity["a"]
    if found.value is None:
        return ""
    return f"{approach_label(other.approach)} puts the difference in a at {signed(found)}."
