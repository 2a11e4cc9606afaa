"""A sweep is a folder: where each of its files is, and how small files are written whole or not at all."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UserError
from harness.files import (
    Fence,
    no_fence,
    refuse_endless,
    remove,
    strict_json,
    unseal,
    unseal_text,
    write_atomic,
)

T = TypeVar("T")


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Whatever goes wrong inside with the content of ``path`` is one line that says what mends it.

    Raises:
        UserError: the content is not what is expected there.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: not what was written ({error}); {remedy}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, EOFError) as error:
        if isinstance(error, KeyError):
            what = f"without {error}"
        else:
            what = (
                " ".join(str(error).split())
                if isinstance(error, ValueError | EOFError)
                else "of another form"
            )
        raise UserError(f"{path}: not what was written ({what[:200]}); {remedy}") from None


def read_json(path: Path, remedy: str, parse: Callable[[Any], T]) -> T:
    """What ``parse`` makes of the JSON at ``path``, which is as it was written where that can be told.

    Raises:
        OSError: there is no such file, or it cannot be read.
        UserError: it is damaged, or no file.
    """
    refuse_endless(path)
    content = path.read_bytes()
    with reading(path, remedy):
        data = strict_json(content)
        return parse(unseal(data) if isinstance(data, dict) else data)


def read_text(path: Path, remedy: str) -> str:
    """The text at ``path`` without its seal (:func:`harness.files.seal_text`); raises as :func:`read_json`."""
    refuse_endless(path)
    content = path.read_bytes()
    with reading(path, remedy):
        return unseal_text(content.decode("utf-8"))


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


PREDICTION = "prediction.json"  # a validation's, in its sweep's folder
UNFINISHED = ".writing-"  # how the names of folders begin that are being filled


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


def set_aside(path: Path) -> Path | None:
    """Copy ``path``, which is about to be replaced, to a name beside it that is free; None where there is no file."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    number = 1
    while (kept := path.with_name(f"{path.name}.before-{number}")).exists():
        if kept.read_bytes() == content:
            return kept
        number += 1
    kept.write_bytes(content)
    return kept


def replace_text(path: Path, text: str) -> str:
    """Write ``text`` atomically; returns ``"; what was there is kept as …"`` where it replaced something else."""
    same = path.exists() and path.read_bytes() == text.encode("utf-8")
    kept = None if same else set_aside(path)
    write_atomic(path, text)
    return f"; what was there is kept as {kept}" if kept else ""


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
    def tasks(self) -> Path:
        """What the model scores on benchmark tasks."""
        return self.path / "tasks.json"

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
    def rounds(self) -> Path:
        """The rounds of a tuning, or of an active design, as they were chosen."""
        return self.path / "rounds.json"

    @property
    def tuned_in(self) -> "SweepFolder":
        """The folder that this sweep's recipe is tuned in: beside it."""
        return SweepFolder(self.path.parent / f"{self.path.name}-tune")

    @property
    def fit(self) -> Path:
        """The fit."""
        return self.path / "fit.json"

    @property
    def tasks(self) -> Path:
        """Folder of the tasks that models were scored on, and of what was fitted to the scores."""
        return self.path / "tasks"

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
