"""How many runs this machine takes at once."""

import os

from harness.config.schema import Config


def worker_count(config: Config) -> int:
    """What the launcher says, else one run a CPU core (one thread each), or one a GPU."""
    if config.launcher.workers:
        return config.launcher.workers
    gpus = _visible_gpus() if config.train.device in ("auto", "cuda") else 0
    return gpus or max(1, len(os.sched_getaffinity(0)) // max(1, config.train.threads))


def _visible_gpus() -> int:
    """GPUs this process may use, counted without importing torch: planning should not wait for it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    devices = os.listdir("/dev") if os.path.isdir("/dev") else []
    return len([name for name in devices if name.startswith("nvidia") and name[6:].isdigit()])
