"""Figures of ``isoflop predict``: over-training at one loss, and the best models of a time on a device."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.predict.fixed_time import TimedOptimum
from harness.predict.result import PredictResult
from harness.report.figures.fixed_time import draw_rows
from harness.report.style import BLUE, GREY, ORANGE, RED, figure_style
from harness.text import count

FORMATS = (".png", ".pdf", ".svg")


def draw_overtraining(report: PredictResult, file: Path) -> Path:
    """Draws the over-training table of ``report`` into ``file``.

    Raises:
        UserError: the format is unknown, or the folder cannot be written.
    """
    _check(file)
    with figure_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9), layout="constrained")
        _cost(left, report)
        _volume(right, report)
        served = report.serving
        if served is not None:
            figure.suptitle(
                f"One loss ({served.loss:.3f} nats per token), smaller models, more tokens", fontsize=9.5
            )
        return _saved(figure, file)


def draw_fixed_time(report: PredictResult, curve: Sequence[TimedOptimum], file: Path) -> Path:
    """Draws loss and size of the best models of a time into ``file``, beside the compute-optimal ones of as long.

    Raises:
        UserError: the format is unknown, or the folder cannot be written.
    """
    _check(file)
    cost, asked = report.cost, report.timed
    assert cost is not None, "the report has the cost of a training"
    assert asked is not None, "the report has the best model of a time"
    price = None if cost.dollars is None or not cost.gpu_hours else cost.dollars / cost.gpu_hours
    with figure_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
        device = cost.device + " (assumed)" * cost.assumed
        unit = draw_rows((left, right), [row.seconds * cost.gpus for row in curve], curve, device, price)
        for axes in (left, right):
            axes.axvline(asked.seconds * cost.gpus / unit, color=GREY, ls=":", lw=1)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        level = f", {asked.level:.0%} bands of the law" if asked.loss_interval is not None else ""
        figure.suptitle(f"The best model of a fixed time on {cost.device}{level}", fontsize=9.5)
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


def _cost(axes: Axes, report: PredictResult) -> None:
    """Training FLOPs and FLOPs of a served token, both relative to the compute-optimal model's."""
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
        axes.axvline(report.most_smaller, color=GREY, ls=":", lw=1, label="loss unreachable beyond")
    axes.set(yscale="log", ylabel="FLOPs, compute-optimal = 1")
    axes.set_title("cost (numbers: tokens per parameter)")
    _smaller(axes, smaller)
    axes.legend()


def _volume(axes: Axes, report: PredictResult) -> None:
    """The number of served tokens from which each model is cheaper in all."""
    rows = [row for row in report.overtraining if row.break_even_tokens]
    smaller = [row.smaller for row in rows]
    volume = [row.break_even_tokens or 0.0 for row in rows]
    axes.plot(smaller, volume, "o-", color=ORANGE, label="break-even")
    if report.serving is not None and report.serving.inference_tokens > 0:
        tokens = report.serving.inference_tokens
        axes.axhline(tokens, color=GREY, ls="--", lw=1, label=f"requested: {count(tokens)} tokens")
    axes.set(yscale="log", ylabel="tokens served")
    axes.set_title("break-even volume")
    _smaller(axes, smaller)
    axes.legend()


def _smaller(axes: Axes, factors: list[float]) -> None:
    axes.set(xscale="log", xlabel="times smaller than compute-optimal")
    axes.set_xticks(factors, [f"{factor:.3g}" for factor in factors])
    axes.minorticks_off()
