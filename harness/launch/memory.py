"""What runs that execute at once share: how many fit the memory of a GPU, and the cores that compile for them."""

import math
import os
import subprocess
from collections.abc import Mapping, Sequence

from harness.plan.cell import Cell
from harness.train.config import TrainConfig
from harness.train.driver import DriverError, ask, is_installed
from harness.train.gpus import FREE_SHARE, SHARE_VARIABLE
from harness.train.micro import enough_sequences, run_bytes, sequences_at_once

CONTEXT_BYTES = 0.8 * 2**30  # a process on a GPU before it holds anything: context, kernels, workspaces
VARIABLE = "TORCHINDUCTOR_COMPILE_THREADS"


def compile_threads(processes: int) -> Mapping[str, str]:
    """The environment by which ``processes`` at once compile on this machine's cores, each on its share of them.

    torch would start a pool of up to 32 in each. Empty where the user has said how many.
    """
    if VARIABLE in os.environ:
        return {}
    return {VARIABLE: str(max(1, len(os.sched_getaffinity(0)) // max(1, processes)))}


def training_bytes(cell: Cell, train: TrainConfig) -> float:
    """Bytes of weights, optimizer and activations while ``cell`` is trained by one process on a CPU.

    An upper bound, not a measurement: of eager steps with all logits in memory.
    """
    spec, params = cell.spec, cell.params.total
    sequences = sequences_at_once(train, spec, params, spec.batch_sequences, available=None)
    return run_bytes(train, spec, params, sequences, cuda=False)


def needed_bytes(cell: Cell, train: TrainConfig) -> float:
    """Bytes of a GPU that ``cell`` must be given to share it: with fewer it would waste its launches.

    Given more, it takes larger micro-batches.
    """
    return run_bytes(train, cell.spec, cell.params.total, enough_sequences(train, cell.spec), cuda=True)


def fitting(cells: Sequence[Cell], train: TrainConfig, free_bytes: float) -> int:
    """How many runs share ``free_bytes`` of a GPU so that an equal part is enough for any of ``cells``; at least 1."""
    largest = CONTEXT_BYTES + max(needed_bytes(cell, train) for cell in cells)
    return max(1, int(min(len(cells), FREE_SHARE * free_bytes / largest)))


def share(free_bytes: float, runs: int) -> Mapping[str, str]:
    """The environment by which each of ``runs`` processes on one GPU takes no more than its share of ``free_bytes``.

    Empty for one, which takes what is free when it starts, and where nobody knows what is free.
    """
    if runs <= 1 or math.isinf(free_bytes):
        return {}
    return {SHARE_VARIABLE: str(int(FREE_SHARE * free_bytes / runs - CONTEXT_BYTES))}


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
