"""The answer itself: N*, D*, D/N and the loss, by approach, at the largest budget and at the target."""

from harness.fit.predict import Prediction, marked
from harness.report.material import Material
from harness.report.tables.table import Table
from harness.report.text import (
    approach_label,
    counted,
    fixed,
    interval,
    plain_status,
    power,
    ratio,
    times,
    with_interval,
)

HEADINGS = ("C (FLOPs)", "approach", "N* (parameters)", "D* (tokens)", "D*/N*", "loss", "status")


def build(material: Material) -> Table:
    """One row for each approach at each of the two budgets."""
    fit = material.fit
    rows = []
    for flops in dict.fromkeys((fit.largest_flops, material.target)):
        for name, prediction in fit.predict(flops).items():
            rows.append((_budget(flops, fit.largest_flops), approach_label(name), *_cells(prediction)))
    return Table(
        "answer",
        "The compute-optimal model, by approach",
        HEADINGS,
        tuple(rows),
        left=("C (FLOPs)", "approach", "status"),
        note=f"In brackets: {fit.level:.0%} bootstrap intervals. They hold the noise of the runs, not the "
        "bias of an approach: where approaches differ by more than their intervals, believe the difference. "
        "Approach 1's loss is the smoothed training loss of its envelope; the others' is held-out.",
    )


def _budget(flops: float, largest: float) -> str:
    if flops <= largest * 1.0001:
        return f"{power(flops)} (largest run)"
    return f"{power(flops)} ({times(flops / largest)} the largest)"


def _cells(prediction: Prediction) -> tuple[str, str, str, str, str]:
    return (
        with_interval(counted(prediction.params), interval(prediction.params_interval)),
        with_interval(counted(prediction.tokens), interval(prediction.tokens_interval)),
        with_interval(
            ratio(prediction.tokens_per_param), interval(prediction.tokens_per_param_interval, "ratio")
        ),
        marked(
            with_interval(fixed(prediction.loss, 3), interval(prediction.loss_interval, "fixed", 3)),
            prediction.loss_kind,
        ),
        plain_status(prediction.status),
    )
