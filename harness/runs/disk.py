"""What stands on disk in a sweep's folder, by kind. Only what this program is known to write is of a kind.

Everything else is ``other``. Symbolic links are neither followed nor counted: behind them lies somebody else's.
"""

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.runs.files import UNFINISHED, SweepFolder

CHECKPOINTS, MODELS, LOGS, LEFTOVERS = "checkpoints", "models", "logs", "leftovers"
REMOVABLE = (CHECKPOINTS, MODELS, LOGS, LEFTOVERS)
"""Kinds that may be removed; no other ever is."""
RECORDS, CURVES, WANDB, CACHES, OTHER = "records", "curves", "W&B files", "token caches", "other"
KINDS = (RECORDS, CURVES, *REMOVABLE, WANDB, CACHES, OTHER)

LEFT_SECONDS = 3600.0  # what nobody has written to for that long is of a process that was killed
REMOVED = f"{UNFINISHED}removed-"  # how the names of folders begin that are being removed
RUN_ID = re.compile(r"[0-9a-f]{12}")
STEP = re.compile(r"[0-9]{9}")
CHECKPOINT_FILES = re.compile(r"state\.json|tensors\.safetensors")
# what transformers writes of a model and a tokenizer (save_pretrained)
MODEL_FILES = re.compile(
    r"(generation_|special_tokens_|tokenizer_|added_|preprocessor_)?(config|map|tokens)\.json"
    r"|(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?"
    r"|tokenizer\.(json|model)|vocab\.(json|txt)|merges\.txt|chat_template\.(jinja|json)|spiece\.model"
)
# write_atomic's files before they have their names: '.plan.json.k3_x9a0b'
TEMPORARY = re.compile(r"\.[\w-]+\.(json|yaml|csv|html|md|npz|txt|sbatch)\.[a-z0-9_]{8}")
CLAIM = re.compile(r"claim(\.[0-9a-f]{32})?\.json|\.claim\.[0-9a-f]{32}")


@dataclass(frozen=True)
class Item:
    """One file, or a folder that goes as a whole.

    Attributes:
        kind: one of :data:`KINDS`.
        size: bytes of its files; ``frees`` those that no other name has.
        written: when it, or the last file in it, was written, seconds since 1970.
        run_id: the run that it is of; empty where it is the sweep's.
    """

    kind: str
    path: Path
    size: int
    frees: int
    written: float
    run_id: str = ""


@dataclass(frozen=True)
class Survey:
    """What a sweep's folder has; ``links`` are symbolic links, which are left alone with all that is behind them."""

    items: tuple[Item, ...]
    links: tuple[Path, ...]

    def sizes(self) -> dict[str, int]:
        """Bytes by kind, for the kinds that are there."""
        found: Counter[str] = Counter()
        for item in self.items:
            found[item.kind] += item.size
        return {kind: found[kind] for kind in KINDS if kind in found}

    @property
    def total(self) -> int:
        """All bytes."""
        return sum(item.size for item in self.items)


def survey(folder: SweepFolder, cache: Path | None = None) -> Survey:
    """Look at everything in ``folder`` once; what vanishes or cannot be read meanwhile is left out.

    Args:
        cache: where the sweep's corpora are kept; of interest where that is within the folder.
    """
    items: list[Item] = []
    links: list[Path] = []
    for entry in _entries(folder.path):
        path = folder.path / entry.name
        if entry.is_symlink():
            links.append(path)
        elif path == folder.cells and entry.is_dir():
            _cells(path, items, links)
        elif cache is not None and cache.is_relative_to(path):
            _tree(path, CACHES, items, links)
        elif entry.name == "wandb" and entry.is_dir():
            _tree(path, WANDB, items, links)
        elif entry.is_dir() and (path / "submitted.json").is_file():
            _submissions(path, items, links)
        elif entry.is_dir():
            _tree(path, OTHER, items, links)
        else:
            items.append(_item(LEFTOVERS if TEMPORARY.fullmatch(entry.name) else OTHER, path, [entry]))
    return Survey(tuple(items), tuple(links))


def removable(
    found: Survey,
    kinds: Collection[str],
    ended: Callable[[str], bool],
    busy: Callable[[str], bool],
    now: float,
) -> list[Item]:
    """The items of ``kinds`` that nothing needs: of runs that have ended and that nobody is at.

    A run that has not ended needs its checkpoints to go on and its log to say why; what was written just now may still
    be written to.

    Args:
        ended: whether a run has a valid record that says finished or diverged; asked only of runs in question.
        busy: whether somebody holds or waits for a run; an empty id is the sweep as a whole.
    """
    free: dict[str, bool] = {}
    chosen = []
    for item in found.items:
        if item.kind not in kinds or item.kind not in REMOVABLE:
            continue
        fresh = now - item.written < LEFT_SECONDS and not item.path.name.startswith(REMOVED)
        if item.kind == LEFTOVERS and fresh:
            continue
        if (
            item.run_id or item.kind != LEFTOVERS
        ):  # the sweep's own unfinished files need no run to have ended
            if item.run_id not in free:
                free[item.run_id] = (not item.run_id or ended(item.run_id)) and not busy(item.run_id)
            if not free[item.run_id]:
                continue
        chosen.append(item)
    return chosen


