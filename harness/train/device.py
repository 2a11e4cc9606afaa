"""The device a run trains on, what it is called, and how fast it could be."""

import math
import os
import platform
import re
from collections import deque
from dataclasses import dataclass

import torch

from harness.errors import UserError
from harness.train.gpus import FREE_SHARE, SHARE_VARIABLE, DeviceError, visible_gpus

# Dense bf16 tensor-core peaks from the makers' data sheets, FLOP/s (with float32 accumulation, where these differ).
# By the whole of a product's name: an L40 is no L4, a laptop's RTX 4090 no desktop's, a slice of a GPU not all of it.
PEAKS = {
    "gb200": 2.5e15,
    "b200": 2.25e15,
    "gh200": 9.89e14,
    "h200": 9.89e14,
    "h200 nvl": 8.35e14,
    "h100": 9.89e14,
    "h100 nvl": 8.35e14,
    "h100 pcie": 7.56e14,
    "h20": 1.48e14,
    "a100": 3.12e14,
    "a100 pcie": 3.12e14,
    "a800": 3.12e14,
    "a40": 1.497e14,
    "a30": 1.65e14,
    "a10": 1.25e14,
    "a10g": 7.0e13,
    "l40s": 3.62e14,
    "l40": 1.81e14,
    "l4": 1.21e14,
    "rtx 6000 ada": 3.64e14,
    "rtx a6000": 1.548e14,
    "rtx 5090": 2.095e14,
    "rtx 4090": 1.652e14,
    "rtx 3090": 7.1e13,
}
# A GPU that is given so many steps at once has no gap where the CPU is held up for a moment. Of CUDA graphs the driver
# would take a thousand, and stops, reports and pinned batches would wait for all of them.
STEPS_AHEAD = 8
MEMORY_GRAIN = 2**28  # memory that is free differs a little from start to start; micro-batches should not
# What a name has besides the product's: the maker, the size and kind of memory, the socket.
NAME_NOISE = re.compile(r"nvidia|geforce|tesla|generation|\d+gb?|hbm\w*|sxm\d*")


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
        DeviceError: there is a GPU, or one is asked for, and CUDA does not work.
        UserError: CUDA is asked for and there is no GPU.
    """
    cuda = kind != "cpu" and torch.cuda.is_available()
    gpus = visible_gpus() if kind != "cpu" and not cuda else ()
    if gpus:
        # who has a GPU does not mean a sweep of days on the CPU, in another precision
        raise DeviceError(
            f"train.device: GPU {', '.join(gpus)} is here, but torch cannot use it: {_why_not()}; repair that, or use "
            "train.device=cpu"
        )
    if kind == "cuda" and not cuda:
        raise UserError(
            "train.device: cuda asked for, but torch finds no CUDA device; use train.device=cpu or auto"
        )
    if not cuda:
        return Device("cpu", _cpu_name(), "fp32" if precision == "auto" else precision, None)
    name = torch.cuda.get_device_name()
    chosen = "bf16" if precision == "auto" else precision
    return Device("cuda", name, chosen, peak_of(name) if chosen == "bf16" else None)


def available_bytes(device: Device) -> float | None:
    """Bytes of its GPU that a run may take for all it holds there; None on a CPU.

    Asked before the run holds any: what is free, or the run's share where whoever started it shares the GPU out.
    """
    if device.kind != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info()
    mine = torch.cuda.memory_reserved()  # CUDA graphs of a run before, which this one uses again
    share = float(os.environ.get(SHARE_VARIABLE, math.inf))
    return min(FREE_SHARE * (free + mine), share) // MEMORY_GRAIN * MEMORY_GRAIN


class Backlog:
    """Keeps the CPU at most :data:`STEPS_AHEAD` steps ahead of a GPU, without leaving the GPU idle."""

    def __init__(self, device: torch.device) -> None:
        self._ends: deque[torch.cuda.Event] | None = deque() if device.type == "cuda" else None

    def add_step(self) -> None:
        """All of one more step has been given to the device."""
        if self._ends is None:
            return
        end = torch.cuda.Event(blocking=True)  # a CPU that waits sleeps: other runs may need its core
        end.record()
        self._ends.append(end)
        if len(self._ends) > STEPS_AHEAD:
            self._ends.popleft().synchronize()


def peak_of(name: str) -> float | None:
    """Dense bf16 FLOP/s of the GPU that torch calls ``name``; None where it isn't one of :data:`PEAKS`."""
    words = (word for word in re.split(r"[\s-]+", name.lower()) if not NAME_NOISE.fullmatch(word))
    return PEAKS.get(" ".join(words))


def _why_not() -> str:
    """Torch's reason, on one line; its question whether CUDA is available only warns."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # the second from a torch that was built without CUDA
        return " ".join(str(error).split())[:400].rstrip(".") or type(error).__name__
    return "it finds no device"


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
