"""Slurm's commands: what they are told, and how what they print is read."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.launch.ledger import TaskId

SQUEUE_FORMAT = "%F|%K|%T|%N|%r"
SACCT_FORMAT = "JobID,State,NodeList"
TIMEOUT_SECONDS = 60.0
UNKNOWN_JOB = "Invalid job id"
PREFIX = re.compile(r"^\w+: (?:error|fatal): ")
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
    def cancelled(self) -> bool:
        """By scancel, or with its account or node."""
        return self.state.startswith("CANCELLED")


def parse_squeue(text: str) -> list[SlurmState]:
    """Lines of ``squeue -h -r -o SQUEUE_FORMAT``."""
    states = []
    for line in text.splitlines():
        fields = line.strip().split("|", 4)
        if len(fields) == 5:
            job, task, state, node, reason = fields
            states += [SlurmState(id_, state, node, reason) for id_ in _ids(job, task)]
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
            states += [SlurmState(id_, value["JobState"], node, reason, restarts) for id_ in ids]
    return states


def parse_sacct(text: str) -> list[SlurmState]:
    """Lines of ``sacct -n -P -X --format=SACCT_FORMAT``; the last one of a task counts."""
    states: dict[TaskId, SlurmState] = {}
    for line in text.splitlines():
        fields = line.strip().split("|")
        if len(fields) == 3:
            job, _, task = fields[0].partition("_")
            for id_ in _ids(job, task.strip("[]")):
                states[id_] = SlurmState(id_, fields[1].partition(" ")[0], _unless_null(fields[2]))
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
                merged[state.id] = SlurmState(known.id, known.state, known.node, known.reason, state.restarts)
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


def available() -> bool:
    """Whether Slurm's commands are on the PATH."""
    return shutil.which("squeue") is not None


def submit(script: Path) -> str:
    """Hand ``script`` to sbatch; returns the job's id.

    Raises:
        UserError: there is no sbatch, or it refuses: its own words.
    """
    # what a surrounding job or the user's shell sets for sbatch must not override the script
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("SBATCH_", "SLURM_JOB"))
    }
    return _call(["sbatch", "--parsable", str(script)], environment=kept).strip().partition(";")[0]


def queue(jobs: Sequence[str]) -> dict[TaskId, SlurmState]:
    """The state of every task of ``jobs`` that Slurm still knows.

    Raises:
        UserError: Slurm is not there or does not answer.
    """
    if not jobs:
        return {}
    live = _known(["squeue", "-h", "-r", "-o", SQUEUE_FORMAT, "-j", ",".join(jobs)])
    shown = "\n".join(_known(["scontrol", "-o", "show", "job", job]) for job in jobs)
    known = merge(parse_squeue(live), parse_scontrol(shown))
    if {id_.job for id_ in known} >= set(jobs) or shutil.which("sacct") is None:
        return known
    try:
        past = _call(["sacct", "-n", "-P", "-X", f"--format={SACCT_FORMAT}", "-j", ",".join(jobs)])
    except UserError:  # clusters without accounting
        past = ""
    return merge(known.values(), parse_sacct(past))


def cancel(jobs: Sequence[str]) -> None:
    """Cancel these jobs, with all their tasks."""
    for job in jobs:
        _known(["scancel", job])


def requeue(job: str) -> None:
    """Send a job or an array's task back to the queue; a running one is ended by this."""
    _call(["scontrol", "requeue", job])


def job_state(job: str) -> str:
    """Slurm's word for the state of one job or task; empty where it knows none."""
    states = parse_scontrol(_known(["scontrol", "-o", "show", "job", job]))
    return states[0].state if states else ""


def _known(command: Sequence[str]) -> str:
    """The command's output; empty for a job that Slurm has forgotten."""
    try:
        return _call(command)
    except UserError as error:
        if UNKNOWN_JOB in str(error):
            return ""
        raise


def _call(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False, env=environment
        )
    except FileNotFoundError:
        raise UserError(
            f"{command[0]}: not found; launcher=slurm needs Slurm's commands on the PATH (launcher=local does not)"
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]}: no answer in {TIMEOUT_SECONDS:.0f} s") from None
    if done.returncode:
        said = [PREFIX.sub("", line.strip()) for line in done.stderr.splitlines() if line.strip()]
        raise UserError(f"{command[0]}: {'; '.join(dict.fromkeys(said)) or f'exit status {done.returncode}'}")
    return done.stdout
