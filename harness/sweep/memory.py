"""How much memory a run takes, and how many fit a GPU at once."""

import math
import subprocess
from collections.abc import Sequence

from harness.plan.cell import Cell
from harness.train.config import TrainConfig

STATE_BYTES = 4 * (1 + 1 + 2 + 3)  # fp32 weights, gradients, two moments, and a checkpoint on its way
CONTEXT_BYTES = 0.8 * 2**30  # a process on a GPU before it holds anything: context, kernels, workspaces
FREE_SHARE = 0.9  # of what is free; allocators round up and fragment


def training_bytes(cell: Cell, train: TrainConfig) -> float:
    """Bytes of weights, optimizer and activations while ``cell`` is trained.

    Counted in float32 with every activation kept, so above what bf16 and fused attention take: an upper bound to
    share a device by, not a measurement.
    """
    shape, spec = cell.spec.shape, cell.spec
    windows = min(spec.batch_windows, train.micro_batch or spec.batch_windows)
    # a block keeps about 16 activations of its width and 3 of its feed-forward's; the logits appear three times
    per_token = 4 * (shape.layers * 28 * shape.width + 3 * shape.vocab_size)
    return STATE_BYTES * cell.params.total + windows * spec.seq_len * per_token


def fitting(cells: Sequence[Cell], train: TrainConfig, free_bytes: float) -> int:
    """How many runs fit ``free_bytes`` of one GPU even when the largest of ``cells`` run together; at least 1."""
    sizes = sorted((CONTEXT_BYTES + training_bytes(cell, train) for cell in cells), reverse=True)
    room, count = FREE_SHARE * free_bytes, 0
    for size in sizes:
        room -= size
        if room < 0:
            break
        count += 1
    return max(1, count)


def free_bytes(gpus: Sequence[str]) -> float:
    """Free memory of the fullest of ``gpus`` (names as CUDA_VISIBLE_DEVICES has them), as nvidia-smi sees it.

    Infinite where nvidia-smi isn't there or doesn't say: what does not fit then runs out of memory, which halves
    its micro-batch.
    """
    command = [
        "nvidia-smi",
        f"--id={','.join(gpus)}",
        "--query-gpu=memory.free",
        "--format=csv,noheader,nounits",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return min(float(line) for line in done.stdout.split()) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return math.inf
