"""How much memory a run takes, and how many fit a GPU at once."""

import math
import os
import subprocess
from collections.abc import Sequence

from harness.plan.cell import Cell
from harness.train.config import TrainConfig
from harness.train.driver import DriverError, ask, is_installed
from harness.train.micro import bytes_per_token, is_bf16, windows_at_once

# fp32 weights, gradients, two moments, and what comes and goes: a checkpoint on its way, or autocast's copies of the
# weights and the optimizer's temporaries
STATE_BYTES = 4 * (1 + 1 + 2 + 3)
CONTEXT_BYTES = 0.8 * 2**30  # a process on a GPU before it holds anything: context, kernels, workspaces
FREE_SHARE = 0.9  # of what is free; allocators round up and fragment


def training_bytes(cell: Cell, train: TrainConfig, cuda: bool) -> float:
    """Bytes of weights, optimizer and activations while ``cell`` is trained by one process.

    An upper bound to share a device by, not a measurement: of eager steps with all logits in memory.
    """
    spec = cell.spec
    tokens = spec.seq_len * windows_at_once(train, spec, spec.batch_windows, cuda)
    return STATE_BYTES * cell.params.total + tokens * bytes_per_token(spec.shape, is_bf16(spec, cuda))


def fitting(cells: Sequence[Cell], train: TrainConfig, free_bytes: float) -> int:
    """How many runs fit ``free_bytes`` of one GPU even when the largest of ``cells`` run together; at least 1."""
    sizes = sorted((CONTEXT_BYTES + training_bytes(cell, train, cuda=True) for cell in cells), reverse=True)
    room, count = FREE_SHARE * free_bytes, 0
    for size in sizes:
        room -= size
        if room < 0:
            break
        count += 1
    return max(1, count)


def free_bytes(gpus: Sequence[str]) -> float:
    """Free memory of the fullest of ``gpus`` (names as CUDA_VISIBLE_DEVICES has them).

    As nvidia-smi sees it, else (it isn't there, or doesn't know: slices of a GPU, memory shared with the CPU) as a
    process on them does. Infinite where neither says: what does not fit then runs out of memory, which halves its
    micro-batch.
    """
    try:
        return min(_asked_nvidia_smi(gpus))
    except (OSError, ValueError, subprocess.SubprocessError):
        pass
    try:
        if is_installed():
            return min(ask("free", {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(gpus)}))
    except (DriverError, ValueError):
        pass
    return math.inf


def _asked_nvidia_smi(gpus: Sequence[str]) -> list[float]:
    command = [
        "nvidia-smi",
        f"--id={','.join(gpus)}",
        "--query-gpu=memory.free",
        "--format=csv,noheader,nounits",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return [float(line) * 2**20 for line in done.stdout.splitlines() if line.strip()]
