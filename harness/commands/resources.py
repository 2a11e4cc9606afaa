"""How many runs this machine takes at once, and on which GPUs."""

import os

from harness.config.schema import Config
from harness.sweep.pool import PoolOptions


def worker_count(config: Config) -> int:
    """What the launcher says, else one run for each of its CPU cores (a thread is a core), or of its GPUs."""
    launcher = config.launcher
    if launcher.workers:
        return launcher.workers
    gpus = visible_gpus() if config.train.device in ("auto", "cuda") else ()
    if gpus:
        return max(1, len(gpus) // launcher.processes)
    cores = max(1, config.train.threads) * launcher.processes
    return max(1, len(os.sched_getaffinity(0)) // cores)


def pool_options(config: Config, jobs: int) -> PoolOptions:
    """The pool for ``jobs`` runs on this machine; with several GPUs, each worker has its own."""
    gpus = visible_gpus() if config.train.device in ("auto", "cuda") else ()
    return PoolOptions(
        workers=min(worker_count(config), jobs),
        attempts=config.launcher.attempts,
        processes=config.launcher.processes,
        gpus=gpus if len(gpus) > 1 else (),
    )


def visible_gpus() -> tuple[str, ...]:
    """GPUs this process may use, found without importing torch: planning should not wait for it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip() not in ("", "-1"))
    devices = os.listdir("/dev") if os.path.isdir("/dev") else []
    numbers = sorted(int(name[6:]) for name in devices if name.startswith("nvidia") and name[6:].isdigit())
    return tuple(str(index) for index in range(len(numbers)))
