"""``isoflop status``: every cell of a frozen plan, from its record, its claim and the queue; of every arm, too."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.table import Table

from harness.config.frozen import load_config
from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.slurm import client
from harness.launch.slurm.client import TaskId, TaskState
from harness.launch.slurm.ledger import Ledger, Placed, Submission, placed
from harness.launch.slurm.submit import read_task
from harness.launch.state import Signs, State, last_failure, last_line, last_step, pace_of, state_of
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.plan.followup import expected
from harness.plan.plan import Plan
from harness.runs.claim import Owner, gone, holder
from harness.runs.folder import SweepFolder
from harness.runs.record import FAILED, Record, read_record
from harness.runs.table import records
from harness.text import count, duration
from harness.workflow.arms import arm_folders
from harness.workflow.experiment import frozen_plan, sweep_folder

Queue = Mapping[TaskId, TaskState]


def run(config: Config, yaml: str, console: Console) -> None:
    """Show the sweep; of a comparison, each of its arms.

    Raises:
        UserError: nothing of it was planned.
    """
    folder = sweep_folder(config)
    arms = [arm for arm in arm_folders(config).values() if arm.plan.exists()]
    for arm in arms:
        console.print(f"[bold]{arm.path.name}[/]", highlight=False)
        show(arm, console)
        console.print()
    if arms and not folder.plan.exists():  # a comparison trains nothing of its own
        submissions = Ledger(folder.path / "slurm").read()
        _show_behind(submissions, _ask(submissions)[0], console)
    else:
        show(folder, console)


def show(folder: SweepFolder, console: Console) -> None:
    """Print one line a cell and a summary."""
    plan = frozen_plan(folder)
    ledger = Ledger(folder.path / "slurm")
    submissions = ledger.read()
    queue, problem = _ask(submissions)
    places = placed(submissions, queue)
    ablations = _ablations(plan, ledger, submissions)
    finished = records(folder, plan)
    pace = pace_of(plan.cells, finished)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("run", "budget", "shape", "N", "D", "state", "loss", ""):
        table.add_column(heading, justify="left" if heading in ("run", "shape", "state", "") else "right")
    states: list[State] = []
    for cell in (*plan.cells, *ablations):
        signs = _signs(cell, folder, ledger, places.get(cell.run_id), queue)
        state = state_of(cell, signs, pace)
        states.append(state)
        loss = f"{signs.record.loss:.4f}" if signs.record and signs.record.loss is not None else ""
        table.add_row(
            cell.run_id if cell not in ablations else f"{cell.run_id} (ablation)",
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
    if problem and any(state.left for state in states):
        console.print(f"the queue is not known: {problem}", highlight=False, soft_wrap=True)
    _show_behind(submissions, queue, console)


def _later(plan: Plan, folder: SweepFolder, finished: Mapping[str, Record]) -> list[Cell]:
    """Stand-ins of the follow-ups that wait for their budget to end, as far as the folder says what was asked for."""
    try:
        asked = load_config(folder.config.read_text(encoding="utf-8")).followup
    except (OSError, ValueError, OmegaConfBaseException, UserError):
        return []
    ended = {run_id for run_id, record in finished.items() if record.status != FAILED}
    waiting = {cell.budget for cell in plan.cells if cell.run_id not in ended}
    return expected(plan, asked, {cell.budget for cell in plan.cells} - waiting)


def _ablations(plan: Plan, ledger: Ledger, submissions: Sequence[Submission]) -> list[Cell]:
    """What was last submitted beside the plan."""
    planned = {cell.run_id for cell in plan.cells}
    last = submissions[-1:]
    return [
        job.cell
        for submission in last
        for task, run_ids in enumerate(submission.tasks)
        if not planned.issuperset(run_ids)
        for job in read_task(ledger.path / submission.folder, task)[0]
        if job.cell.run_id not in planned
    ]


def _show_behind(submissions: Sequence[Submission], queue: Queue, console: Console) -> None:
    """The jobs that go on when others have ended."""
    for submission in submissions:
        state = queue.get(TaskId(submission.report_job))
        if state is not None and state.queued:
            console.print(
                f"job {submission.report_job} goes on behind them: {state.state.lower()}", highlight=False
            )


def summary(states: list[State], later: Sequence[float] = ()) -> str:
    """``5 ✔ finished, 1 ▶ running; ETA 3 min, with 4 follow-up runs 5 min``.

    Args:
        later: estimated seconds of the follow-ups behind these.
    """
    text = ", ".join(f"{number} {name}" for name, number in Counter(state.text for state in states).items())
    running = sum(state.kind == "running" for state in states)
    coming = [state.left for state in states if state.kind in ("running", "pending", "requeued")]
    if not running:
        return text
    left = makespan(coming, running)
    then = f", with {len(later)} follow-up runs {duration(left + makespan(later, running))}" if later else ""
    return f"{text}; ETA {duration(left)}{then}"


def _ask(submissions: Sequence[Submission]) -> tuple[Queue, str]:
    """The queue, and why it is not known."""
    jobs = [job for submission in submissions for job in submission.jobs]
    if not jobs:
        return {}, ""
    if not client.available():
        return {}, "Slurm's commands are not on the PATH"
    try:
        return client.queue(jobs), ""
    except UserError as error:
        return {}, str(error)


def _signs(cell: Cell, folder: SweepFolder, ledger: Ledger, place: Placed | None, queue: Queue) -> Signs:
    paths = folder.cell(cell.run_id)
    owner = holder(paths.path)
    task_log = ledger.path / place.submission.folder / place.submission.log(place.task) if place else Path()
    return Signs(
        record=read_record(paths.record, cell.run_id),
        owner=owner,
        alive=_alive(owner, paths.path, queue) if owner else None,
        silent=_silent(paths.path),
        step=last_step(paths.curve),
        failure=last_failure(paths.log),
        log=paths.log,
        place=place,
        task_log=task_log,
        task_line=last_line(task_log) if place else "",
    )


def _alive(owner: Owner, folder: Path, queue: Queue) -> bool | None:
    """Whether a claim's owner lives; None where neither the kernel nor the queue knows."""
    if gone(folder):
        return False
    job, _, task = owner.job.partition("_")
    states = [state for id_, state in queue.items() if id_.job == job and str(id_.task or 0) == (task or "0")]
    return states[0].running if states else None


def _silent(folder: Path) -> float:
    """Seconds since the claim was last touched."""
    times = [path.stat().st_mtime for path in folder.glob("claim*.json")]
    return time.time() - max(times, default=0.0)
