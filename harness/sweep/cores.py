"""This machine's CPU cores, dealt out to processes that compile."""

import os
from collections.abc import Mapping

VARIABLE = "TORCHINDUCTOR_COMPILE_THREADS"


def compile_threads(processes: int) -> Mapping[str, str]:
    """The environment by which ``processes`` at once compile on this machine's cores, each on its share of them.

    torch would start a pool of up to 32 in each. Empty where the user has said how many.
    """
    if VARIABLE in os.environ:
        return {}
    return {VARIABLE: str(max(1, len(os.sched_getaffinity(0)) // max(1, processes)))}
