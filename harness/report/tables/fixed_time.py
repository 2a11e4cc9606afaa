"""The best model of a fixed time beside the compute-optimal one that takes as long."""

from harness.predict.fixed_time import FACTORS
from harness.report.data import MissingError, ReportData
from harness.report.figures.fixed_time import seconds_of, source_and_device, timed
from harness.report.table import Table
from harness.report.text import counted, dollars, fixed, interval, plain_status, power, with_interval
from harness.text import duration


def fixed_time_table(data: ReportData) -> Table:
    """One row a time: that of the largest budget's compute-optimal model, and multiples of it."""
    source, device = source_and_device(data)
    whole = seconds_of(source, device, data.fit.largest_flops)
    found = timed(source, device, [whole * factor for factor in FACTORS])
    if not found:
        raise MissingError("the best models of such times are not within the ladder's sizes")
    price = device.price
    rows = [
        (
            duration(row.seconds),
            *(() if price is None else (dollars(row.seconds / 3600 * price),)),
            with_interval(counted(row.params), interval(row.params_interval)),
            with_interval(counted(row.tokens), interval(row.tokens_interval)),
            power(row.flops),
            with_interval(fixed(row.loss, 3), interval(row.loss_interval, "fixed")),
            counted(row.plain_params),
            counted(row.plain_tokens),
            fixed(row.plain_loss, 3),
            plain_status(row.status),
        )
        for row in found
    ]
    return Table(
        "fixed_time",
        f"The best model of a fixed time on {device.label}",
        (
            f"time on {device.label}",
            *(() if price is None else ("dollars",)),
            "N",
            "D",
            "C (FLOPs)",
            "loss",
            "N*",
            "D*",
            "its loss",
            "status",
        ),
        tuple(rows),
        left=("status",),
        note="N* and D* are the compute-optimal model that trains as long. By the law of approach 3, with its "
        f"{source.level:.0%} intervals; the device's times, for a run that has it to itself, have no interval. "
        f"{device.said}.",
    )
