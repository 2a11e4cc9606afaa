"""What a sweep's folder has on disk, and the removal of what nothing needs any more.

Whatever the moment at which it is stopped, every record, curve, plan and fit is as it was: a folder is renamed to that
of an unfinished write first, which nobody reads, and then removed.
"""

import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.registry import queue_of
from harness.runs.claim import holder, take
from harness.runs.disk import (
    CHECKPOINTS,
    LEFTOVERS,
    LOGS,
    MODELS,
    REMOVABLE,
    REMOVED,
    Item,
    Survey,
    removable,
    shared_runs,
    survey,
)
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.text import counted, data_size
from harness.workflow.arms import arm_folders, refuse_unplanned
from harness.workflow.disk import ALWAYS, busy_in, has_ended, is_claimed
from harness.workflow.rules import sweep_folder
from harness.workflow.terminal import say, show_table


@dataclass(frozen=True)
class Chosen:
    """What of a sweep would be removed, ``items``; ``kept`` says of what was asked for and stays, why."""

    folder: SweepFolder
    found: Survey
    items: tuple[Item, ...]
    kept: tuple[str, ...]


def folders_to_clean(config: Config, console: Console) -> list[SweepFolder]:
    """The sweep and its arms, or without a name all sweeps of ``runs_dir``; raises UserError where there is none."""
    if config.name:
        refuse_unplanned(config)
        own = sweep_folder(config)
        found = [one for one in (own, *arm_folders(config).values()) if one.path.is_dir()]
        if not any(_is_sweep(one.path) for one in found):
            frozen_plan(own)  # says so, and which name may be meant
        return found
    runs = Path(config.runs_dir).expanduser()
    paths = sorted(path for path in runs.glob("*") if path.is_dir() and _is_sweep(path))
    for path in (path for path in paths if path.is_symlink()):
        say(f"{path}: a symbolic link, left out; name={path.name} follows it", console)
    found = [SweepFolder(path) for path in paths if not path.is_symlink()]
    if not found:
        raise UserError(f"runs_dir: no sweep in {runs}; set runs_dir, or name a sweep")
    return found


def _is_sweep(path: Path) -> bool:
    """Whether a sweep was planned there: in any other folder nothing is known to be this program's."""
    return (path / "plan.json").is_file()


def kinds_of(what: Sequence[str]) -> tuple[str, ...]:
    """The kinds that ``what`` names, by default :data:`ALWAYS`; raises UserError for one that is none."""
    for one in what:
        if one not in REMOVABLE:
            raise UserError(f"what: '{one}' is none of {', '.join(REMOVABLE)}; nothing else is ever removed")
    return tuple(dict.fromkeys(what)) or ALWAYS


def choose(folder: SweepFolder, kinds: Collection[str], cache: Path | None) -> Chosen:
    """What of ``kinds`` nothing in ``folder`` needs."""
    found = survey(folder, cache)
    queue = queue_of(folder, set())
    shared = shared_runs(folder) if MODELS in kinds else {}
    items = removable(
        found, kinds, lambda run_id: has_ended(folder, run_id), busy_in(folder, queue), time.time()
    )
    kept = (
        [f"symbolic links, left alone with what is behind them: {_listed(found.links)}"]
        if found.links
        else []
    )
    models = [item for item in items if item.kind == MODELS and item.run_id in shared]
    if models:
        names = sorted({shared[item.run_id] for item in models})
        kept.append(f"{counted(len(models), 'model')} kept: {', '.join(names)} has links to these runs")
        items = [item for item in items if item not in models]
    asked = {item.run_id for item in found.items if item.kind in kinds and item.kind != LEFTOVERS}
    needed = asked - {item.run_id for item in items} - {item.run_id for item in models} - {""}
    if needed:
        kept.append(f"{counted(len(needed), 'run')} left alone: not ended, or somebody is at them")
    if LOGS in kinds and queue.problem:
        kept.append(f"logs of jobs kept: the queue is not known ({queue.problem})")
    return Chosen(folder, found, tuple(items), tuple(kept))


