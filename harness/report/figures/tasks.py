"""Tasks: error against the task loss, and accuracy against compute, with what the laws say."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.fit.table import Array
from harness.fit.tasks.store import FittedTask
from harness.predict.source import choose, from_fit
from harness.predict.tasks import TaskAnswer, answer_task
from harness.report.axes import log_flops
from harness.report.data import MissingError, ReportData
from harness.report.figure_data import named
from harness.report.keys import key_below
from harness.report.style import BLUE, GREY, INK, RED, log_colours, panels
from harness.report.text import power
from harness.runs.record import Record

STEPS = 32
MOST = 8
"""Tasks that are drawn; the table has all."""


def draw_tasks(data: ReportData) -> Figure:
    """A row a task: left its error against its task loss, right its accuracy against compute."""
    tasks = [
        task for task in data.tasks if any(task.name in record.tasks for record in data.records.values())
    ]
    if not tasks:
        raise MissingError("the runs were scored on no task ('isoflop evaluate' scores them)")
    tasks = tasks[:MOST]
    figure, axes = panels(2, width=4.4, height=2.7, rows=len(tasks))
    for i, task in enumerate(tasks):
        records = [one for one in data.records.values() if task.name in one.tasks and one.loss is not None]
        _against_loss(axes[2 * i], task, records)
        _against_compute(axes[2 * i + 1], task, records, data)
    key_below(figure)
    return figure


def _against_loss(axes: Axes, task: FittedTask, records: list[Record]) -> None:
    fit, law = task.stored.fit, task.stored.fit.sigmoid
    budgets = sorted({record.budget for record in records})
    for budget, colour in zip(budgets, log_colours(budgets), strict=True):
        mine = [record.tasks[task.name] for record in records if record.budget == budget]
        axes.plot(
            [one.bits_per_byte for one in mine],
            [1 - one.accuracy for one in mine],
            "o",
            color=colour,
            markersize=3.2,
            label=f"runs of C = {power(budget)}",
        )
    if law is not None:
        low, high = fit.task_losses
        x = np.linspace(low - 0.12 * (high - low), high + 0.05 * (high - low), STEPS)
        said = [fit.predict_two_step(np.array([]), float(one)) for one in x]
        axes.plot(x, 1 - law.accuracy(x), color=BLUE, linewidth=1.4, label=named("sigmoid"))
        bands = [(np.nan, np.nan) if one.interval is None else one.interval for one in said]
        axes.fill_between(
            x,
            [1 - b[1] for b in bands],
            [1 - b[0] for b in bands],
            color=BLUE,
            alpha=0.15,
            linewidth=0,
            label=named("sigmoid: interval"),
        )
    axes.axhline(1 - fit.chance, color=INK, linewidth=0.9, linestyle=":")
    axes.set(xlabel="task loss (bits per byte of the right answer)", ylabel="error")
    axes.set_title(task.name if law is not None else f"{task.name}: {fit.status.replace('_', ' ')}")


def _against_compute(axes: Axes, task: FittedTask, records: list[Record], data: ReportData) -> None:
    fit = task.stored.fit
    compute = _compute(records, data)
    records = [record for record in records if record.run_id in compute]
    axes.plot(
        [compute[record.run_id] for record in records],
        [record.tasks[task.name].accuracy for record in records],
        ".",
        color=GREY,
        markersize=3,
        alpha=0.6,
        label="all runs",
    )
    best = _best(task.name, records, compute)
    axes.plot(
        best[0], best[1], "D", color=INK, markersize=4.5, label="the cell of the lowest loss, mean of seeds"
    )
    flops = np.geomspace(data.fit.smallest_flops, max(data.target, data.fit.largest_flops), STEPS)
    along = _along(task, flops)
    if along:
        at = np.array([one for one, _ in along])
        _line(axes, at, [found for _, found in along], data.fit.largest_flops)
    axes.axhline(fit.chance, color=INK, linewidth=0.9, linestyle=":", label="guessing")
    axes.set(xlabel="training FLOPs C", ylabel="accuracy")
    axes.set_title(f"{fit.questions:,} questions")
    log_flops(axes)


def _line(axes: Axes, flops: Array, found: list[TaskAnswer], largest: float) -> None:
    """Both predictions of the compute-optimal model; dashed beyond the runs' compute."""
    for name, colour, label in (("two_step", BLUE, "in two steps"), ("direct", RED, "direct law")):
        said = [getattr(one, name) for one in found]
        value = np.array([np.nan if one.accuracy is None else one.accuracy for one in said])
        bands = [(np.nan, np.nan) if one.interval is None else one.interval for one in said]
        low, high = np.array(bands).T
        axes.fill_between(
            flops, low, high, color=colour, alpha=0.13, linewidth=0, label=named(f"{label}: interval")
        )
        inside = flops <= largest * 1.001
        axes.plot(flops[inside], value[inside], color=colour, label=label)
        beyond = flops >= (flops[inside][-1] if inside.any() else 0)
        axes.plot(flops[beyond], value[beyond], "--", color=colour, label=named(f"{label}: extrapolated"))


def _along(task: FittedTask, flops: Array) -> list[tuple[float, TaskAnswer]]:
    """What the compute-optimal models are predicted to score; nothing where no law can say."""
    if task.stored.fit.sigmoid is None:
        return []
    try:
        source = choose(from_fit(task.fit), "auto", surface=True)[1]
    except UserError:
        return []
    if source.law is None or source.frontier is None:
        return []
    made = []
    for one in flops:
        best = source.frontier.at_flops(float(one))
        if np.isfinite(best.params) and np.isfinite(best.tokens):
            found = answer_task(task.stored.fit, source, float(best.params), float(best.tokens), None)
            made.append((float(one), found))
    return made


def _compute(records: list[Record], data: ReportData) -> dict[str, float]:
    """C of each run as the fit counts it; runs that it left out are there where it counts as the plan does."""
    planned = {one.run_id: one.flops for one in records} if data.fit.compute == "flops" else {}
    return planned | dict(zip(data.points.run_id, data.points.flops.tolist(), strict=True))


def _best(name: str, records: list[Record], compute: dict[str, float]) -> tuple[list[float], list[float]]:
    """Of each budget the cell of the lowest mean loss: its compute, and the mean accuracy of its seeds."""
    cells: dict[tuple[float, int, int], list[Record]] = {}
    for record in records:
        cells.setdefault((record.budget, record.params_total, record.tokens), []).append(record)
    best: dict[float, list[Record]] = {}
    for (budget, _, _), mine in cells.items():
        if budget not in best or _loss(mine) < _loss(best[budget]):
            best[budget] = mine
    rows = [best[budget] for budget in sorted(best)]
    return (
        [float(np.mean([compute[one.run_id] for one in mine])) for mine in rows],
        [float(np.mean([one.tasks[name].accuracy for one in mine])) for mine in rows],
    )


def _loss(records: list[Record]) -> float:
    return float(np.mean([record.loss for record in records if record.loss is not None]))
