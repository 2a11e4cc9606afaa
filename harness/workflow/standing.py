"""How every cell of a sweep stands: what its record, its claim, its log and the queue say."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from harness.config.schema import Config
from harness.launch.launcher import Queue
from harness.launch.registry import queue_of
from harness.launch.state import Evidence, State, last_failure, last_line, last_step, pace_of, state_of
from harness.plan.branching import find_branches
from harness.plan.cell import Cell
from harness.plan.labels import Labels
from harness.plan.plan import Plan
from harness.runs.claim import Owner, gone, holder
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import read_record
from harness.runs.table import records
from harness.workflow import followup


@dataclass(frozen=True, eq=False)
class Standing:
    """A sweep as it stood when it was asked.

    Attributes:
        plan: as it was frozen.
        grid: the cells that a fit is made of: those of the plan, and replicates that are known and not frozen yet.
        cells: all that is to be trained: the grid, its follow-ups, and what else was submitted.
        states, known: of each of ``cells``, in their order.
        beside: ids of those that no fit sees.
        later: estimated seconds of each follow-up whose best cell is not known yet.
        config: of the sweep; None where it cannot be read.
        pace: how much longer finished runs took than their estimates.
    """

    plan: Plan
    grid: tuple[Cell, ...]
    cells: tuple[Cell, ...]
    states: tuple[State, ...]
    known: tuple[Evidence, ...]
    beside: frozenset[str]
    later: tuple[float, ...]
    config: Config | None
    queue: Queue
    labels: Labels
    pace: float


def standing(
    folder: SweepFolder, ask: Callable[[SweepFolder, Collection[str]], Queue] = queue_of
) -> Standing:
    """Every cell of the sweep in ``folder``, follow-ups among them.

    Args:
        ask: tells what was submitted of these runs, and what the queue says of it.

    Raises:
        UserError: nothing was planned there.
    """
    plan = frozen_plan(folder)
    extended, config = followup.of_frozen(folder, plan)
    planned = {cell.run_id: cell for cell in extended.cells}
    queue = ask(folder, planned.keys())
    beside = {cell.run_id: cell for cell in (*extended.beside, *queue.unplanned)}
    cells = tuple((planned | beside).values())
    branches = find_branches(cells) if config and config.schedule.share_trunk else {}
    pace = pace_of(plan.cells, records(folder, plan))
    states, evidence = [], []
    for cell in cells:
        branch = branches.get(cell.run_id)
        known = replace(_evidence(cell, folder, queue), shared=branch.share if branch else 0.0)
        states.append(state_of(cell, known, pace))
        evidence.append(known)
    return Standing(
        plan=plan,
        grid=extended.plan.cells,
        cells=cells,
        states=tuple(states),
        known=tuple(evidence),
        beside=frozenset(beside),
        later=tuple(pace * cell.estimate_seconds for cell in extended.later),
        config=config,
        queue=queue,
        labels=Labels.of(cells),
        pace=pace,
    )


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
        unanswered=queue.problem or queue.silence,
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
