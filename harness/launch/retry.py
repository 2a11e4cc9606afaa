"""What is worth another attempt, and when."""

import errno
import signal

from harness.errors import UserError
from harness.train.gpus import DeviceError

# A full disk is emptied, a file server comes back, another process frees memory; a wrong program stays wrong.
PASSING_ERRORS = {
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.EAGAIN,
    errno.ENOLCK,
}
PASSING_TEXTS = (
    "out of memory",
    "can't allocate memory",
    "CUDA error",
    "NCCL error",
    "Connection reset by peer",
    # a GPU's driver, or the MPS daemon between, that is not up yet or just went down
    "No CUDA GPUs are available",
    "Error 802",  # system not yet initialised
    "Error 805",
    "MPS client",
    "MPS server",
)
MEANINGS = {"SIGBUS": "a file it reads was cut short, or the file server or a full disk under it is gone"}
FIRST_DELAY, FACTOR, LONGEST_DELAY = 2.0, 3.0, 60.0


def is_retryable(error: BaseException) -> bool:
    """Whether the same run may well succeed later: memory, a device or a file system that failed for a moment."""
    if isinstance(error, UserError) and not isinstance(error, DeviceError):
        return False
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno in PASSING_ERRORS
    return isinstance(error, RuntimeError | DeviceError) and any(text in str(error) for text in PASSING_TEXTS)


def cause_of_death(exit_code: int | None) -> str:
    """How a worker process ended, in words: the signal's name and what it means where few would know."""
    if exit_code is None or exit_code >= 0:
        return f"exit status {exit_code}"
    name = signal.Signals(-exit_code).name
    return f"{name}: {MEANINGS[name]}" if name in MEANINGS else name


def back_off(attempt: int) -> float:
    """Seconds to wait after ``attempt`` failed attempts."""
    return min(LONGEST_DELAY, FIRST_DELAY * FACTOR ** (attempt - 1))
