"""What NVIDIA's driver itself says, asked in a process of its own: no torch to import, and nothing stays behind.

A process that has once called the driver keeps a context, or the failure of its first call, for the rest of its
life; so the caller never does. This file is its own program: ``driver.py count | free | try``.
"""

import ctypes
import subprocess
import sys
from collections.abc import Mapping

LIBRARY = "libcuda.so.1"
TIMEOUT_SECONDS = 60.0  # a context is seconds, more on a machine of many GPUs that were asleep


class DriverError(Exception):
    """The driver isn't there, or says no; the text is its reason in one line."""


def is_installed() -> bool:
    """Whether there is a driver to ask. Loading it initialises nothing, and costs nothing where it is missing."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def count_gpus() -> int:
    """GPUs that a process with this environment sees; 0 where the driver isn't there or doesn't work."""
    try:
        return ask("count")[0] if is_installed() else 0
    except DriverError:
        return 0


def ask(question: str, environment: Mapping[str, str] | None = None) -> list[int]:
    """What a process with ``environment`` (None: this one's) is told.

    Args:
        question: ``count``, how many GPUs it sees; ``free``, the free bytes of each of them; ``try``, nothing, once
            the first of them let it have a context.

    Raises:
        DriverError: the driver refused.
    """
    command = [sys.executable, "-I", "-S", __file__, question]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DriverError(str(error)) from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise DriverError(said[-1] if said else f"exit status {done.returncode}")
    return [int(word) for word in done.stdout.split()]


class _Driver:
    """The driver in this process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._call("cuInit", ctypes.c_uint(0))

    def count(self) -> int:
        number = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(number))
        return number.value

    def enter(self, index: int) -> None:
        """Make the context of GPU ``index`` the current one."""
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(index))
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)

    def free_bytes(self) -> int:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def _call(self, name: str, *arguments: object) -> None:
        result = getattr(self._library, name)(*arguments)
        if result:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(ctypes.c_int(result), ctypes.byref(text))
            raise DriverError(f"{name}: {(text.value or b'unknown error').decode()} ({result})")


def _main(question: str) -> int:
    try:
        driver = _Driver()
        if question == "count":
            print(driver.count())
            return 0
        for index in range(driver.count() if question == "free" else 1):
            driver.enter(index)
            if question == "free":
                print(driver.free_bytes())
    except (OSError, AttributeError, DriverError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
