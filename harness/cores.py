"""The processor cores that this process may use."""

import os


def available() -> int:
    """How many they are: a scheduler or ``taskset`` may leave a process fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
