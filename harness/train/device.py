"""The device a run trains on, what it is called, and how fast it could be."""

import platform
from dataclasses import dataclass

import torch

from harness.errors import UserError

# Dense bf16 tensor-core peaks from the makers' data sheets, FLOP/s.
PEAKS = {
    "H200": 9.89e14,
    "H100 PCIe": 7.56e14,
    "H100": 9.89e14,
    "A100": 3.12e14,
    "L40S": 3.62e14,
    "L4": 1.21e14,
    "A10": 1.25e14,
    "RTX 4090": 1.65e14,
    "V100": 1.25e14,
}


@dataclass(frozen=True)
class Device:
    """Where a run trains.

    Attributes:
        precision: ``fp32`` or ``bf16`` (autocast; weights and optimizer stay fp32).
        peak: FLOP/s the device could do at that precision, None where unknown.
    """

    kind: str
    name: str
    precision: str
    peak: float | None


def choose_device(kind: str, precision: str) -> Device:
    """Resolve ``auto``; bf16 on CUDA, fp32 on a CPU, where autocast costs small models more than it gains.

    Raises:
        UserError: CUDA is asked for and there is none.
    """
    cuda = torch.cuda.is_available()
    if kind == "cuda" and not cuda:
        raise UserError(
            "train.device: cuda asked for, but torch finds no CUDA device; use train.device=cpu or auto"
        )
    if kind == "cpu" or not cuda:
        return Device("cpu", _cpu_name(), "fp32" if precision == "auto" else precision, None)
    name = torch.cuda.get_device_name()
    chosen = "bf16" if precision == "auto" else precision
    peak = next((flops for key, flops in PEAKS.items() if key in name), None) if chosen == "bf16" else None
    return Device("cuda", name, chosen, peak)


def _cpu_name() -> str:
    """The processor's name as the kernel tells it, and how many threads torch may use."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next(
                (line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), name
            )
    except OSError:
        pass
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"
