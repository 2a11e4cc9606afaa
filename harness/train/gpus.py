"""Which GPUs are here and how they are shared, without importing torch: planning should not wait for it."""

import os
from functools import cache

from harness.errors import UserError
from harness.train.driver import count_gpus

FREE_SHARE = 0.9  # of free memory that is counted on: allocators round up and fragment
SHARE_VARIABLE = (
    "ISOFLOP_GPU_BYTES"  # in the environment of runs that share a GPU: what each of them may take
)


class DeviceError(UserError):
    """GPUs are here, but CUDA does not work in this process; torch's words in it tell whether that may pass."""


def visible_gpus() -> tuple[str, ...]:
    """GPUs this process may use, by the names CUDA_VISIBLE_DEVICES knows; that variable set but empty means none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        end = next((i for i, name in enumerate(names) if name in ("", "-1")), len(names))  # as CUDA reads it
        return tuple(names[:end])
    return tuple(str(index) for index in range(_device_files() or _counted()))


def _device_files() -> int:
    """Of Linux's own driver: /dev/nvidia0 and so on."""
    names = os.listdir("/dev") if os.path.isdir("/dev") else []
    return sum(name.startswith("nvidia") and name[6:].isdigit() for name in names)


@cache
def _counted() -> int:
    """Where GPUs have no such files (WSL2): what the driver counts, once a process."""
    return count_gpus()
