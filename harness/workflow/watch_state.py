"""What a page shows of a sweep that trains, from how its cells stand: rows, curves, profiles, time and cost."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from harness.errors import UserError
from harness.launch.state import MARKS, Evidence, State
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.report.live import Live, LiveRun
from harness.report.live_plots import Profile, Trace
from harness.runs.curve import read_curve
from harness.runs.files import SweepFolder
from harness.runs.record import DIVERGED, FINISHED, is_damaged
from harness.text import count, counted, duration
from harness.workflow.report import device_named
from harness.workflow.resources import device_hours
from harness.workflow.standing import Standing
from harness.workflow.status import of_the_queue, workers_of

ENDED = (FINISHED, DIVERGED)


class CurveReader:
    """Reads the curves of runs, each again only when its file has changed."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[tuple[int, int, int], tuple[tuple[float, float], ...]]] = {}

    def points(self, path: Path) -> tuple[tuple[float, float], ...]:
        """FLOPs and training loss of the rows with a finite loss; of a file that is just being replaced as before."""
        kept = self._read.get(path)
        try:
            stat = path.stat()
        except OSError:
            return ()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        columns = read_curve(path)
        if columns is None:  # nothing yet, or half a row
            return kept[1] if kept else ()
        flops, loss = columns["flops"], columns["train_loss"]
        sound = np.isfinite(flops) & np.isfinite(loss) & (flops > 0)
        points = tuple(zip(flops[sound].tolist(), loss[sound].tolist(), strict=True))
        self._read[path] = stamp, points
        return points


def live_of(folder: SweepFolder, sweep: Standing, curves: CurveReader) -> Live:
    """The sweep as it stands."""
    labels, rows, traces = sweep.labels, [], []
    for cell, state, known in _each(sweep):
        points = curves.points(folder.cell(cell.run_id).curve)
        beside = cell.run_id in sweep.beside
        rows.append(_row(cell, state, known, sweep, points[-1][1] if points else None))
        if not beside:
            running = state.kind == "running"
            traces.append(Trace(cell.budget, f"{cell.run_id}: {labels.name(cell)}", running, points))
    ended = sum(state.kind in ENDED for state in sweep.states)
    complete = ended == len(sweep.cells) and not sweep.later
    total = f"{ended} of {counted(len(sweep.cells), 'run')} {'has' if ended == 1 else 'have'} ended"
    kinds = Counter(state.kind for state in sweep.states)
    return Live(
        name=sweep.plan.name,
        summary=total + (": the sweep is complete" if complete else ""),
        complete=complete,
        counts=tuple((kind, f"{MARKS[kind]} {kind}", kinds[kind]) for kind in MARKS if kinds[kind]),
        lines=(
            *_times(sweep),
            *_cost(sweep),
            *(f"Job {job} continues after them: {state}" for job, state in sweep.queue.dependent),
        ),
        warnings=_warnings(folder, sweep),
        headings=("budget", "shape", *labels.headings, "N", "D"),
        runs=tuple(rows),
        traces=tuple(traces),
        profiles=_profiles(sweep),
    )


def _row(cell: Cell, state: State, known: Evidence, sweep: Standing, last: float | None) -> LiveRun:
    done = _done(cell, state, known)
    record = known.record if state.kind in ENDED else None
    if record is not None:
        loss = "" if record.loss is None else f"{record.loss:.4f}"
    else:
        loss = "" if last is None else f"{last:.3f} (training)"
    return LiveRun(
        run_id=cell.run_id + (" (ablation)" if cell.run_id in sweep.beside else ""),
        values=(
            sweep.labels.budget(cell),
            cell.spec.shape.label,
            *sweep.labels.values(cell),
            count(cell.params.total),
            count(cell.tokens),
        ),
        kind=state.kind,
        state=state.text,
        done=done,
        steps=f"{100 * done:.0f}%",
        loss=loss,
        detail=state.detail,
    )


def _done(cell: Cell, state: State, known: Evidence) -> float:
    """The share of the run that is trained, from 0 to 1."""
    made = max(known.step / cell.spec.steps, known.shared)
    return 1.0 if state.kind in ENDED else min(made, 1.0)


