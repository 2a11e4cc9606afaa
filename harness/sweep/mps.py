"""CUDA's Multi-Process Service for the lifetime of a sweep: kernels of several processes run on a GPU at once.

Without it processes that share a GPU take turns, and what one small model leaves idle no other can use.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

CONTROL = "nvidia-cuda-mps-control"
TIMEOUT_SECONDS = 20.0


@contextmanager
def mps(say: Callable[[str], None]) -> Iterator[Mapping[str, str]]:
    """Start a daemon of this sweep's own and yield the environment that its clients need; stop it at the end.

    Where the daemon is not installed or may not run, ``say`` hears why and the environment is empty: processes
    then take turns. A user's own daemon (CUDA_MPS_PIPE_DIRECTORY is set) is used as it is.
    """
    if os.environ.get("CUDA_MPS_PIPE_DIRECTORY"):
        say("runs share GPUs by the MPS daemon that CUDA_MPS_PIPE_DIRECTORY names")
        yield {}
        return
    if not shutil.which(CONTROL):
        say(f"no {CONTROL} here: runs that share a GPU take turns on it")
        yield {}
        return
    # a socket's path may have about a hundred characters, which a sweep's folder easily exceeds
    with tempfile.TemporaryDirectory(prefix="isoflop-mps-") as folder:
        clients = {"CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log"}
        for path in clients.values():
            os.mkdir(path)
        # the daemon numbers the GPUs it sees anew; it sees all, so that the clients' numbers stay what they are
        environment = {**os.environ, **clients}
        environment.pop("CUDA_VISIBLE_DEVICES", None)
        problem = _control(["-d"], environment, "")
        if problem:
            say(f"MPS does not start ({problem}): runs that share a GPU take turns on it")
            yield {}
            return
        say("runs share GPUs by MPS")
        try:
            yield clients
        finally:
            _control([], environment, "quit\n")


def _control(arguments: list[str], environment: Mapping[str, str], words: str) -> str:
    """Run the control program; returns what went wrong, empty where nothing did.

    The daemon inherits the program's output and stays, so its output goes to a file: a pipe would never end.
    """
    with tempfile.TemporaryFile("w+") as output:
        try:
            done = subprocess.run(
                [CONTROL, *arguments],
                env=environment,
                input=words,
                text=True,
                stdout=output,
                stderr=output,
                timeout=TIMEOUT_SECONDS,
            )
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)
        output.seek(0)
        said = output.read().strip().splitlines()
    return (said[-1] if said else f"exit status {done.returncode}") if done.returncode else ""
