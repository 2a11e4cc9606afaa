"""Which files of a sweep nothing needs any more, and how much of the disk it takes."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from harness.config.schema import Config
from harness.launch.launcher import Queue
from harness.launch.queued import is_queued
from harness.runs.claim import gone, holder
from harness.runs.disk import CHECKPOINTS, LEFT_SECONDS, LEFTOVERS, MODELS, removable, survey
from harness.runs.files import SweepFolder
from harness.runs.record import FAILED, read_record
from harness.text import data_size

ALWAYS = (CHECKPOINTS, LEFTOVERS)
"""What is removed where nothing is named: no answer, and nothing that anybody looks at, depends on it."""
ANY_SWEEP = 1_000_000  # bytes below which status gives no advice


def has_ended(folder: SweepFolder, run_id: str) -> bool:
    """Whether the run has a valid record and is never trained again."""
    record = read_record(folder.cell(run_id).record, run_id)
    return record is not None and record.status != FAILED


def busy_in(folder: SweepFolder, queue: Queue) -> Callable[[str], bool]:
    """Whether somebody is at a run of the sweep, or waits for it; an empty id asks for the logs of the sweep's jobs."""
    waiting = {
        run_id for run_id, place in queue.places.items() if place.state is not None and is_queued(place.state)
    }
    unanswered = any(place.submission.unanswered for place in queue.places.values())
    # logs are what finds a submission that was never answered, and what says why a task failed
    open_ = not all(has_ended(folder, run_id) for run_id in queue.places)
    whole = bool(queue.problem or queue.dependent or waiting or unanswered or open_)
    return lambda run_id: run_id in waiting or is_claimed(folder.cell(run_id).path) if run_id else whole


def is_claimed(cell: Path) -> bool:
    """Whether somebody may be at the run: its claim's owner is not known to be dead, nor silent for an hour."""
    if holder(cell) is None or gone(cell):
        return False
    beats = [path.stat().st_mtime for path in cell.glob("claim*.json")]
    return any(time.time() - beat < LEFT_SECONDS for beat in beats)


def disk_line(folder: SweepFolder, queue: Queue, cache: Path | None) -> str:
    """``disk: 1.2 GB, of which 900 MB checkpoints; 'isoflop clean name=…' frees 850 MB``.

    Less than a megabyte is no reason to clean.
    """
    found = survey(folder, cache)
    free = removable(
        found, ALWAYS, lambda run_id: has_ended(folder, run_id), busy_in(folder, queue), time.time()
    )
    sizes = found.sizes()
    most = [f"{data_size(sizes[kind])} {kind}" for kind in (CHECKPOINTS, MODELS) if sizes.get(kind)]
    text = f"disk: {data_size(found.total)}" + (f", of which {' and '.join(most)}" if most else "")
    frees = sum(item.frees for item in free)
    if frees >= ANY_SWEEP:
        where = "" if folder.path.parent == Path("runs") else f" runs_dir={folder.path.parent}"
        text += f"; 'isoflop clean name={folder.path.name}{where} yes=true' frees {data_size(frees)}"
    return text


def cache_within(config: Config | None) -> Path | None:
    """Where the corpora of ``config`` are kept, in full."""
    return Path(os.path.expanduser(config.cache_dir)).resolve() if config else None
