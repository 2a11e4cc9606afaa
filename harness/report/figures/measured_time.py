"""The loss of every run against the time, and the money, that its training took."""

import numpy as np
from matplotlib.figure import Figure

from harness.report.axes import log_plain, top_scale
from harness.report.data import MissingError, ReportData
from harness.report.figures.fixed_time import SEVERAL, UNITS
from harness.report.keys import budget_labels, key_below, set_title
from harness.report.style import INK, MARKERS, log_colours, panels
from harness.runs.record import Record

MOST = 3
"""Devices that have a panel, those of most runs first."""


def draw_measured_time(data: ReportData) -> Figure:
    """A panel for each device that runs were trained on: times of different ones are not to be compared.

    Raises:
        MissingError: no fitted run says how long it trained.
    """
    fitted = dict(zip(data.points.run_id, data.points.flops.tolist(), strict=True))
    records = [one for one in data.records.values() if one.run_id in fitted and _timed(one)]
    if not records:
        raise MissingError("how long the runs trained is unknown: only a sweep's records say")
    devices: dict[str, list[Record]] = {}
    for one in records:
        devices.setdefault(one.device, []).append(one)
    shown = sorted(devices.items(), key=lambda pair: -len(pair[1]))[:MOST]
    budgets = sorted({one.budget for _, mine in shown for one in mine})
    figure, axes = panels(len(shown), width=4.8, height=3.5)
    labels = budget_labels(axes[-1], [data.as_counted(budget) for budget in budgets])
    colours = log_colours(budgets)
    price = data.devices[0].price if data.devices and data.devices[0].check is not None else None
    for panel, (device, mine) in zip(axes, shown, strict=True):
        longest = max(one.seconds for one in mine)
        name, unit = next((one for one in UNITS if longest >= SEVERAL * one[1]), UNITS[-1])
        for i, (budget, colour, label) in enumerate(zip(budgets, colours, labels, strict=True)):
            here = [one for one in mine if one.budget == budget]
            if here:
                panel.plot(
                    [one.seconds / unit for one in here],
                    [_loss(one) for one in here],
                    MARKERS[i % len(MARKERS)],
                    color=colour,
                    markersize=4,
                    label=label,
                )
        times = np.array([one.seconds for one in mine])
        order = np.argsort(times, kind="stable")
        lowest = np.minimum.accumulate(np.array([_loss(one) for one in mine])[order])
        panel.step(
            times[order] / unit,
            lowest,
            where="post",
            color=INK,
            linewidth=1,
            label="lowest loss of a run no longer",
            zorder=1,
        )
        log_plain(panel, "x")
        panel.set(xlabel=f"{name} of training", ylabel="final loss (nats per token)")
        set_title(panel, device)
        if price is not None and len(shown) == 1:
            top_scale(panel, price * unit / 3600, "dollars")
    key_below(figure)
    return figure


def _timed(record: Record) -> bool:
    return np.isfinite(_loss(record)) and record.seconds > 0


def _loss(record: Record) -> float:
    return np.nan if record.loss is None else record.loss
