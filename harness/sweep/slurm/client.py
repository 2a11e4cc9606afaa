"""Talking to Slurm through its commands."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError
from harness.sweep.slurm.queue import (
    SACCT_FORMAT,
    SQUEUE_FORMAT,
    TaskId,
    TaskState,
    merge,
    parse_sacct,
    parse_scontrol,
    parse_squeue,
)

TIMEOUT_SECONDS = 60.0
UNKNOWN_JOB = "Invalid job id"
PREFIX = re.compile(r"^\w+: (?:error|fatal): ")


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


def queue(jobs: Sequence[str]) -> dict[TaskId, TaskState]:
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
