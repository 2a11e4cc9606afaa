"""Figures of ``isoflop predict``: over-training at one loss, and the best models of a time on a device."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.predict.fixed_time import TimedOptimum
from harness.predict.result import PredictResult
from harness.report.axes import log_counts, log_plain
from harness.report.figures.fixed_time import draw_rows
from harness.report.keys import key_below
from harness.report.saving import ENDINGS, save_as
from harness.report.style import BLUE, GREY, ORANGE, RED, figure_style, panels
from harness.report.style_names import DEFAULT
from harness.text import count

MARGIN = 1.15  # of the factors beyond the smallest and the largest


def draw_overtraining(report: PredictResult, file: Path, style: str = DEFAULT) -> Path:
    """Draws the over-training table of ``report`` into ``file``.

    Args:
        style: one of :data:`harness.report.styles.STYLES`.

    Raises:
        UserError: the format is unknown, the folder cannot be written, or no model of the table reaches the loss.
    """
    _check(file)
    if all(row.extra_training is None for row in report.overtraining):
        beyond = f" below {report.most_smaller:.3g}" if report.most_smaller else ""
        raise UserError(
            f"figure: no model of this table reaches the loss; name factors{beyond} in smaller=[…]"
        )
    with figure_style(style):
        figure, (left, right) = panels(2, width=3.7, height=2.9)
        _cost(left, report)
        _volume(right, report)
        factors = [row.smaller for row in report.overtraining] + [report.most_smaller or 1.0]
        for axes in (left, right):
            log_plain(axes, "x")
            axes.set(xlabel="times smaller than compute-optimal")
            axes.set_xlim(min(factors) / MARGIN, max(factors) * MARGIN)
        if report.serving is not None:
            left.set_title(f"Loss {report.serving.loss:.3f}; numbers: tokens per parameter")
        key_below(figure)
        return _saved(figure, file)


def draw_fixed_time(
    report: PredictResult, curve: Sequence[TimedOptimum], file: Path, style: str = DEFAULT
) -> Path:
    """Draws loss and size of the best models of a time into ``file``, beside the compute-optimal ones of as long.

    Args:
        style: one of :data:`harness.report.styles.STYLES`.

    Raises:
        UserError: the format is unknown, or the folder cannot be written.
    """
    _check(file)
    cost, asked = report.cost, report.timed
    assert cost is not None, "the report has the cost of a training"
    assert asked is not None, "the report has the best model of a time"
    price = None if cost.dollars is None or not cost.gpu_hours else cost.dollars / cost.gpu_hours
    with figure_style(style):
        figure, (left, right) = panels(2, width=3.7, height=3.1)
        device = cost.device + " (assumed)" * cost.assumed
        unit = draw_rows((left, right), [row.seconds * cost.gpus for row in curve], curve, device, price)
        for axes in (left, right):
            axes.axvline(
                asked.seconds * cost.gpus / unit, color=GREY, ls=":", lw=1, label="the time asked for"
            )
        if asked.loss_interval is not None:
            left.fill_between([], [], color=BLUE, alpha=0.15, label=f"{asked.level:.0%} interval of the law")
        key_below(figure)
        return _saved(figure, file)


def _check(file: Path) -> None:
    if file.suffix not in ENDINGS:
        raise UserError(f"figure: {file} must end in one of {', '.join(ENDINGS)}")


def _saved(figure: Figure, file: Path) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_as(figure, file)
    except OSError as error:
        raise UserError(f"figure: {file} cannot be written ({error.strerror})") from None
    return file


def _cost(axes: Axes, report: PredictResult) -> None:
    """Training FLOPs and FLOPs of a served token, both relative to the compute-optimal model's."""
    rows = [row for row in report.overtraining if row.extra_training is not None]
    smaller = [row.smaller for row in rows]
    training = [1 + (row.extra_training or 0.0) for row in rows]
    served = [1 - (row.inference_saved or 0.0) for row in rows]
    axes.plot(smaller, training, "o-", color=RED, label="training")
    axes.plot(smaller, served, "s-", color=BLUE, label="a served token")
    for row, height in zip(rows, training, strict=True):
        if row.tokens_per_param is not None:
            text = (
                count(row.tokens_per_param) if row.tokens_per_param >= 1e4 else f"{row.tokens_per_param:.0f}"
            )
            axes.annotate(
                text, (row.smaller, height), (-2, 4), textcoords="offset points", ha="right", fontsize="small"
            )
    if report.most_smaller is not None:
        axes.axvline(report.most_smaller, color=GREY, ls=":", lw=1, label="loss unreachable beyond")
    axes.set(ylabel="FLOPs, compute-optimal = 1")
    log_plain(axes, "y")
    axes.set_ylim(min(served) / 1.3, max(training) * 2)  # the topmost number is within


def _volume(axes: Axes, report: PredictResult) -> None:
    """The number of served tokens from which each model is cheaper in all."""
    rows = [row for row in report.overtraining if row.break_even_tokens]
    volume = [row.break_even_tokens or 0.0 for row in rows]
    axes.plot([row.smaller for row in rows], volume, "o-", color=ORANGE, label="cheaper in all above")
    if report.serving is not None and report.serving.inference_tokens > 0:
        tokens = report.serving.inference_tokens
        axes.axhline(tokens, color=GREY, ls="--", lw=1, label=f"asked for: {count(tokens)} tokens")
    axes.set(ylabel="tokens served")
    axes.set_title("Break-even volume")
    log_counts(axes, "y")
