"""How every cell of a sweep stands, from its record, its claim, its log and the queue: a table and a summary."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.config.frozen import config_at
from harness.errors import UserError
from harness.launch.launcher import Queue
from harness.launch.registry import queue_of
from harness.launch.state import Evidence, State, last_failure, last_line, last_step, pace_of, state_of
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.plan.followup import expected
from harness.plan.plan import Plan
from harness.runs.claim import Owner, gone, holder
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import FAILED, Record, read_record
from harness.runs.table import records
from harness.text import count, duration


def show_sweep(folder: SweepFolder, console: Console) -> None:
    """Print one line a cell and a summary.

    Raises:
        UserError: nothing was planned there.
    """
    plan = frozen_plan(folder)
    queue = queue_of(folder, {cell.run_id for cell in plan.cells})
    finished = records(folder, plan)
    pace = pace_of(plan.cells, finished)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("run", "budget", "shape", "N", "D", "state", "loss", ""):
        table.add_column(heading, justify="left" if heading in ("run", "shape", "state", "") else "right")
    states: list[State] = []
    for cell in (*plan.cells, *queue.unplanned):
        known = _evidence(cell, folder, queue)
        state = state_of(cell, known, pace)
        states.append(state)
        loss = f"{known.record.loss:.4f}" if known.record and known.record.loss is not None else ""
        table.add_row(
            cell.run_id if cell not in queue.unplanned else f"{cell.run_id} (ablation)",
            f"{cell.budget:.3g}",
            cell.spec.shape.label,
            count(cell.params.total),
            count(cell.tokens),
            state.text,
            loss,
            state.detail,
        )
    console.print(table)
    later = _later(plan, folder, finished)
    console.print(
        summary(states, [pace * cell.estimate_seconds for cell in later]), highlight=False, soft_wrap=True
    )
    if queue.problem and any(state.left for state in states):
        console.print(f"the queue is not known: {queue.problem}", highlight=False, soft_wrap=True)
    _say_dependent(queue, console)


def show_dependent(folder: SweepFolder, console: Console) -> None:
    """Print the jobs that continue when those of other sweeps have ended."""
    _say_dependent(queue_of(folder, set()), console)


def _say_dependent(queue: Queue, console: Console) -> None:
    for note in queue.notes:
        console.print(note, highlight=False, soft_wrap=True, markup=False)
    for job, state in queue.dependent:
        console.print(f"dependent job {job} continues after them: {state}", highlight=False)


def _later(plan: Plan, folder: SweepFolder, finished: Mapping[str, Record]) -> list[Cell]:
    """Placeholders of the follow-ups that wait for their budget to end, as far as the folder says what is asked for."""
    try:
        asked = config_at(folder.config)[0].followup
    except UserError:
        return []
    ended = {run_id for run_id, record in finished.items() if record.status != FAILED}
    waiting = {cell.budget for cell in plan.cells if cell.run_id not in ended}
    return expected(plan, asked, {cell.budget for cell in plan.cells} - waiting)


def summary(states: list[State], later: Sequence[float] = ()) -> str:
    """``5 ✔ finished, 1 ▶ running; ETA 3 min, with 4 follow-up runs 5 min``.

    Args:
        later: estimated seconds of the follow-ups after these.
    """
    text = ", ".join(f"{number} {name}" for name, number in Counter(state.text for state in states).items())
    running = sum(state.kind == "running" for state in states)
    coming = [state.left for state in states if state.kind in ("running", "queued", "requeued")]
    if not running:
        return text
    left = makespan(coming, running)
    then = f", with {len(later)} follow-up runs {duration(left + makespan(later, running))}" if later else ""
    return f"{text}; ETA {duration(left)}{then}"


def _evidence(cell: Cell, folder: SweepFolder, queue: Queue) -> Evidence:
    paths, place = folder.cell(cell.run_id), queue.places.get(cell.run_id)
    owner = holder(paths.path)
    return Evidence(
        record=read_record(paths.record, cell.run_id),
        owner=owner,
        alive=_alive(owner, paths.path, queue) if owner else None,
        silent=_silent(paths.path),
        step=last_step(paths.curve),
        failure=last_failure(paths.log),
        log=paths.log,
        place=place,
        task_line=last_line(place.log) if place else "",
    )


def _alive(owner: Owner, folder: Path, queue: Queue) -> bool | None:
    """Whether a claim's owner lives; None where neither the kernel nor the queue knows."""
    if gone(folder):
        return False
    job, _, task = owner.job.partition("_")
    states = [
        state
        for id_, state in queue.states.items()
        if id_.job.partition(";")[0] == job and str(id_.task or 0) == (task or "0")
    ]
    return states[0].running if states else None


def _silent(folder: Path) -> float:
    """Seconds since the claim was last touched."""
    times = [path.stat().st_mtime for path in folder.glob("claim*.json")]
    return time.time() - max(times, default=0.0)