def shared_runs(folder: SweepFolder) -> dict[str, str]:
    """By run id, the sweep beside ``folder`` whose ``cells``, or a run in it, is a symbolic link to this sweep's."""
    own = folder.cells.resolve()
    found: dict[str, str] = {}
    for entry in _entries(folder.path.parent):
        cells = Path(entry.path) / "cells"
        if cells.resolve() == own and cells.is_symlink():
            found.update({one.name: entry.name for one in _entries(own)})
            continue
        if cells.is_symlink():
            continue
        for one in _entries(cells):
            if one.is_symlink():
                target = Path(one.path).resolve()
                if target.parent == own:
                    found[target.name] = entry.name
    return found


def _cells(cells: Path, items: list[Item], links: list[Path]) -> None:
    for entry in _entries(cells):
        path = cells / entry.name
        if entry.is_symlink():
            links.append(path)
        elif not entry.is_dir() or not RUN_ID.fullmatch(entry.name):
            _tree(path, OTHER, items, links, entry.name if RUN_ID.fullmatch(entry.name) else "")
        else:
            _cell(path, entry.name, items, links)


def _cell(cell: Path, run_id: str, items: list[Item], links: list[Path]) -> None:
    named = {"record.json": RECORDS, "curve.csv": CURVES, "log.txt": LOGS}
    for entry in _entries(cell):
        path = cell / entry.name
        if entry.is_symlink():
            links.append(path)
        elif entry.is_dir(follow_symlinks=False):
            if entry.name == "checkpoint":
                _checkpoints(path, run_id, items, links)
            elif entry.name == "model":
                _whole(path, MODELS, MODEL_FILES, run_id, items, links)
            elif entry.name.startswith(UNFINISHED):
                _unfinished(path, run_id, items, links)
            else:
                _tree(path, OTHER, items, links, run_id)
        else:
            left = TEMPORARY.fullmatch(entry.name) or CLAIM.fullmatch(entry.name)
            kind = named.get(entry.name, LEFTOVERS if left else OTHER)
            items.append(_item(kind, path, [entry], run_id))


def _checkpoints(folder: Path, run_id: str, items: list[Item], links: list[Path]) -> None:
    for entry in _entries(folder):
        path = folder / entry.name
        if entry.is_symlink():
            links.append(path)
        elif entry.is_dir() and STEP.fullmatch(entry.name):
            _whole(path, CHECKPOINTS, CHECKPOINT_FILES, run_id, items, links)
        elif entry.is_dir() and entry.name.startswith(UNFINISHED):
            _unfinished(path, run_id, items, links)
        else:
            _tree(path, OTHER, items, links, run_id)


def _unfinished(folder: Path, run_id: str, items: list[Item], links: list[Path]) -> None:
    """A folder that was being filled, or removed: a checkpoint or a model."""
    known = re.compile(f"{CHECKPOINT_FILES.pattern}|{MODEL_FILES.pattern}")
    _whole(folder, LEFTOVERS, known, run_id, items, links)


def _whole(
    folder: Path, kind: str, known: re.Pattern[str], run_id: str, items: list[Item], links: list[Path]
) -> None:
    """A folder that goes as a whole, where it has no file but ``known`` ones; else it is ``other`` and stays."""
    entries = _entries(folder)
    if all(
        entry.is_file(follow_symlinks=False) and known.fullmatch(entry.name) for entry in entries
    ) and os.access(folder, os.R_OK):
        items.append(_item(kind, folder, entries, run_id))
    else:
        _tree(folder, OTHER, items, links, run_id)


def _submissions(folder: Path, items: list[Item], links: list[Path]) -> None:
    """A launcher's folder: the logs of its jobs are logs."""
    for path, entry in _files(folder, links):
        is_log = path.suffix == ".txt" and path.parent.name == "logs" and path.parent.parent.parent == folder
        kind = LOGS if is_log else LEFTOVERS if TEMPORARY.fullmatch(path.name) else OTHER
        items.append(_item(kind, path, [entry]))


def _tree(path: Path, kind: str, items: list[Item], links: list[Path], run_id: str = "") -> None:
    """All below ``path``, one item."""
    files = [entry for _, entry in _files(path, links)]
    items.append(_item(kind, path, files, run_id))


def _files(path: Path, links: list[Path]) -> Iterator[tuple[Path, "os.DirEntry[str]"]]:
    for entry in _entries(path):
        if entry.is_symlink():
            links.append(Path(entry.path))
        elif entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), links)
        else:
            yield Path(entry.path), entry


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _item(kind: str, path: Path, files: Iterable["os.DirEntry[str]"], run_id: str = "") -> Item:
    size = frees = 0
    written = 0.0
    for entry in files:
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        size += found.st_size if stat.S_ISREG(found.st_mode) else 0
        frees += found.st_size if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 else 0
        written = max(written, found.st_mtime)
    return Item(kind, path, size, frees, written, run_id)
