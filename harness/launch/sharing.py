"""Runs that share this machine's GPUs: how many fit, what each is told, and CUDA's Multi-Process Service around them.

Without MPS, processes that share a GPU take turns, and what one small model leaves idle no other can use.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from harness.launch.memory import fitting, free_bytes, share
from harness.launch.pool import PoolOptions
from harness.plan.cell import Cell
from harness.train.config import TrainConfig
from harness.train.driver import DriverError, ask
from harness.train.gpus import visible_gpus

CONTROL = "nvidia-cuda-mps-control"
TIMEOUT_SECONDS = 20.0
QUIT = "quit -t 5\n"  # seconds that servers get; their clients are gone by then, or were killed
PREFIX, OWNER = "isoflop-mps-", "owner"


@contextmanager
def mps(say: Callable[[str], None]) -> Iterator[Mapping[str, str]]:
    """Start a daemon of this sweep's own and yield the environment that its clients need; stop it at the end.

    Where the daemon is not installed, may not run or serves nobody, ``say`` hears why and the environment is empty:
    processes then take turns. A user's own daemon (CUDA_MPS_PIPE_DIRECTORY is set) is used as it is.
    """
    if os.environ.get("CUDA_MPS_PIPE_DIRECTORY"):
        say("runs share GPUs by the MPS daemon that CUDA_MPS_PIPE_DIRECTORY names")
        yield {}
        return
    if not shutil.which(CONTROL):
        say(f"no {CONTROL} here: runs that share a GPU take turns on it")
        yield {}
        return
    _sweep(say)
    with ExitStack() as stack:
        folder = stack.enter_context(_own_folder())
        problem = _control(["-d"], folder, "")
        if not problem:
            stack.callback(_stop, folder, say)
            problem = _try(folder)
        if problem:
            stack.close()  # a daemon that serves nobody would be in the way of everybody
            say(f"MPS does not work here ({problem}): runs that share a GPU take turns on it")
            yield {}
            return
        say("runs share GPUs by MPS")
        yield _clients(folder)


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A folder for a daemon, and a lock in it that says, as long as this process lives, that it is owned."""
    # a socket's path may have about a hundred characters, which a sweep's folder easily exceeds
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for path in _clients(folder).values():
            os.mkdir(path)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "lock").rename(folder / OWNER)  # nobody finds it before it is locked
            yield folder


def _sweep(say: Callable[[str], None]) -> None:
    """Stop the daemons of owners that were killed, and remove their folders; others' are left alone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with (
            suppress(OSError),
            (folder / OWNER).open("r+") as lock,
        ):  # no such file, another user's, or locked
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop(folder, say)
            shutil.rmtree(folder, ignore_errors=True)


def _clients(folder: Path) -> dict[str, str]:
    return {"CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log"}


def _try(folder: Path) -> str:
    """Be the first client, for which the daemon starts its server; returns what went wrong, empty where nothing did."""
    try:
        ask("try", {**os.environ, **_clients(folder)})
    except DriverError as error:
        return str(error)
    return ""


def _stop(folder: Path, say: Callable[[str], None]) -> None:
    """Have the daemon in ``folder`` quit, or kill it: it must not outlive the folder by which it can be reached."""
    pid = _pid(folder)
    problem = _control([], folder, QUIT)
    if pid is None or _left(pid, folder, TIMEOUT_SECONDS if not problem else 0.0):
        return
    servers = _children(pid)
    for number in (pid, *servers):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(number, signal.SIGKILL)
    if not _left(pid, folder, 1.0):
        say(f"the MPS daemon does not stop ({problem or 'it was told to quit'}): process {pid}")


def _pid(folder: Path) -> int | None:
    """The daemon's number as it wrote it down, None where no such process is the daemon of ``folder``."""
    try:
        pid = int((folder / "pipe" / f"{CONTROL}.pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if _is_daemon(pid, folder) else None


def _is_daemon(pid: int, folder: Path) -> bool:
    """Whether process ``pid`` was started for ``folder``: numbers are used again."""
    try:
        return f"CUDA_MPS_PIPE_DIRECTORY={folder}/pipe".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _left(pid: int, folder: Path, seconds: float) -> bool:
    """Whether the daemon is gone, within ``seconds``."""
    deadline = time.monotonic() + seconds
    while _is_daemon(pid, folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _control(arguments: list[str], folder: Path, words: str) -> str:
    """Run the control program for ``folder``; returns what went wrong, empty where nothing did.

    The daemon inherits the program's output and stays, so its output goes to a file: a pipe would never end.
    """
    # the daemon numbers the GPUs it sees anew; it sees all, so that the clients' numbers stay what they are
    environment = {**os.environ, **_clients(folder)}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
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


def gpus_of(train: TrainConfig) -> tuple[str, ...]:
    """The GPUs that runs of ``train`` may use."""
    return visible_gpus() if train.device in ("auto", "cuda") else ()


def placed(options: PoolOptions, cells: Sequence[Cell], train: TrainConfig) -> PoolOptions:
    """``options`` on the GPUs of this machine, with no more runs on each than its memory holds, each with its share."""
    gpus = gpus_of(train)
    if gpus and options.workers * options.processes > len(gpus):
        free = free_bytes(gpus)
        workers = min(options.workers, len(gpus) * fitting(cells, train, free))
        runs = -(-workers * options.processes // len(gpus))  # rounded up
        options = replace(options, workers=workers, environment={**options.environment, **share(free, runs)})
    return replace(options, gpus=gpus if len(gpus) > 1 else ())


@contextmanager
def shared_gpus(
    options: PoolOptions, train: TrainConfig, say: Callable[[str], None]
) -> Iterator[PoolOptions]:
    """``options`` with the MPS daemon's environment, where runs share a GPU; ``say`` hears how they do."""
    gpus = gpus_of(train)
    if not gpus or options.workers * options.processes <= len(gpus):
        yield options
        return
    if not options.mps:
        say("runs that share a GPU take turns on it (launcher.mps is off)")
        yield options
        return
    with mps(say) as environment:
        yield replace(options, environment={**options.environment, **environment})
