"""Savings and paired differences in words and tables."""

import math
from collections.abc import Sequence

from harness.compare.difference import ALIKE, DIFFER, UNKNOWN, Difference
from harness.compare.results import ArmSaving, FrontierComparison, PairedArm
from harness.compare.verdict import signed, times
from harness.fit.bootstrap import bounds_text
from harness.report.table import Table
from harness.report.text import power

BEYOND = {DIFFER: "yes", ALIKE: "no", UNKNOWN: "unclear"}


def saving_text(first: str, found: ArmSaving, paired: bool) -> str:
    """``muon saves 1.31 (1.12 to 1.55) times the compute at 10¹² FLOPs: …``, or that this cannot be told, and why."""
    row = found.judged
    assert row is not None, "there are rows"
    ratio = row.log_ratio
    where = f"at C = {power(row.flops)} FLOPs" + ("" if row.within else " (an extrapolation)")
    if ratio.verdict == DIFFER and ratio.value is not None:
        does = "saves" if ratio.value > 0 else "costs"
        text = f"{found.arm} {does} compute: for its loss {where} {first} needs {times(ratio)} times as much"
    elif ratio.verdict == ALIKE and ratio.interval is not None:
        reach = math.exp(max(-ratio.interval[0], ratio.interval[1]))
        text = f"{found.arm} has no saving or cost beyond a factor of {reach:.2f} {where}: {times(ratio)}"
    else:
        text = (
            f"Whether {found.arm} saves compute cannot be told {where}: {first} needs {times(ratio)} times as much "
            f"for its loss ({ratio.reason})"
        )
        if found.more_seeds is not None:
            seeds = "1 more seed" if found.more_seeds == 1 else f"{found.more_seeds} more seeds"
            text += f"; {seeds} a cell would show the saving seen with a power of 80%, if it is the true one"
        elif paired and row.how == "pairs":
            text += "; no number of seeds below a hundred would show what is seen here"
    return f"{text}.{_trend(found)}"


def _trend(found: ArmSaving) -> str:
    if found.trend is None or found.trend.value is None:
        return ""
    saves = found.judged is not None and (found.judged.log_ratio.value or 0.0) > 0
    said, factor = trend_words(found.trend, saves), tenfold(found.trend)
    return f" For ten times the compute the ratio changes by a factor of {factor}: {said}."


def trend_words(trend: Difference, saves: bool) -> str:
    """Whether the saving, or the cost, grows or shrinks with scale.

    Args:
        saves: the ratio is above 1.
    """
    if trend.verdict == DIFFER and trend.value is not None:
        what = "saving" if saves else "cost"
        return f"the {what} {'grows' if (trend.value > 0) == saves else 'shrinks'} with scale"
    return "no change beyond the interval" if trend.verdict == ALIKE else "whether it changes cannot be told"


def tenfold(trend: Difference) -> str:
    """A slope in ln C as the factor for ten times the compute, with its interval."""
    if trend.value is None:
        return "–"
    text = f"{10**trend.value:.2f}"
    if trend.interval is None:
        return text
    low, high = (10 ** min(end, 100.0) for end in trend.interval)
    return f"{text} ({bounds_text((low, high if high < 1e99 else math.inf), lambda end: f'{end:.2f}')})"


def paired_table(found: FrontierComparison) -> Table:
    """Paired differences by budget and over all budgets."""
    rows = []
    for arm in found.paired:
        for row in arm.budgets:
            rows.append(
                (
                    arm.arm,
                    power(row.budget),
                    str(row.cells),
                    str(row.pairs),
                    signed(row.mean, 4),
                    BEYOND[row.mean.verdict],
                    "–" if row.at_minimum is None else signed(row.at_minimum, 4),
                    "–" if row.at_minimum is None else BEYOND[row.at_minimum.verdict],
                    times(row.log_params),
                )
            )
        if arm.overall is not None:
            cells, pairs = (sum(getattr(row, name) for row in arm.budgets) for name in ("cells", "pairs"))
            rows.append(
                (
                    arm.arm,
                    "all",
                    str(cells),
                    str(pairs),
                    signed(arm.overall, 4),
                    BEYOND[arm.overall.verdict],
                    "",
                    "",
                    "",
                )
            )
    return Table(
        "paired",
        f"Paired differences of loss from {found.arms[0].name}, runs of one budget, shape and seed",
        ("arm", "C", "cells", "pairs", "mean", "beyond interval", "at the minimum", "beyond", "ratio of N*"),
        tuple(rows),
        left=("arm", "beyond interval", "beyond"),
        note=" ".join((_paired_note(found), *map(_noise_note, found.paired))),
    )


