"""The verdict of a comparison in sentences: whether the exponents differ beyond their intervals, and how N* moves."""

import math

from harness.compare.difference import ALIKE, DIFFER, Difference
from harness.compare.results import ApproachComparison, ArmDifferences, FrontierComparison
from harness.fit.bootstrap import BEYOND_NUMBERS, bounds_text
from harness.report.text import approach_label, power

LAWS = {"a": "N* ∝ C^a", "b": "D* ∝ C^b"}


def verdict(found: FrontierComparison) -> tuple[str, ...]:
    """A text for every arm but the first: a, b and N* against the first arm's, and what the other approaches say.

    Then one for each of these arms on what it saves.
    """
    deciding = found.deciding
    saved = tuple(one.verdict for one in found.savings)
    if deciding is None:
        untold = "No approach has exponents with intervals in every arm: whether they differ cannot be told."
        return (untold, *saved)
    return (*(_arm(found, deciding, differences) for differences in deciding.differences), *saved)


def _arm(found: FrontierComparison, deciding: ApproachComparison, differences: ArmDifferences) -> str:
    exponents = [_exponent(deciding, differences, name) for name in LAWS]
    moved = _moved(found, deciding, differences)
    others = [_agreement(other, differences.arm) for other in found.approaches if other is not deciding]
    others.append(_in_equal_time(found, differences.arm))
    return " ".join([f"{_named(deciding)}:", *exponents, moved, *(text for text in others if text)])


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


def _moved(found: FrontierComparison, deciding: ApproachComparison, differences: ArmDifferences) -> str:
    """``N* at C = 1e+12 FLOPs is 1.27 (1.05 to 1.52) times that of adamw in muon: they differ beyond …``"""
    ratio = differences.by_quantity["log_params"]
    first = deciding.arms[0].arm
    return (
        f"N* at C = {power(found.flops)} FLOPs is {times(ratio)} times that of {first} in {differences.arm}: "
        f"{judged(ratio, logs=True)}."
    )


def judged(found: Difference, logs: bool = False) -> str:
    """What a difference's verdict means; of ``logs`` it is that of a ratio."""
    if found.verdict == DIFFER:
        return "they differ beyond their intervals"
    if found.verdict == ALIKE and found.interval is not None:
        reach = max(-found.interval[0], found.interval[1])
        least = (
            f"ratio of less than {math.exp(reach):.2f}" if logs else f"difference of less than {reach:.2g}"
        )
        return f"they do not differ beyond their intervals (nor would a {least} have shown)"
    return f"whether they differ cannot be told ({found.reason})"


def times(found: Difference) -> str:
    """A difference of logs as a ratio: ``1.27 (1.05 to 1.52)``."""
    if found.value is None:
        return "–"
    text = f"{math.exp(found.value):.2f}"
    if found.interval is None:
        return text
    low, high = (math.exp(end) if end < math.log(BEYOND_NUMBERS) else math.inf for end in found.interval)
    return f"{text} ({bounds_text((low, high), lambda end: f'{end:.2f}')})"


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
    return f"{_named(other)} puts the difference in a at {signed(found)}."


def _named(one: ApproachComparison) -> str:
    """``Approach 3 (do not use: misfit in adamw)``; without brackets where nothing speaks against it."""
    label = approach_label(one.approach)
    return f"{label} ({one.doubted})" if one.doubted else label
