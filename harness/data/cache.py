"""The cache of prepared corpora: folders that appear whole or not at all, each made by one process at a time.

In such a folder a split's tokens are written, and hashed, as documents come; the user sees how far that is.
"""

import errno
import hashlib
import os
import shutil
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.data.meta import offsets_file, tokens_file
from harness.errors import UserError
from harness.files import remove, sync_folder
from harness.text import count, duration

try:
    import fcntl
except (
    ImportError
):  # pragma: no cover - Windows: two processes may both do the work, the first to finish wins
    fcntl = None  # type: ignore[assignment]

INTERVAL = 0.25  # seconds between lines of progress that replace each other
PLAIN_INTERVAL = 20.0  # and between those that stay, without a terminal
FIRST = 3.0  # seconds before the first line at the latest


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold the lock file ``path``; the system releases it however this process ends.

    Yields:
        Whether it is held: some network file systems have no locks, and work must go on without.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield fcntl is not None and _lock(file.fileno(), waiting)


@contextmanager
def building(folder: Path, clean: bool) -> Iterator[Path]:
    """A temporary folder that becomes ``folder`` when the block ends well, and is removed when it does not.

    Where another process was first, its folder stays. A folder that is there when the block begins is taken
    to be damaged, and replaced.

    Args:
        clean: also remove what a killed process left; only for the process that holds the lock.
    """
    prefix = f".{folder.name}.building-"
    if clean:
        for left in folder.parent.glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
    damaged = os.path.lexists(folder)
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if damaged:
            remove(folder)  # of a link, to a folder on another disk, only the link
        _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def writes_to(cache_dir: Path) -> Iterator[None]:
    """Name ``cache_dir`` in the error where it cannot be written.

    Raises:
        UserError: the disk is full, or the folder may not be written.
    """
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


class SplitWriter:
    """Appends documents to one split of a corpus folder.

    Attributes:
        tokens, bytes: written so far; tokens include the separators.
    """

    def __init__(self, folder: Path, split: str, dtype: str, separator: int) -> None:
        self._offsets_file = offsets_file(folder, split)
        self._file = tokens_file(folder, split).open("wb", buffering=1 << 20)
        self._hash = hashlib.sha256()
        self._dtype = np.dtype(dtype)
        self._separator = np.array([separator], dtype).tobytes()
        self._offsets = array("q", [0])
        self.tokens = 0
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def documents(self) -> int:
        """Documents written so far."""
        return len(self._offsets) - 1

    def add(self, ids: NDArray[Any], size: int) -> None:
        """Append one document of ``size`` bytes of text, and the separator."""
        data = ids.astype(self._dtype, copy=False).tobytes() + self._separator
        self._file.write(data)
        self._hash.update(data)
        self.tokens += len(ids) + 1
        self.bytes += size
        self._offsets.append(self.tokens)

    def finish(self) -> str:
        """Everything to disk; the SHA-256 of the token file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        with self._offsets_file.open("wb") as file:
            np.save(file, np.frombuffer(self._offsets, dtype=np.int64))
            file.flush()
            os.fsync(file.fileno())
        return self._hash.hexdigest()


def token_dtype(vocab_size: int) -> str:
    """The smallest little-endian unsigned type that holds every id."""
    return "<u1" if vocab_size <= 1 << 8 else "<u2" if vocab_size <= 1 << 16 else "<u4"


class ProgressReporter:
    """Tells ``report`` how far the corpus ``name`` is, a line of text at a time.

    Args:
        interval: seconds between two lines; the first comes after :data:`FIRST` at the latest. What ``report`` shows is
            short-lived where that is less than a second, and otherwise stays on the screen.
    """

    def __init__(
        self, name: str, report: Callable[[str], None] | None, interval: float | None = None
    ) -> None:
        self._name = name
        self._report = report
        self._interval = INTERVAL if interval is None else interval
        self._start = time.monotonic()
        self._next = self._start + min(self._interval, FIRST)
        self._said = False
        self._line = ""

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._start

    def say(self, what: str) -> None:
        """Report ``what`` now, whenever the last line was."""
        self._next = time.monotonic() + self._interval
        self._said = True
        if self._report:
            self._report(f"corpus {self._name}: {what}")

    def sampled(self, size: int, wanted: int) -> None:
        """The tokenizer has been fed ``size`` bytes of about ``wanted``."""
        self._line = f"training the tokenizer, {size / 1e6:,.0f} of about {wanted / 1e6:,.0f} MB read"
        self._say_when_due()

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Report the last line again and again, with the time, while the block does something that says nothing."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(min(self._interval, FIRST)):
                if self._line and time.monotonic() >= self._next:
                    self.say(f"{self._line}, {duration(self.seconds)}")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._line = ""

    def encoded(self, documents: int, size: int, tokens: int, seconds: float, share: float) -> None:
        """So much has been tokenised, in ``seconds``: ``size`` bytes, the ``share`` of all text, 0 where unknown."""
        if time.monotonic() >= self._next:
            left = f", {duration(seconds * (1 - share) / share)} left" if 0 < share <= 1 else ""
            percent = f"{share:.0%}, " if share else ""
            self.say(f"{percent}{_amount(documents, size, tokens)}, {_rate(size, seconds)}{left}")

    def done(self, documents: int, size: int, tokens: int, seconds: float) -> None:
        """All of it has been: a last line, where there were others that stay."""
        if self._said and self._interval >= 1:
            self.say(
                f"{_amount(documents, size, tokens)} in {duration(self.seconds)}, {_rate(size, seconds)}"
            )

    def _say_when_due(self) -> None:
        if time.monotonic() >= self._next:
            self.say(self._line)


def _amount(documents: int, size: int, tokens: int) -> str:
    return f"{documents:,} documents, {size / 1e6:,.1f} MB, {count(tokens)} tokens"


def _rate(size: int, seconds: float) -> str:
    return f"{size / 1e6 / seconds:,.1f} MB/s" if seconds else "? MB/s"


def _lock(handle: int, waiting: Callable[[], None]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    else:
        sync_folder(folder.parent)