def show(chosen: Chosen, console: Console) -> None:
    """A table of what stands on disk, by kind, and of that what would go."""
    folder, found = chosen.folder, chosen.found
    say(f"{folder.path}: {data_size(found.total)}", console)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("", "files", "size", "frees"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for kind, size in found.sizes().items():
        frees = [item.frees for item in chosen.items if item.kind == kind]
        number = sum(item.kind == kind for item in found.items)
        freed = f"{data_size(sum(frees))} of {len(frees)}" if frees else ""
        table.add_row(f"  {kind}", f"{number:,}", data_size(size), freed)
    show_table(table, console)
    for line in (*chosen.kept, *_consequence(chosen)):
        say(f"  {line}", console)


def _consequence(chosen: Chosen) -> list[str]:
    models = [item.run_id for item in chosen.items if item.kind == MODELS]
    if not models:
        return []
    unscored = sum(not chosen.folder.cell(run_id).tasks.exists() for run_id in models)
    return [
        f"models: without them 'isoflop evaluate' cannot score tasks of {counted(len(models), 'run')} any more "
        f"({unscored} not scored so far): only training again brings a model back"
    ]


def remove_chosen(chosen: Chosen) -> tuple[int, list[str]]:
    """Remove what was chosen; returns the bytes that are free now, and what could not be removed and why.

    Every item is looked at again, and those of a run are removed under its claim, so that nobody begins it meanwhile.
    """
    freed, problems = 0, list[str]()
    by_run: dict[str, list[Item]] = {}
    for item in chosen.items:
        by_run.setdefault(item.run_id, []).append(item)
    for run_id, items in by_run.items():
        try:
            freed += _of_run(chosen.folder, run_id, items) if run_id else _all(chosen.folder, items)
        except OSError as error:
            problems.append(f"{error.filename or chosen.folder.path}: {error.strerror or error}")
    return freed, problems


def _of_run(folder: SweepFolder, run_id: str, items: Sequence[Item]) -> int:
    """Remove ``items`` of one run; returns the bytes that are free now."""
    cell = folder.cell(run_id).path
    if cell.is_symlink() or folder.cells.is_symlink() or is_claimed(cell):
        return 0
    owner = holder(cell)
    claim = take(cell, (owner.token,) if owner else ())
    if claim is None:
        return 0
    with claim:
        if not has_ended(folder, run_id):
            return 0
        freed = _all(folder, (item for item in items if not item.path.name.startswith("claim")))
    # the dead claims went with ours, but for those whose first one was gone already: their names are nobody's any more
    orphans = [
        item for item in items if item.path.name.startswith("claim.") and item.path.name != "claim.json"
    ]
    return freed + _all(folder, orphans)


def _all(folder: SweepFolder, items: Iterable[Item]) -> int:
    freed = 0
    for item in items:
        try:
            freed += item.frees if _remove(folder, item) else 0
        except FileNotFoundError:  # somebody else was faster
            continue
    return freed


def _remove(folder: SweepFolder, item: Item) -> bool:
    """Remove one item; False where there is a symbolic link by now, on the way to it or in its place.

    Raises:
        OSError: it cannot be removed.
    """
    path = item.path
    inside = [parent for parent in path.parents if parent != folder.path and folder.path in parent.parents]
    if any(one.is_symlink() for one in (path, *inside)):
        return False
    if not path.is_dir():
        path.unlink()
        return True
    if not path.name.startswith(REMOVED):  # a model that has lost some of its files would be taken for one
        empty = Path(tempfile.mkdtemp(dir=path.parent, prefix=REMOVED))
        try:
            path = path.rename(empty)
        except OSError:
            empty.rmdir()
            raise
    shutil.rmtree(path)
    if item.kind == CHECKPOINTS and not any(item.path.parent.iterdir()):
        item.path.parent.rmdir()
    return True


def _listed(paths: Sequence[Path], most: int = 3) -> str:
    more = f" and {len(paths) - most} more" if len(paths) > most else ""
    return ", ".join(map(str, paths[:most])) + more