def _profiles(sweep: Standing) -> tuple[Profile, ...]:
    """Of the runs that a fit is made of, by budget."""
    grid = {cell.run_id for cell in sweep.grid}
    points: dict[float, list[tuple[float, float]]] = {}
    missing: dict[float, list[float]] = {}
    budgets = set[float]()
    for cell, state, known in _each(sweep):
        if cell.run_id not in grid:
            continue
        budgets.add(cell.budget)
        if state.kind not in ENDED:
            missing.setdefault(cell.budget, []).append(float(cell.params.total))
        elif known.record is not None and known.record.loss is not None:
            points.setdefault(cell.budget, []).append((float(cell.params.total), known.record.loss))
    return tuple(
        Profile(budget, tuple(points.get(budget, ())), tuple(missing.get(budget, ())))
        for budget in sorted(budgets)
    )


def _times(sweep: Standing) -> list[str]:
    """How much of the compute is done, and when the rest will be."""
    done = [_done(cell, state, known) for cell, state, known in _each(sweep)]
    flops = [cell.flops for cell in sweep.cells]
    made = sum(share * one for share, one in zip(done, flops, strict=True))
    trained = f"Trained: {made:.3g} of {sum(flops):.3g} FLOPs ({made / sum(flops):.0%})"
    running = sum(state.kind == "running" for state in sweep.states)
    workers = running or workers_of(sweep.config)
    coming = [*(state.left for state in sweep.states if state.left), *sweep.later]
    if not coming or not workers:
        return [trained]
    when = "ETA" if running else "to go"
    text = f"{when} {duration(makespan(coming, workers))} with {counted(workers, 'run')} at once"
    if sweep.later:
        text += f", {counted(len(sweep.later), 'follow-up run')} that may come among them"
    return [f"{trained}; {text}"]


def _cost(sweep: Standing) -> list[str]:
    """Hours of a device that finished and running runs have taken, and dollars where the device's price is known.

    Attempts that were given up are in no record, and are not counted.
    """
    config = sweep.config
    if config is None:
        return []
    spent = left = 0.0
    for cell, state, known in _each(sweep):
        left += state.left
        if state.kind in ENDED and known.record is not None:
            record = known.record  # of a branch its trunk's seconds are in it, too
            share = 1.0 if record.flops_spent is None else record.flops_spent / record.flops
            spent += record.seconds * share
        else:
            spent += sweep.pace * cell.estimate_seconds * max(0.0, _done(cell, state, known) - known.shared)
    try:
        hours, more = device_hours(config, spent), device_hours(config, left + sum(sweep.later))
    except UserError:  # of a launcher that is not here
        return []
    unit = "GPU-hours" if config.throughput.asynchronous else "core-hours"
    text = f"Cost so far: {_hours(hours)} {unit}"
    if more:
        text += f", about {_hours(hours + more)} in all"
    price = config.design.dollars_per_hour or _price(config.throughput.name)
    if price:
        text += f"; {_dollars(price * hours)} dollars so far at {price:g} an hour"
        if more:
            text += f", about {_dollars(price * (hours + more))} in all"
    return [text]


@cache
def _price(device: str) -> float | None:
    """Looked up once: a configuration is composed for it."""
    named = device_named(device)
    return None if named is None else named.dollars_per_hour


def _dollars(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}"


def _each(sweep: Standing) -> Iterator[tuple[Cell, State, Evidence]]:
    return zip(sweep.cells, sweep.states, sweep.known, strict=True)


def _warnings(folder: SweepFolder, sweep: Standing) -> tuple[str, ...]:
    """What cannot be read, and what the queue does not say."""
    damaged = [
        f"{path}: not what was written; the run is not counted as ended, and 'isoflop sweep' trains it again"
        for cell, known in zip(sweep.cells, sweep.known, strict=True)
        # looked at again: it may have been written since
        if known.record is None and is_damaged(path := folder.cell(cell.run_id).record, cell.run_id)
    ]
    unread = [] if sweep.config else [f"{folder.config}: cannot be read; follow-ups and cost are not known"]
    return (*damaged, *unread, *sweep.queue.notes, *of_the_queue(sweep.queue, sweep.states))
