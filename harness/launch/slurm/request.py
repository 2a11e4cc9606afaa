"""Which cells share an array task, and what a task asks for: time, memory, cores, estimated where nothing is said."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.launch.branching import groups, own_seconds
from harness.launch.memory import training_bytes
from harness.launch.slurm.config import SlurmConfig
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.train.config import TrainConfig
from harness.train.job import Job


def chunks(jobs: Sequence[Job], seconds: float, workers: int, most: int) -> list[list[Job]]:
    """Array tasks of about ``seconds`` each, of nearly equal estimated length, the longest first.

    A trunk and its branches stay together: within a task the branches wait for it, and tasks may not run at once.

    Args:
        jobs: what is to be trained.
        seconds: estimated time that short cells are gathered to; a longer cell has a task of its own.
        workers: cells at once in a task.
        most: tasks at most.
    """
    if not jobs:
        return []
    units = [(sum(own_seconds(unit)), unit) for unit in groups(jobs)]
    wanted = max(1, math.ceil(sum(length for length, _ in units) / (seconds * workers)))
    tasks: list[list[Job]] = [[] for _ in range(min(wanted, most, len(units)))]
    load = [0.0] * len(tasks)
    for length, unit in sorted(units, key=lambda unit: -unit[0]):
        least = load.index(min(load))
        tasks[least] += unit
        load[least] += length
    return sorted(tasks, key=lambda task: -expected_seconds(task, workers))


def expected_seconds(jobs: Sequence[Job], workers: int) -> float:
    """How long a task with these cells should take."""
    return makespan(own_seconds(jobs), workers)


STARTUP_SECONDS = 300  # imports from a cold file server, compilation, evaluation
SLURM_LEEWAY_SECONDS = 60  # Slurm may signal, and end, this much early or late
PROCESS_BYTES = 2.0 * 2**30  # Python, torch and its libraries, with the device's context
HOST_BYTES = 4.0 * 2**30  # the same where the model is on a GPU: CUDA's libraries, pinned pages, compiling
CHECKPOINT_BYTES = 2 * 12  # a parameter: weights and two moments, held twice while they are read
MEMORY_MARGIN = 1.3
# A process on a GPU feeds it from one core; others compile, write checkpoints, and talk to the tracker. Runs that share
# a GPU are asked fewer for, each: nodes have 8 to 16 a GPU, and a task that asks for more is refused.
GPU_CORES, SHARED_GPU_CORES = 4, 2


@dataclass(frozen=True)
class Request:
    """Of one array task, as sbatch takes it; empty asks for nothing.

    Attributes:
        workers: runs at once.
    """

    time: str
    memory: str
    cpus: int
    workers: int


def make_request(
    tasks: Sequence[Sequence[Job]], config: SlurmConfig, train: TrainConfig, pace: float = 1.0
) -> Request:
    """One request that suits every task of the array.

    Args:
        pace: how much longer finished runs took than their estimates.
    """
    workers = concurrency(config, train)
    processes = workers * config.processes
    gpus = _gpus(config, train)
    cpus = config.cpus or _cores_a_process(processes, gpus, train) * processes
    expected = max(expected_seconds(task, workers) for task in tasks) * pace
    time = config.time
    if time == "auto":
        seconds = (
            expected * config.time_margin + STARTUP_SECONDS + config.signal_seconds + SLURM_LEEWAY_SECONDS
        )
        time = clock(seconds)
    memory = config.memory
    if memory == "auto":
        cells = [job.cell for task in tasks for job in task]
        memory = f"{estimate_memory(cells, train, processes, gpu=gpus > 0)}M"
    return Request(time, memory, cpus, workers)


def concurrency(config: SlurmConfig, train: TrainConfig) -> int:
    """Runs at once in one array task: as asked for, ``per_gpu`` for each GPU, or one for its cores."""
    if config.workers:
        return config.workers
    gpus = requested_gpus([config.gres, *config.sbatch])
    if gpus:
        return max(1, gpus // config.processes) * max(1, config.per_gpu)
    return max(1, config.cpus // (max(1, train.threads) * config.processes))


def requested_gpus(options: Iterable[str]) -> int:
    """GPUs a task gets by ``gpu:2``, ``gpu:a100:4`` or ``--gpus-per-node=2``."""
    total = 0
    for option in options:
        name, _, value = option.rpartition("=")
        for part in value.split(","):
            fields = part.split(":")
            if name.startswith("--gpus") or (name in ("", "--gres") and fields[0] == "gpu"):
                total += int(fields[-1]) if fields[-1].isdigit() else 1
    return total


def _gpus(config: SlurmConfig, train: TrainConfig) -> int:
    """GPUs of a task that its runs are trained on."""
    return requested_gpus([config.gres, *config.sbatch]) if train.device != "cpu" else 0


def _cores_a_process(processes: int, gpus: int, train: TrainConfig) -> int:
    least = 1 if not gpus else GPU_CORES if processes <= gpus else SHARED_GPU_CORES
    return max(least, train.threads)


def estimate_memory(cells: Sequence[Cell], train: TrainConfig, processes: int, gpu: bool) -> int:
    """MiB of the host that ``processes`` processes need which train the largest of ``cells``, with a margin."""
    largest = max(process_bytes(cell, train, gpu) for cell in cells)
    return 512 * math.ceil(MEMORY_MARGIN * processes * largest / 2**20 / 512)


def process_bytes(cell: Cell, train: TrainConfig, gpu: bool) -> float:
    """Bytes of the host that one process takes which trains ``cell``.

    On a CPU weights, gradients, moments and activations are in the host's memory; on a GPU its checkpoints are.
    """
    if gpu:
        return HOST_BYTES + CHECKPOINT_BYTES * cell.params.total
    return PROCESS_BYTES + training_bytes(cell, train)


def clock(seconds: float) -> str:
    """Seconds as Slurm's ``days-hours:minutes:seconds``, rounded up to minutes."""
    minutes = math.ceil(seconds / 60)
    days, minutes = divmod(minutes, 24 * 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}:00"
    return f"{days}-{text}" if days else text
