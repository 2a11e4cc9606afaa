"""How every cell of a sweep stands, for a terminal: a table and a summary."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.launcher import Queue
from harness.launch.registry import queue_of
from harness.launch.state import State
from harness.plan import optimizer_share
from harness.plan.duration import makespan
from harness.plan.followup import described
from harness.runs.files import SweepFolder
from harness.text import count, counted, duration
from harness.workflow.disk import cache_within, disk_line
from harness.workflow.resources import planned_workers
from harness.workflow.standing import standing
from harness.workflow.terminal import say, show_table


def show_sweep(folder: SweepFolder, console: Console, disk: bool = False) -> None:
    """Print one line a cell, follow-ups among them, and a summary; with ``disk`` also what it takes on disk.

    Raises:
        UserError: nothing was planned there.
    """
    sweep = standing(folder)
    labels = sweep.labels
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("run", "budget", "shape", *labels.headings, "N", "D", "state", "loss", ""):
        left = heading in ("run", "shape", "state", "")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for cell, state, known in zip(sweep.cells, sweep.states, sweep.known, strict=True):
        loss = f"{known.record.loss:.4f}" if known.record and known.record.loss is not None else ""
        table.add_row(
            f"{cell.run_id} (ablation)" if cell.run_id in sweep.beside else cell.run_id,
            labels.budget(cell),
            cell.spec.shape.label,
            *labels.values(cell),
            count(cell.params.total),
            count(cell.tokens),
            state.text,
            loss,
            state.detail,
        )
    show_table(table, console)
    if disk:
        say(disk_line(folder, sweep.queue, cache_within(sweep.config)), console)
    share = optimizer_share.described(sweep.cells)
    lines = (*summary(sweep.states, sweep.later, sweep.config), *of_the_queue(sweep.queue, sweep.states))
    for line in (*lines, *([share] if share else [])):
        say(line, console)
    _say_dependent(sweep.queue, console)


def show_dependent(folder: SweepFolder, console: Console) -> None:
    """Print the jobs that continue when those of other sweeps have ended."""
    _say_dependent(queue_of(folder, set()), console)


def _say_dependent(queue: Queue, console: Console) -> None:
    for note in queue.notes:
        say(note, console)
    for job, state in queue.dependent:
        console.print(f"dependent job {job} continues after them: {state}", highlight=False)


def of_the_queue(queue: Queue, states: Sequence[State]) -> list[str]:
    """Why states are not known."""
    unknown = sum(state.kind == "unknown" for state in states)
    problem = queue.problem or queue.silence
    if not problem or not any(state.left for state in states):
        return []
    if not unknown:
        return [f"the queue is not known: {problem}"] if queue.problem else []
    who = "the queue" if queue.problem else "the queue has forgotten them, and accounting"
    these = "the state of 1 cell is" if unknown == 1 else f"the states of {unknown} cells are"
    return [f"{who} did not answer: {problem}; {these} not known"]


def summary(states: Sequence[State], later: Sequence[float] = (), config: Config | None = None) -> list[str]:
    """``5 ✔ finished, 1 ▶ running; ETA 3 min`` and a line about the follow-ups that may come.

    Args:
        later: estimated seconds of the follow-ups whose best cells are not known yet.
        config: that of the sweep; None where it cannot be read.
    """
    text = ", ".join(f"{number} {name}" for name, number in Counter(state.text for state in states).items())
    running = sum(state.kind == "running" for state in states)
    if running:
        coming = [state.left for state in states if state.kind in ("running", "queued", "requeued")]
        workers, when = running, "ETA {}"
    else:
        coming = [state.left for state in states if state.left]
        workers = workers_of(config)
        when = f"about {{}} with {counted(workers, 'worker')}"
    if workers and coming:
        text += f"; {when.format(duration(makespan(coming, workers)))}"
    if not later:
        return [text]
    asked = f": {described(config.followup)}" if config else ""
    then = f"and {counted(len(later), 'follow-up run')}, once each budget's best cell is known{asked}"
    if workers:
        then += f"; in all {when.format(duration(makespan([*coming, *later], workers)))}"
    return [text, then]


def workers_of(config: Config | None) -> int:
    """Runs at once where nothing runs yet; 0 where that cannot be told."""
    try:
        return planned_workers(config) if config else 0
    except UserError:
        return 0
