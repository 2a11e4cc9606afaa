"""How a cell stands, from its record, its claim, its log and the queue."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.launch.ledger import Placed
from harness.plan.cell import Cell
from harness.runs.claim import Owner
from harness.runs.record import Record
from harness.runs.watch import STALE_SECONDS
from harness.text import duration

MARKS = {
    "finished": "✔",
    "diverged": "⚠",
    "running": "▶",
    "requeued": "↻",
    "queued": "…",
    "interrupted": "…",
    "cancelled": "…",
    "pending": "…",
    "unknown": "?",
    "failed": "✘",
}
EXCEPTION = re.compile(r"^[\w.]*(?:Error|Exception|Interrupt|Killed)\b")
LOG_BYTES = 20_000
CURVE_BYTES = 4096  # of the end of a curve: a row has a tenth of it


@dataclass(frozen=True)
class Evidence:
    """What is known of a cell beside its plan.

    Attributes:
        owner: who claims it, dead or alive; ``alive`` is None where this machine cannot tell.
        silent: seconds since the owner's last beat, as far as two clocks agree.
        step: the last row of its curve.
        failure: the last exception in its log.
        place: its array task, and what the queue says of that; ``task_line`` is the last line of the task's log.
        unanswered: who did not say how its task stands, or ended; empty where everybody answered.
        shared: the share of it that its trunk trains.
    """

    record: Record | None = None
    owner: Owner | None = None
    alive: bool | None = None
    silent: float = 0.0
    step: int = 0
    failure: str = ""
    log: Path = Path()
    place: Placed | None = None
    task_line: str = ""
    unanswered: str = ""
    shared: float = 0.0


@dataclass(frozen=True)
class State:
    """``kind`` is a key of :data:`MARKS`; ``left`` the estimated seconds of training to go."""

    kind: str
    detail: str = ""
    left: float = 0.0

    @property
    def text(self) -> str:
        """``✔ finished``."""
        return f"{MARKS[self.kind]} {self.kind}"


def state_of(cell: Cell, known: Evidence, pace: float) -> State:
    """How ``cell`` stands.

    Args:
        pace: how much longer finished runs took than their estimates.
    """
    if known.record and known.record.status != "failed":
        return State(known.record.status, known.record.reason or duration(known.record.seconds))
    made = max(min(known.step, cell.spec.steps) / cell.spec.steps, known.shared)
    left = cell.estimate_seconds * pace * (1 - made)
    step = f"step {known.step}/{cell.spec.steps}" if known.step else ""
    if known.owner and (known.alive or (known.alive is None and known.silent < 2 * STALE_SECONDS)):
        return State("running", _join(step, f"ETA {duration(left)}", known.owner.label), left)
    queue = known.place.state if known.place else None
    if queue and queue.waiting:
        again = queue.restarts > 0 or known.step > 0
        kind = "requeued" if again else "queued"
        return State(kind, _join(f"job {queue.id}", queue.reason, step), left)
    if queue and queue.running:
        return State("queued", _join(f"job {queue.id} runs on {queue.node}", step), left)
    if known.place and not queue and known.unanswered and not known.place.submission.cancelled:
        job = known.place.submission.job or "unknown"
        return State("unknown", _join(f"submitted as job {job}, task {known.place.task}", step), left)
    return _at_rest(known, step, left)


def _at_rest(known: Evidence, step: str, left: float) -> State:
    """A cell without a record that nobody trains or will."""
    if known.failure:
        return State("failed", f"{known.failure} (tail {known.log})", left)
    place = known.place
    if place and place.submission.cancelled:
        return State("cancelled", step, left)
    queue = place.state if place else None
    if queue and queue.cancelled:
        return State("cancelled", _join(f"job {queue.id}", step), left)
    if place and queue:  # the task is over, and this cell is not
        said = f"job {queue.id} {queue.state.lower()}"
        return State("failed", _join(said, known.task_line, step) + f" (tail {place.log})", left)
    if known.owner:
        return State("interrupted", _join(step, f"{known.owner.label} is gone"), left)
    return State("interrupted", step, left) if step else State("pending", "", left)


def _join(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def pace_of(cells: Sequence[Cell], records: dict[str, Record]) -> float:
    """Training time of finished runs over what was estimated of it; 1 where none is finished."""
    estimates = {cell.run_id: cell.estimate.training for cell in cells if cell.run_id in records}
    taken = sum(records[run_id].seconds for run_id in estimates)
    expected = sum(estimates.values())
    return taken / expected if expected and taken else 1.0


def last_step(curve: Path) -> int:
    """The step of a curve's last row; 0 without one."""
    try:
        with curve.open("rb") as file:
            place = file.readline().decode().strip().split(",").index("step")
        # the first line is the headings or has no beginning, the last has no end yet
        rows = _end(curve, CURVE_BYTES).decode().split("\n")[1:-1]
        return max((int(row.split(",")[place]) for row in rows), default=0)
    except (OSError, ValueError, IndexError):  # damaged: for what is shown only
        return 0


def last_failure(log: Path) -> str:
    """The exception that a log ends with; empty where the last attempt left none."""
    for line in reversed(_tail(log)[-12:]):
        if EXCEPTION.match(line):
            return line
    return ""


def last_line(log: Path) -> str:
    """The last line that says something."""
    return next((line.strip() for line in reversed(_tail(log)) if line.strip()), "")


def _tail(log: Path) -> list[str]:
    try:
        return _end(log, LOG_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return []


def _end(path: Path, most: int) -> bytes:
    """The last ``most`` bytes of a file, or all of it."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - most))
        return file.read()
