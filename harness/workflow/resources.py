"""How many runs of an experiment execute at once, and what shares a device."""

from dataclasses import replace

from harness.config.schema import Config
from harness.launch.launcher import Launcher
from harness.launch.registry import make_launcher


def launcher_of(config: Config) -> Launcher:
    """The experiment's launcher, with as many runs on a GPU as were measured to be fastest."""
    return make_launcher(replace(config.launcher, per_gpu=runs_per_gpu(config)))


def worker_count(config: Config) -> int:
    """Runs at once: on this machine, or in one array task."""
    return launcher_of(config).workers(config.train)


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
    gpus = launcher_of(config).gpus(config.train)
    if gpus:
        return max(1, worker_count(config) * config.launcher.processes // gpus)
    if config.throughput.asynchronous:  # a plan for a GPU, on a machine without one
        return runs_per_gpu(config) if config.launcher.here else 1
    return max(1, min(worker_count(config), config.throughput.per_device))


def is_for_a_gpu_elsewhere(config: Config) -> bool:
    """Whether times are a GPU's, runs execute on this machine, and it has none."""
    here = config.launcher.here
    return config.throughput.asynchronous and here and not launcher_of(config).gpus(config.train)


def planned_workers(config: Config) -> int:
    """Runs at once where the plan's times hold: here, or on one GPU where the plan is for a GPU and none is here."""
    elsewhere = is_for_a_gpu_elsewhere(config)
    return runs_per_gpu(config) if elsewhere and not config.launcher.workers else worker_count(config)
