"""Folders that appear whole or not at all, and are made by one process at a time."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UserError

try:
    import fcntl
except (
    ImportError
):  # pragma: no cover - Windows: two processes may both do the work, the first to finish wins
    fcntl = None  # type: ignore[assignment]


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold the lock file ``path``; the system releases it however this process ends.

    Yields:
        Whether it is held: some network file systems have no locks, and work must go on without.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield fcntl is not None and _lock(file.fileno(), waiting)


def _lock(handle: int, waiting: Callable[[], None]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


@contextmanager
def building(folder: Path, clean: bool) -> Iterator[Path]:
    """A temporary folder that becomes ``folder`` when the block ends well, and is removed when it does not.

    Where another process was first, its folder stays. A folder that is there when the block begins is taken
    to be damaged, and replaced.

    Args:
        clean: also remove what a killed process left; only for who holds the lock.
    """
    prefix = f".{folder.name}.building-"
    if clean:
        for left in folder.parent.glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
    damaged = folder.exists()
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if damaged:
            shutil.rmtree(folder, ignore_errors=True)
        _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    else:
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # not every file system can; the rename itself is done
        pass
    finally:
        os.close(handle)


@contextmanager
def writes_to(cache_dir: Path) -> Iterator[None]:
    """A full disk or a folder that may not be written becomes one clear line."""
    try:
        yield
    except OSError as error:
        what = (
            "the disk is full"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else error.strerror or str(error)
        )
        raise UserError(
            f"cache_dir={cache_dir}: cannot keep the tokenised corpus there ({what}); name another folder"
        ) from error
