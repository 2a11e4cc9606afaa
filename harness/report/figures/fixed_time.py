"""What a fixed time on a device is best spent on: loss and size against hours and dollars.

Figures of ``predict``: what smaller models of the same loss cost, and what more hours or dollars bring.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.fit.estimate import FrontierSource
from harness.predict.fixed_time import TimedOptimum, answer_time, within_ladder
from harness.predict.result import PredictResult
from harness.predict.source import choose, from_fit
from harness.report.devices import Device
from harness.report.material import Material, MissingError
from harness.report.style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    figure_style,
    log_counts,
    log_plain,
    panels,
    top_scale,
)
from harness.text import count

TIMES = 48
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
SEVERAL = 2  # of a unit, in the longest time: else a smaller one is easier to read


def draw_fixed_time(material: Material) -> Figure:
    """From the time of the smallest budget's compute-optimal model to that of the target's."""
    source, device = source_and_device(material)
    fit = material.fit
    first, measured, last = (
        seconds_of(source, device, flops)
        for flops in (fit.smallest_flops, fit.largest_flops, material.target)
    )
    rows = timed(source, device, np.geomspace(first, max(measured, last), TIMES))
    if len(rows) < 2:
        raise MissingError("the best models of such times are not within the ladder's sizes")
    figure, axes = panels(2, width=4.5, height=3.7)
    start, end = rows[0].seconds, rows[-1].seconds
    unit = draw_rows((axes[0], axes[1]), [row.seconds for row in rows], rows, device.label, device.price)
    for each in axes:
        each.set_xlim(start / unit, end / unit)
        if measured > start:
            covered = max(first, start) / unit, min(measured, end) / unit
            each.axvspan(*covered, color=GREY, alpha=0.07, linewidth=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def more(material: Material) -> str:
    """What the caption says besides: whose times these are."""
    return f" {material.devices[0].said}."


def draw_rows(
    axes: tuple[Axes, Axes],
    seconds: Sequence[float],
    rows: Sequence[TimedOptimum],
    device: str,
    price: float | None,
) -> float:
    """Left the loss, right the size of the best models and of the compute-optimal ones, against their time.

    Args:
        seconds: of the device, or of all devices together, ascending.
        device: its label.
        price: dollars an hour, for a second axis; None draws none.

    Returns:
        Seconds in one unit of the axis.
    """
    name, unit = next((one for one in UNITS if seconds[-1] >= SEVERAL * one[1]), UNITS[-1])
    times = [value / unit for value in seconds]
    for each, quantity in zip(axes, ("loss", "params"), strict=True):
        best, plain = ([getattr(row, stem + quantity) for row in rows] for stem in ("", "plain_"))
        low, high = _bounds(getattr(row, f"{quantity}_interval") for row in rows)
        each.fill_between(times, low, high, color=BLUE, alpha=0.18, linewidth=0)
        each.plot(times, best, color=BLUE, linewidth=1.7, label="best model of the time")
        each.plot(times, plain, "--", color=RED, linewidth=1.3, label="compute-optimal, takes as long")
        each.set_xlabel(f"{name} on {device}")
        log_plain(each, "x")
        if price is not None:
            top_scale(each, price * unit / 3600, "dollars")
    axes[0].set_ylabel("loss (nats per token)")
    axes[1].set_ylabel("parameters N")
    log_counts(axes[1], "y")
    return unit


def _bounds(intervals: Iterable[tuple[float, float] | None]) -> tuple[list[float], list[float]]:
    """Both ends of each, NaN where there is no interval or it is not bounded."""
    open_ended = (np.nan, np.nan)
    kept = [one if one is not None and 0 < one[0] <= one[1] < np.inf else open_ended for one in intervals]
    return [low for low, _ in kept], [high for _, high in kept]


def source_and_device(material: Material) -> tuple[FrontierSource, Device]:
    """What is asked, and for which device: the sweep's own, where that is known.

    Raises:
        MissingError: there is no L(N, D), or no device.
    """
    law = material.fit.approach_3
    if law.theta() is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    if not material.devices:
        raise MissingError(
            "how long such runs take is not known: there are no rules of a sweep, or of models that are counted here, "
            "and the default ladder has not their sizes"
        )
    return choose(from_fit(material.fit), law.name)[1], material.devices[0]


def seconds_of(source: FrontierSource, device: Device, flops: float) -> float:
    """How long the compute-optimal model of a budget trains."""
    assert source.frontier is not None, "it was chosen for having one"
    best = source.frontier.at_flops(flops)
    return float(device.clock.seconds(best.params, best.tokens))


def timed(source: FrontierSource, device: Device, seconds: Iterable[float]) -> tuple[TimedOptimum, ...]:
    """The best models of these times; where nothing is trained, or the ladder ends, there is none."""
    found = []
    for time in seconds:
        try:
            found.append(answer_time(source, device.clock, float(time)))
        except UserError:
            continue
    return within_ladder(found, device.clock)


FORMATS = (".png", ".pdf", ".svg")


def draw_answer(report: PredictResult, file: Path) -> Path:
    """Draws the over-training table of ``report`` into ``file``.

    Raises:
        UserError: the format is unknown, or the folder cannot be written.
    """
    _check(file)
    with figure_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9), layout="constrained")
        _price(left, report)
        _volume(right, report)
        served = report.serving
        if served is not None:
            figure.suptitle(
                f"One loss ({served.loss:.3f} nats per token), smaller models, more tokens", fontsize=9.5
            )
        return _saved(figure, file)


def draw_fixed_time_answer(report: PredictResult, curve: Sequence[TimedOptimum], file: Path) -> Path:
    """Draws loss and size of the best models of a time into ``file``, beside the compute-optimal ones of as long.

    Raises:
        UserError: the format is unknown, or the folder cannot be written.
    """
    _check(file)
    bill, asked = report.cost, report.timed
    assert bill is not None, "the report has what a training takes"
    assert asked is not None, "the report has the best model of a time"
    price = None if bill.dollars is None or not bill.gpu_hours else bill.dollars / bill.gpu_hours
    with figure_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
        device = bill.device + " (assumed)" * bill.assumed
        unit = draw_rows((left, right), [row.seconds * bill.gpus for row in curve], curve, device, price)
        for axes in (left, right):
            axes.axvline(asked.seconds * bill.gpus / unit, color=GREY, ls=":", lw=1)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        level = f", {asked.level:.0%} bands of the law" if asked.loss_interval is not None else ""
        figure.suptitle(f"What a time on {bill.device} is best spent on{level}", fontsize=9.5)
        return _saved(figure, file)


def _check(file: Path) -> None:
    if file.suffix not in FORMATS:
        raise UserError(f"figure: {file} must end in one of {', '.join(FORMATS)}")


def _saved(figure: Figure, file: Path) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)
    except OSError as error:
        raise UserError(f"figure: {file} cannot be written ({error.strerror})") from None
    finally:
        plt.close(figure)
    return file


def _price(axes: Axes, report: PredictResult) -> None:
    """What it costs to make and what it costs to serve, each over the compute-optimal model's."""
    rows = [row for row in report.overtraining if row.extra_training is not None]
    smaller = [row.smaller for row in rows]
    training = [1 + (row.extra_training or 0.0) for row in rows]
    axes.plot(smaller, training, "o-", color=RED, label="training")
    axes.plot(
        smaller, [1 - (row.inference_saved or 0.0) for row in rows], "s-", color=BLUE, label="a served token"
    )
    for row, height in zip(rows, training, strict=True):
        if row.tokens_per_param is not None:
            label = f"{row.tokens_per_param:,.0f}"
            axes.annotate(
                label, (row.smaller, height), (0, 5), textcoords="offset points", ha="center", fontsize=6.5
            )
    if report.most_smaller is not None:
        axes.axvline(report.most_smaller, color=GREY, ls=":", lw=1, label="out of reach beyond")
    axes.set(yscale="log", ylabel="FLOPs, compute-optimal = 1")
    axes.set_title("price (numbers: tokens per parameter)")
    _smaller(axes, smaller)
    axes.legend()


def _volume(axes: Axes, report: PredictResult) -> None:
    """From which volume each pays."""
    rows = [row for row in report.overtraining if row.break_even_tokens]
    smaller = [row.smaller for row in rows]
    volume = [row.break_even_tokens or 0.0 for row in rows]
    axes.plot(smaller, volume, "o-", color=ORANGE, label="break-even")
    if report.serving is not None and report.serving.inference_tokens > 0:
        tokens = report.serving.inference_tokens
        axes.axhline(tokens, color=GREY, ls="--", lw=1, label=f"asked: {count(tokens)} tokens")
    axes.set(yscale="log", ylabel="tokens served")
    axes.set_title("volume from which it pays")
    _smaller(axes, smaller)
    axes.legend()


def _smaller(axes: Axes, factors: list[float]) -> None:
    axes.set(xscale="log", xlabel="times smaller than compute-optimal")
    axes.set_xticks(factors, [f"{factor:.3g}" for factor in factors])
    axes.minorticks_off()
