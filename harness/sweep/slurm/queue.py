"""Reading what squeue, scontrol and sacct print."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

SQUEUE_FORMAT = "%F|%K|%T|%N|%r"
SACCT_FORMAT = "JobID,State,NodeList"
WAITING = {
    "PENDING",
    "CONFIGURING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "REQUEUE_FED",
    "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
}
RUNNING = {"RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "RESIZING", "SUSPENDED", "STOPPED"}


@dataclass(frozen=True)
class TaskId:
    """One task of a job array, or (``task`` None) a plain job."""

    job: str
    task: int | None = None

    def __str__(self) -> str:
        return self.job if self.task is None else f"{self.job}_{self.task}"


@dataclass(frozen=True)
class TaskState:
    """What the queue says of a task.

    Attributes:
        state: Slurm's word, e.g. ``RUNNING``.
        restarts: how often it was sent back to the queue.
    """

    id: TaskId
    state: str
    node: str = ""
    reason: str = ""
    restarts: int = 0

    @property
    def waiting(self) -> bool:
        """It will run."""
        return self.state in WAITING

    @property
    def running(self) -> bool:
        """It runs."""
        return self.state in RUNNING

    @property
    def queued(self) -> bool:
        """It runs or will."""
        return self.waiting or self.running


def parse_squeue(text: str) -> list[TaskState]:
    """Lines of ``squeue -h -r -o SQUEUE_FORMAT``."""
    states = []
    for line in text.splitlines():
        fields = line.strip().split("|", 4)
        if len(fields) == 5:
            job, task, state, node, reason = fields
            states += [TaskState(id_, state, node, reason) for id_ in _ids(job, task)]
    return states


def parse_scontrol(text: str) -> list[TaskState]:
    """Lines of ``scontrol -o show job``."""
    states = []
    for line in text.splitlines():
        value = dict[str, str](re.findall(r"(?:^|\s)(\w+)=(\S*)", line))
        if "JobId" in value and "JobState" in value:
            ids = _ids(value.get("ArrayJobId") or value["JobId"], value.get("ArrayTaskId") or "")
            node, reason = (_unless_null(value.get(key, "")) for key in ("NodeList", "Reason"))
            restarts = int(value.get("Restarts", 0))
            states += [TaskState(id_, value["JobState"], node, reason, restarts) for id_ in ids]
    return states


def parse_sacct(text: str) -> list[TaskState]:
    """Lines of ``sacct -n -P -X --format=SACCT_FORMAT``; the last one of a task counts."""
    states: dict[TaskId, TaskState] = {}
    for line in text.splitlines():
        fields = line.strip().split("|")
        if len(fields) == 3:
            job, _, task = fields[0].partition("_")
            for id_ in _ids(job, task.strip("[]")):
                states[id_] = TaskState(id_, fields[1].partition(" ")[0], _unless_null(fields[2]))
    return list(states.values())


def merge(*sources: Iterable[TaskState]) -> dict[TaskId, TaskState]:
    """One state a task: the first source that knows it, with the largest count of restarts."""
    merged: dict[TaskId, TaskState] = {}
    for source in sources:
        for state in source:
            known = merged.get(state.id)
            if known is None:
                merged[state.id] = state
            elif state.restarts > known.restarts:
                merged[state.id] = TaskState(known.id, known.state, known.node, known.reason, state.restarts)
    return merged


def expand(indices: str) -> list[int]:
    """``0,4-6,10-20:5%2`` as numbers."""
    numbers: list[int] = []
    for part in indices.partition("%")[0].split(","):
        found = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if found:
            first, last, step = found.groups()
            numbers += range(int(first), int(last or first) + 1, int(step or 1))
    return numbers


def _ids(job: str, task: str) -> list[TaskId]:
    numbers = expand(task)
    return [TaskId(job, number) for number in numbers] if numbers else [TaskId(job)]


def _unless_null(text: str) -> str:
    return "" if text in ("(null)", "None", "None assigned", "N/A") else text
