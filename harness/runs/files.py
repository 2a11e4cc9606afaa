"""A sweep is a folder: where each of its files is, and how small files are written whole or not at all."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

Fence = Callable[[], None]
"""Asked right before something gets its name: raises where this process may no longer write there."""


def no_fence() -> None:
    """Nobody else writes there."""


def write_atomic(path: Path, text: str, fence: Fence = no_fence) -> None:
    """Write ``text`` so that a reader, or a kill at any moment, sees the old file or the new one, never a part."""
    open_atomic(path, text, fence).close()


def open_atomic(path: Path, text: str, fence: Fence = no_fence) -> TextIO:
    """As :func:`write_atomic`, and the file stays open: what follows goes to it, whatever gets its name by then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    file = os.fdopen(handle, "w", encoding="utf-8")
    try:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.chmod(name, 0o644)
        fence()
        os.replace(name, path)
    except BaseException:
        file.close()
        Path(name).unlink(missing_ok=True)
        raise
    return file


@contextmanager
def new_folder(final: Path, fence: Fence = no_fence) -> Iterator[Path]:
    """A folder to fill. It becomes ``final``, in place of what was there, when it is left without an error.

    What attempts that were killed have left half-written beside it is removed. An attempt that another has followed
    stops at the fence: it can remove nothing of its follower's, whose folder is not among those seen before.
    """
    fence()
    temporary = None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        stale = list(final.parent.glob(f"{UNFINISHED}*"))
        temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=UNFINISHED))
        os.chmod(temporary, 0o755)
        yield temporary
        fence()
        remove(final)
        temporary.rename(final)
    except BaseException as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            fence()  # the folder may be gone because the run is another's
        raise
    for path in stale:
        remove(path)


UNFINISHED = ".writing-"  # how the names of folders begin that are being filled


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def checkpoint_folders(folder: Path) -> list[Path]:
    """The checkpoints in ``folder``, intact or not, oldest first: folders named by a step in nine digits."""
    try:
        found = [path for path in folder.iterdir() if re.fullmatch("[0-9]{9}", path.name) and path.is_dir()]
    except OSError:
        return []
    return sorted(found)


def write_changed(path: Path, text: str) -> None:
    """Write ``text`` atomically unless the file has it already: its time then says when its content changed."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except (OSError, ValueError):
        pass
    write_atomic(path, text)


def json_text(value: Any) -> str:
    """``value`` as indented JSON. NaN is refused: JSON has none."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: Any, fence: Fence = no_fence) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomic(path, json_text(value), fence)


def up_to_date(target: Path, *sources: Path) -> bool:
    """Whether ``target`` exists and none of ``sources`` is newer, as make understands it."""
    try:
        made = target.stat().st_mtime_ns
        return all(source.stat().st_mtime_ns <= made for source in sources)
    except OSError:
        return False


@dataclass(frozen=True)
class CellFolder:
    """``cells/<run_id>/``: everything one run leaves behind."""

    path: Path

    @property
    def record(self) -> Path:
        """The record; it exists once the run has ended."""
        return self.path / "record.json"

    @property
    def curve(self) -> Path:
        """The training curve, one row per logging interval."""
        return self.path / "curve.csv"

    @property
    def checkpoint(self) -> Path:
        """Folder of checkpoints; removed once the record is written."""
        return self.path / "checkpoint"

    def checkpoint_step(self) -> int:
        """The step of the newest checkpoint, intact or not; 0 without one."""
        return max((int(path.name) for path in checkpoint_folders(self.checkpoint)), default=0)

    @property
    def log(self) -> Path:
        """What the run printed, and why it failed."""
        return self.path / "log.txt"

    @property
    def model(self) -> Path:
        """The exported model, where asked for."""
        return self.path / "model"


@dataclass(frozen=True)
class SweepFolder:
    """``runs/<name>/``: copy it and you have copied the experiment."""

    path: Path

    @property
    def config(self) -> Path:
        """The composed configuration the plan was made from."""
        return self.path / "config.yaml"

    @property
    def plan(self) -> Path:
        """The frozen plan."""
        return self.path / "plan.json"

    @property
    def table(self) -> Path:
        """The table of runs: what the fit reads."""
        return self.path / "runs.csv"

    @property
    def ablations(self) -> Path:
        """What other learning rates and longer schedules give at each budget's best cell."""
        return self.path / "controls.json"

    @property
    def tuning(self) -> Path:
        """What a tuning found, in the tuning's own folder."""
        return self.path / "tune.json"

    @property
    def tuned_in(self) -> "SweepFolder":
        """The folder that this sweep's recipe is tuned in: beside it."""
        return SweepFolder(self.path.parent / f"{self.path.name}-tune")

    @property
    def fit(self) -> Path:
        """The fit."""
        return self.path / "fit.json"

    @property
    def figures(self) -> Path:
        """Folder of figures."""
        return self.path / "figures"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def cells(self) -> Path:
        """The folders of all runs."""
        return self.path / "cells"

    def cell(self, run_id: str) -> CellFolder:
        """The folder of one run."""
        return CellFolder(self.cells / run_id)