def _paired_note(found: FrontierComparison) -> str:
    units = dict.fromkeys(arm.unit for arm in found.paired if arm.budgets)
    if len(units) == 1:
        (unit,) = units
    else:
        named = (f"{one} ({', '.join(arm.arm for arm in found.paired if arm.unit == one)})" for one in units)
        unit = " and ".join(named)
    easier = (
        " Bits per byte are of different texts: part of a difference is which is easier, and the intervals hold "
        "which documents were held out."
        if "bits per byte" in units
        else ""
    )
    return (
        f"In {unit}, with Student's {found.level:.0%} intervals. The mean is over a budget's cells, a cell being the "
        "mean of its pairs; its interval is from their scatter, so it holds noise and how the difference varies with "
        "the shape. Over all, budgets count alike. At the minimum: by one regression of all cells on ln N, midway "
        "between both arms' N*, with the scatter of all budgets. N* by approach 2's profiles. "
        f"{holm_note('paired differences')}{easier}"
    )


def holm_note(what: str) -> str:
    """How 'beyond interval' was corrected."""
    return f"What is beyond its interval is corrected for the number of {what} (Holm); the intervals are not."


def _noise_note(arm: PairedArm) -> str:
    if arm.reason:
        return f"{arm.arm}: no pairs, for {arm.reason}."
    if arm.noise is None:
        return f"{arm.arm}: one seed a cell, so noise and shapes cannot be told apart."
    text = f"{arm.arm}: from seed to seed a pair's difference varies by {arm.noise:.4f}"
    if arm.correlation is None or arm.correlation_interval is None:
        return f"{text}; for a correlation there are too few common seeds."
    bounds = f" ({arm.correlation_interval[0]:.2f} to {arm.correlation_interval[1]:.2f})"
    gain = (
        f"pairing by seed makes the noise {math.sqrt(max(1 - arm.correlation, 0.0)):.2f} times what it is without"
        if arm.correlation_interval[0] > 0
        else "pairing by seed gains nothing that shows; pairing by cell does"
    )
    return f"{text}; the noise of one seed in both arms correlates by {arm.correlation:.2f}{bounds}: {gain}."


def saving_table(found: FrontierComparison) -> Table:
    """Effective compute by arm and C."""
    timed = any(row.log_seconds is not None for arm in found.savings for row in arm.rows)
    rows: list[tuple[str, ...]] = []
    for arm in found.savings:
        for row in arm.rows:
            cells = (
                arm.arm,
                power(row.flops) + ("" if row.within else "*"),
                times(row.log_ratio),
                BEYOND[row.log_ratio.verdict],
                "–" if row.log_ratio.p is None else f"{row.log_ratio.p:.2g}",
                row.how,
            )
            rows.append(
                (*cells, "–" if row.log_seconds is None else times(row.log_seconds)) if timed else cells
            )
    return Table(
        "saving",
        f"Effective compute: what {found.arms[0].name} needs for the loss that an arm reaches with C, over C",
        ("arm", "C", "ratio", "beyond interval", "p", "by", *(("ratio of time",) if timed else ())),
        tuple(rows),
        left=("arm", "beyond interval", "by"),
        note=_saving_note(found, timed, [row.how for arm in found.savings for row in arm.rows]),
    )


def _saving_note(found: FrontierComparison, timed: bool, how: Sequence[str]) -> str:
    parts = [f"Above 1 the arm saves compute; {found.level:.0%} intervals."]
    first = found.arms[0].name
    if "pairs" in how:
        parts.append(
            f"By pairs: the difference at the minimum, carried along the frontier of {first} with its draws; where it "
            "has none, along a straight line of the best losses in ln C."
        )
    if "trend" in how:
        parts.append("By trend: the line through the ratios of pairs, ln ratio in ln C.")
    if "frontiers" in how:
        parts.append(
            "By frontiers: draws of both, independent of each other, so for arms that share noise the interval is too "
            "long; what another form of the law would say is not in it."
        )
    if any(not arm.fingerprint for arm in found.arms):
        parts.append("That the losses of fits alone are of one text and tokenizer is taken for granted.")
    if timed:
        parts.append(
            f"Times are of one device, so money is in the same ratio: at C, as measured, and more of {first}'s in "
            "proportion to C; they have no interval of their own."
        )
    if any(not row.within for arm in found.savings for row in arm.rows):
        parts.append("* beyond the runs: an extrapolation, and no part of the number corrected for.")
    if found.joint:
        parts.append(found.joint)
    parts.append(holm_note("savings"))
    return " ".join(parts)
