"""A comparison as tables: exponents and their differences, and the optimum at a common budget."""

from harness.compare.results import ArmDifferences, ArmEstimates, EqualTime, FrontierComparison
from harness.compare.saving_tables import BEYOND, holm_note, paired_table, saving_table
from harness.compare.verdict import signed, times
from harness.fit.estimate import marked
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
from harness.text import duration


def build(found: FrontierComparison) -> tuple[Table, ...]:
    """Exponents, the optimum, paired differences, savings, and, where times are known, the arms in equal time."""
    shown = [_exponents(found), _optimum(found)]
    if any(arm.budgets for arm in found.paired):
        shown.append(paired_table(found))
    if any(arm.rows for arm in found.savings):
        shown.append(saving_table(found))
    if found.equal_time is not None:
        shown.append(_equal_time(found, found.equal_time))
    return tuple(shown)


def _equal_time(found: FrontierComparison, times: EqualTime) -> Table:
    rows = [
        (
            row.arm,
            power(row.budget),
            _seconds(row.first_seconds),
            _if(_seconds(row.seconds), not row.measured),
            f"{row.seconds / row.first_seconds:.2f}",
            signed(row.at_flops),
            BEYOND[row.at_flops.verdict],
            _if(power(row.flops, 3), not row.within),
            signed(row.at_time),
            BEYOND[row.at_time.verdict],
        )
        for row in times.rows
    ]
    if times.one_device:
        device = next(device for devices in times.devices.values() for device in devices)
        where = f"All on {device}."
    else:
        listed = "; ".join(f"{arm}: {' and '.join(devices)}" for arm, devices in times.devices.items())
        where = f"The times are of different devices ({listed}), so they are not the arms' own."
    outside = (
        f" {OUTSIDE} beyond the arm's budgets: time in proportion to C, loss extrapolated."
        if not all(row.within and row.measured for row in times.rows)
        else ""
    )
    return Table(
        "equal_time",
        f"In the time that {times.first} takes, beside equal FLOPs",
        (
            "arm",
            "C",
            f"time, {times.first}",
            "time",
            "ratio",
            "more loss at C",
            "beyond interval",
            "C′ in equal time",
            "more loss in equal time",
            "beyond interval",
        ),
        tuple(rows),
        left=("arm", "beyond interval"),
        note=f"Loss in {times.unit}, read off each arm's frontier by {approach_label(times.approach).lower()}, with "
        f"{found.level:.0%} intervals from both arms' draws. A time is that of a budget's best cell, its tokens at "
        "the median speed of its runs, without start, compilation and evaluation, and has no interval: runs that "
        f"shared a device or a busy machine took longer than the arm needs. {where}{outside}",
    )


def _seconds(seconds: float) -> str:
    return duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"


OUTSIDE = "*"


def _if(text: str, outside: bool) -> str:
    """``text``, with a mark where it is extrapolated."""
    return f"{text}{OUTSIDE}" if outside else text


def _exponents(found: FrontierComparison) -> Table:
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
        "independent bootstraps. Arms that share corpus and seeds share some of their noise, so for them it is too "
        "long rather than too short. It covers the runs' scatter, not what a wrong form or recipe does to both."
        + (f" {holm_note('arms')}" if len(found.arms) > 2 else ""),
    )


def _optimum(found: FrontierComparison) -> Table:
    bits = any(arm.bits_per_byte is not None for approach in found.approaches for arm in approach.arms)
    rows = [
        (
            approach_label(approach.approach),
            arm.arm,
            with_interval(counted(arm.params), interval(arm.params_interval)),
            with_interval(counted(arm.tokens), interval(arm.tokens_interval)),
            _per_param(arm),
            *_loss(arm, bits),
            *_optimum_difference(next((d for d in approach.differences if d.arm == arm.arm), None), bits),
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
    if not bits:
        note += (
            " The loss, in nats per token, is not subtracted: fits alone have no bits per byte, and losses per token "
            "are alike only for the same text and tokenizer."
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
            "bits per byte" if bits else "loss",
            "ratio of N*",
            "ratio of D*",
            *(("more bits per byte",) if bits else ()),
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


def _loss(arm: ArmEstimates, bits: bool) -> tuple[str]:
    if bits:
        return (with_interval(fixed(arm.bits_per_byte, 3), interval(arm.bits_per_byte_interval, "fixed")),)
    shown = with_interval(fixed(arm.loss, 4), interval(arm.loss_interval, "fixed"))
    return (marked(shown, arm.loss_kind),)


def _optimum_difference(found: ArmDifferences | None, bits: bool) -> tuple[str, ...]:
    if found is None:
        return ("", "", "") if bits else ("", "")
    by = found.by_quantity
    ratios = times(by["log_params"]), times(by["log_tokens"])
    return (*ratios, signed(by["bits_per_byte"])) if bits else ratios


def _per_param(arm: ArmEstimates) -> str:
    return ratio(arm.tokens / arm.params) if arm.tokens and arm.params else "–"
