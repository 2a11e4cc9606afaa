"""A calibration as a file of ``configs/throughput``."""

import re
from collections.abc import Sequence
from datetime import date

from harness.calibrate.choose import throughput_of
from harness.calibrate.side_by_side import Speed, Where


def slug(device: str) -> str:
    """A device's name as a file name: ``NVIDIA H100 80GB HBM3`` → ``nvidia_h100_80gb_hbm3``."""
    return re.sub(r"[^a-z0-9]+", "_", device.lower()).strip("_")


def throughput_yaml(
    name: str, where: Where, experiment: str, alone: Sequence[Speed], runs: int, shared: Sequence[Speed]
) -> str:
    """The file; ``shared`` are the speeds with ``runs`` at once."""
    single = throughput_of(alone, alone)
    source = f"isoflop calibrate experiment={experiment} on {where.name}, {where.precision}, {date.today()}"
    lines = [
        "# Achieved training FLOP/s (Appendix F) of one run, alone and beside others; measured, quartiles behind it.",
        f"name: {name}",
        f'source: "{source}"',
        f"params: {_numbers(single.params)}",
        f"flops_per_second: {_numbers(single.flops_per_second)}  # {_spread(alone)}",
        f"startup_seconds: {single.startup_seconds:.1f}",
        f"peak_flops: {f'{where.peak:.3e}' if where.peak else 'null'}",
        f"per_device: {runs}",
    ]
    if runs > 1:
        rates = [speed.flops_per_second for speed in shared]
        lines.append(f"shared_flops_per_second: {_numbers(rates)}  # {_spread(shared)}")
    return "\n".join(lines) + "\n"


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{value:.3e}" for value in values) + "]"


def _spread(speeds: Sequence[Speed]) -> str:
    return ", ".join(f"{speed.low:.2g}-{speed.high:.2g}" for speed in speeds)
