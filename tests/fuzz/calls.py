"""A command of the program in this process: how it ended, what it printed and what it wrote."""

import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import FrameType

from harness.cli import main
from harness.errors import EXIT_USER_ERROR

LIMIT = 30  # seconds after which a command is taken to hang
LONGEST = 600  # characters of a line that is still read
# Words of the libraries below, and of Python, that no message may pass through.
FOREIGN = re.compile(
    r"Traceback|multirun|hydra\.cc|HYDRA_FULL_ERROR|[Oo]mega[Cc]onf|full_key|object_type|<class '|Error:|Errno"
    r"|errno|\bNoneType\b|object has no attribute|DictConfig|ListConfig|\bNode\b|yaml\.|0x[0-9a-f]{8}"
)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        error: the exception that was not the program's own way out, None as it should be.
        written: files and folders that are new or changed below the folder it ran in.
    """

    arguments: tuple[str, ...]
    status: int
    out: str
    err: str
    seconds: float
    error: BaseException | None
    written: tuple[str, ...]

    def faults(self) -> list[str]:
        """What is wrong with it as the answer to a user's mistake; none where the command did what was asked."""
        found = []
        if self.error is not None:
            found.append(f"{type(self.error).__name__}: {str(self.error)[:300]}")
        if self.status == 0 and self.error is None:
            return found
        lines = self.err.rstrip("\n").split("\n")
        if self.status != EXIT_USER_ERROR:
            found.append(f"exit status {self.status}")
        if len(lines) != 1:
            found.append(f"{len(lines)} lines")
        if not lines[-1].startswith("isoflop: "):
            found.append("no line of the program's")
        if len(lines[-1]) > LONGEST:
            found.append(f"{len(lines[-1])} characters")
        if foreign := FOREIGN.search(self.err):
            found.append(f"says {foreign[0]!r}")
        if unseen := re.search(r"[\x00-\x08\x0b-\x1f\x7f]", self.err):
            found.append(f"prints {unseen[0]!r}")
        if self.written:
            found.append(f"wrote {', '.join(self.written[:3])}")
        return found

    def assert_one_line(self) -> None:
        """It was refused: one line that says so, exit status 2, nothing written."""
        assert not self.faults(), self._shown()
        assert self.status == EXIT_USER_ERROR, f"it was not refused: {self._shown()}"

    def assert_done_or_one_line(self) -> None:
        """It did what was asked, or it was refused as above."""
        assert not self.faults(), self._shown()

    def _shown(self) -> str:
        return f"{self.arguments}: {self.faults()}\n{self.out[-500:]}\n{self.err[-1500:]}"


class HangError(BaseException):
    """It took longer than :data:`LIMIT`. No ``Exception``, which somebody might handle."""


@contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise HangError(f"no end after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """What is below ``folder``: sizes and times by name."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def call(arguments: Sequence[str], folder: Path) -> Ended:
    """``isoflop`` with ``arguments``; ``folder`` is looked at for what it wrote."""
    before = contents(folder)
    out, err = StringIO(), StringIO()
    status, error = 0, None
    began = time.monotonic()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            with _limited():
                main(list(arguments))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except (Exception, HangError) as found:
            error = found
    after = contents(folder)
    written = tuple(name for name in after if after[name] != before.get(name))
    return Ended(
        tuple(arguments), status, out.getvalue(), err.getvalue(), time.monotonic() - began, error, written
    )
