"""How what Slurm's commands print of jobs is read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from harness.launch.queued import TaskId

SEPARATOR = "\x1f"  # names and comments have bars and spaces
SQUEUE_FORMAT = SEPARATOR.join(("%F", "%K", "%T", "%N", "%r", "%u", "%j", "%o", "%k"))
SACCT_FORMAT = "JobID,State,NodeList,Comment"
SACCT_SCRIPT = ",SubmitLine"  # from Slurm 21.08
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
class SlurmState:
    """What the queue says of a task.

    Attributes:
        state: Slurm's word, e.g. ``RUNNING``.
        restarts: how often it was sent back to the queue.
        said: all that may have the mark of its submission.
        who: its name and its user, for people.
    """

    id: TaskId
    state: str
    node: str = ""
    reason: str = ""
    restarts: int = 0
    said: str = field(default="", compare=False, repr=False)
    who: str = field(default="", compare=False, repr=False)

    @property
    def waiting(self) -> bool:
        """It will run."""
        return self.state in WAITING

    @property
    def running(self) -> bool:
        """It runs."""
        return self.state in RUNNING

    @property
    def cancelled(self) -> bool:
        """By scancel, or with its account or node."""
        return self.state.startswith("CANCELLED")


def parse_squeue(text: str) -> list[SlurmState]:
    """Lines of ``squeue -h -r -o SQUEUE_FORMAT``."""
    states = []
    for line in text.split("\n"):
        fields = line.split(SEPARATOR, 8)
        if len(fields) == 9:
            job, task, state, node, reason, user, name, command, comment = fields
            said, who = f"{command}\n{comment}", f"'{name}' of {user}"
            states += [SlurmState(id_, state, node, reason, 0, said, who) for id_ in _ids(job, task)]
    return states


def parse_scontrol(text: str) -> list[SlurmState]:
    """Lines of ``scontrol -o show job``."""
    states = []
    for line in text.splitlines():
        value = dict[str, str](re.findall(r"(?:^|\s)(\w+)=(\S*)", line))
        if "JobId" in value and "JobState" in value:
            ids = _ids(value.get("ArrayJobId") or value["JobId"], value.get("ArrayTaskId") or "")
            node, reason = (_unless_null(value.get(key, "")) for key in ("NodeList", "Reason"))
            restarts = int(value.get("Restarts", 0))
            name = re.search(r"JobName=(.*?) (?:UserId=|\w+=)", line)
            who = f"'{name[1] if name else ''}' of {value.get('UserId', '?').partition('(')[0]}"
            states += [SlurmState(id_, value["JobState"], node, reason, restarts, line, who) for id_ in ids]
    return states


def parse_sacct(text: str) -> list[SlurmState]:
    """Lines of ``sacct -n -P -X --format=SACCT_FORMAT``, with or without the script; the last one of a task counts."""
    states: dict[TaskId, SlurmState] = {}
    for line in text.splitlines():
        fields = line.strip().split("|", 3)
        if len(fields) == 4:
            job, _, task = fields[0].partition("_")
            state, node = fields[1].partition(" ")[0], _unless_null(fields[2])
            for id_ in _ids(job, task.strip("[]")):
                states[id_] = SlurmState(id_, state, node, said=fields[3])
    return list(states.values())


def merge(*sources: Iterable[SlurmState]) -> dict[TaskId, SlurmState]:
    """One state a task: the first source that knows it, with the largest count of restarts."""
    merged: dict[TaskId, SlurmState] = {}
    for source in sources:
        for state in source:
            known = merged.get(state.id)
            if known is None:
                merged[state.id] = state
            elif state.restarts > known.restarts:
                merged[state.id] = replace(known, restarts=state.restarts)
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
