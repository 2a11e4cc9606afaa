"""How many runs this machine takes at once, and on which GPUs."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from harness.config.schema import Config
from harness.launch.memory import fitting, free_bytes, share
from harness.launch.mps import mps
from harness.launch.pool import PoolOptions
from harness.launch.slurm.request import concurrency, requested_gpus
from harness.plan.cell import Cell
from harness.train.config import TrainConfig
from harness.train.gpus import visible_gpus


def worker_count(config: Config) -> int:
    """What the launcher says, else one run for each of its CPU cores (a thread is a core), or some on each GPU."""
    launcher = config.launcher
    if launcher.kind == "slurm":  # of one array task
        return concurrency(replace(launcher, per_gpu=runs_per_gpu(config)), config.train)
    if launcher.workers:
        return launcher.workers
    gpus = gpus_of(config.train)
    if gpus:
        return max(1, len(gpus) // launcher.processes) * runs_per_gpu(config)
    cores = max(1, config.train.threads) * launcher.processes
    return max(1, len(os.sched_getaffinity(0)) // cores)


def runs_per_gpu(config: Config) -> int:
    """What the launcher says, else what was measured to be fastest, else one; a run on several GPUs shares none."""
    if config.launcher.processes > 1:
        return 1
    measured = config.throughput.per_device if config.throughput.asynchronous else 0  # else of a CPU
    return max(1, config.launcher.per_gpu or measured)


def runs_per_device(config: Config) -> int:
    """Runs that share what the throughput of ``config`` was measured on: a GPU, or this machine's cores.

    Rates measured on a CPU beside others are used for any number up to the cores, one run each.
    """
    launcher, measured = config.launcher, config.throughput.per_device
    gpus = _gpu_count(config)
    if gpus:
        return max(1, worker_count(config) * launcher.processes // gpus)
    if config.throughput.asynchronous:  # a plan for a GPU, on a machine without one
        return runs_per_gpu(config) if launcher.kind == "local" else 1
    return max(1, min(worker_count(config), measured))


def _gpu_count(config: Config) -> int:
    """GPUs that all runs at once have together: of this machine, or of one array task."""
    launcher, train = config.launcher, config.train
    if launcher.kind == "local":
        return len(gpus_of(train))
    return requested_gpus([launcher.gres, *launcher.sbatch]) if train.device != "cpu" else 0


def planned_workers(config: Config) -> int:
    """Runs at once where the plan's times hold: here, or on one GPU where the plan is for a GPU and none is here."""
    launcher = config.launcher
    elsewhere = config.throughput.asynchronous and launcher.kind == "local" and not gpus_of(config.train)
    return runs_per_gpu(config) if elsewhere and not launcher.workers else worker_count(config)


def pool_options(config: Config, cells: Sequence[Cell]) -> PoolOptions:
    """The pool for ``cells`` on this machine; with several GPUs, each worker has its own."""
    launcher = config.launcher
    options = PoolOptions(
        workers=min(worker_count(config), len(cells)),
        attempts=launcher.attempts,
        processes=launcher.processes,
        mps=launcher.mps,
    )
    return placed(options, cells, config.train)


def placed(options: PoolOptions, cells: Sequence[Cell], train: TrainConfig) -> PoolOptions:
    """``options`` on the GPUs of this machine, with no more runs on each than its memory holds, each with its share."""
    gpus = gpus_of(train)
    if gpus and options.workers * options.processes > len(gpus):
        free = free_bytes(gpus)
        workers = min(options.workers, len(gpus) * fitting(cells, train, free))
        runs = -(-workers * options.processes // len(gpus))  # rounded up
        options = replace(options, workers=workers, environment={**options.environment, **share(free, runs)})
    return replace(options, gpus=gpus if len(gpus) > 1 else ())


@contextmanager
def shared_gpus(
    options: PoolOptions, train: TrainConfig, say: Callable[[str], None]
) -> Iterator[PoolOptions]:
    """``options`` with the MPS daemon's environment, where runs share a GPU; ``say`` hears how they do."""
    gpus = gpus_of(train)
    if not gpus or options.workers * options.processes <= len(gpus):
        yield options
        return
    if not options.mps:
        say("runs that share a GPU take turns on it (launcher.mps is off)")
        yield options
        return
    with mps(say) as environment:
        yield replace(options, environment={**options.environment, **environment})


def gpus_of(train: TrainConfig) -> tuple[str, ...]:
    """The GPUs that runs of ``train`` may use."""
    return visible_gpus() if train.device in ("auto", "cuda") else ()
