"""How much memory a run takes, and how many fit a GPU at once."""

import math
import os
import subprocess
from collections.abc import Sequence

from harness.plan.cell import Cell
from harness.train.config import TrainConfig
from harness.train.driver import DriverError, ask, is_installed
from harness.train.micro import windows_at_once

# fp32 weights, gradients, two moments, and what comes and goes: a checkpoint on its way, or autocast's copies of the
# weights and the optimizer's temporaries
STATE_BYTES = 4 * (1 + 1 + 2 + 3)
CONTEXT_BYTES = 0.8 * 2**30  # a process on a GPU before it holds anything: context, kernels, workspaces
FREE_SHARE = 0.9  # of what is free; allocators round up and fragment
# What a block keeps of a token for its backward pass, in numbers of the products' precision. Saved tensors of eager
# steps, counted on a CPU: at most 16 and 5 in float32, 20 and 5 under bf16 autocast (norms stay float32); llama, 12 to
# 14 and 4. Compiled steps keep a third less.
KEPT_OF_WIDTH, KEPT_OF_FFW = 20, 5


def training_bytes(cell: Cell, train: TrainConfig, cuda: bool) -> float:
    """Bytes of weights, optimizer and activations while ``cell`` is trained by one process.

    An upper bound to share a device by, not a measurement: of eager steps with all logits in memory.
    """
    shape, spec = cell.spec.shape, cell.spec
    bf16 = spec.precision == "bf16" or (spec.precision == "auto" and cuda)
    widest = max(shape.width, shape.heads * shape.head_dim)
    kept = shape.layers * (KEPT_OF_WIDTH * widest + KEPT_OF_FFW * shape.ffw)
    # the loss is float32, and its logits are there three times when the backward pass begins
    per_token = (2 if bf16 else 4) * kept + 4 * 3 * shape.vocab_size
    windows = min(spec.batch_windows, windows_at_once(train, spec.batch_windows, spec.seq_len, cuda))
    return STATE_BYTES * cell.params.total + windows * spec.seq_len * per_token


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
