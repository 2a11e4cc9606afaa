"""Runs that share this machine's GPUs: how many fit, what each is told, and MPS around them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from harness.launch.memory import fitting, free_bytes, share
from harness.launch.mps import mps
from harness.launch.pool import PoolOptions
from harness.plan.cell import Cell
from harness.train.config import TrainConfig
from harness.train.gpus import visible_gpus


def gpus_of(train: TrainConfig) -> tuple[str, ...]:
    """The GPUs that runs of ``train`` may use."""
    return visible_gpus() if train.device in ("auto", "cuda") else ()


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
