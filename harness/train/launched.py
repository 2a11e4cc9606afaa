"""Which processes train one run together: what torchrun says in the environment, and nothing that looks like it.

Shells keep such variables from a job of MPI, Slurm or another program, and Accelerate would wait for processes that
nobody started.
"""

import os
import re
import socket
from collections.abc import MutableMapping

from harness.errors import UserError

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun sets, all of it, for every process."""
LEFT_OVER = re.compile(
    r"RANK|WORLD_SIZE|LOCAL_RANK|LOCAL_WORLD_SIZE|PMI_\w+|OMPI_COMM_\w+|MV2_COMM_\w+|MPI_LOCAL\w+|ACCELERATE_\w+|PET_\w+"
)
"""Variables by which Accelerate and torch would make a process one of several, or the run another than was planned."""


def one_process(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Make this process one that trains alone; returns the variables that said otherwise and were removed."""
    found = sorted(name for name in environment if LEFT_OVER.fullmatch(name))
    for name in found:
        del environment[name]
    return found


def as_launched(environment: MutableMapping[str, str] = os.environ) -> str:
    """Keep what torchrun said, and drop all else.

    Returns:
        A line on what was left out; empty where nothing was that counts processes.

    Raises:
        UserError: torchrun's own variables contradict each other, or name a machine that is not there.
    """
    if missing := [name for name in TORCHRUN if name not in environment]:
        given = [name for name in one_process(environment) if name in TORCHRUN]
        if not given:
            return ""
        return f"{', '.join(given)} set without {', '.join(missing)}, so not by torchrun: this process trains alone"
    kept = {name: environment[name] for name in (*TORCHRUN, "LOCAL_WORLD_SIZE") if name in environment}
    one_process(environment)
    environment.update(kept)
    rank, size, local, port = (
        _whole(name, kept[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
    )
    if not 0 <= rank < size or not 0 <= local < size or not 0 < port < 65536:
        said = ", ".join(f"{name}={kept[name]}" for name in TORCHRUN)
        raise UserError(f"train: {said} cannot be; start it with torchrun, or unset them for one process")
    try:
        socket.getaddrinfo(kept["MASTER_ADDR"], port)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"train: MASTER_ADDR={kept['MASTER_ADDR']} is no machine that can be found ({error}); correct it"
        ) from None
    return ""


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(
            f"train: {name}={text} is no whole number; start it with torchrun, or unset it"
        ) from None
