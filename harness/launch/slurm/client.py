"""Slurm's commands: what they are told, and how what they print is read.

A job's id is ``12``, or ``12;name`` where sbatch handed it to another cluster of a federation. Whether a number is
still our job is seen from its mark, which stands in two fields: in the comment, where people look for it, though some
sites' plugins rewrite comments and a user's own template may have another one; and in the name of the script that
sbatch was given (``Command``, in accounting ``SubmitLine``), which no plugin and no option changes. The job's name has
none: it stays readable, and users set their own.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UserError
from harness.launch.queued import JobStates, TaskId, UnansweredError
from harness.launch.slurm.answers import (
    SACCT_FORMAT,
    SACCT_SCRIPT,
    SQUEUE_FORMAT,
    SlurmState,
    merge,
    parse_sacct,
    parse_scontrol,
    parse_squeue,
)

TIMEOUT_SECONDS = 60.0
UNKNOWN_JOB = "Invalid job id"
NO_ACCOUNTING = "accounting storage is disabled"
FILTERS = ("SBATCH_", "SLURM_JOB", "SQUEUE_", "SACCT_", "SCANCEL_")
PREFIX = re.compile(r"^\w+: (?:error|fatal): ")


def available() -> bool:
    """Whether Slurm's commands are on the PATH."""
    return all(shutil.which(name) for name in ("sbatch", "squeue", "scontrol", "scancel"))


NO_ANSWER = re.compile(
    r"tim(?:ed?|ing) ?out|unable to contact|connect|communicat|send/recv|unexpected message|temporarily|try again",
    re.IGNORECASE,
)
"""Words of an sbatch that does not know itself whether the controller has the job."""
ANSWER = re.compile(r"(\d+)(?:;([\w.-]+))?")


def submit(script: Path) -> str:
    """Hand ``script`` to sbatch; returns the job's id.

    Raises:
        UserError: there is no sbatch, or it refuses: its own words.
        UnansweredError: whether it took the job is not known.
    """
    said = _call(["sbatch", "--parsable", str(script)]).split()
    numbers = [match for word in said if (match := ANSWER.fullmatch(word))]
    if len(numbers) != 1:
        raise UnansweredError(f"sbatch: answered '{' '.join(said)[:80]}', which is not one job's number")
    number, cluster = numbers[0].groups()
    return f"{number};{cluster}" if cluster and cluster != cluster_name() else number


def cluster_name() -> str:
    """The cluster's name for itself; empty where that is not known."""
    found = re.search(r"^ClusterName\s*=\s*(\S+)", configuration(), re.MULTILINE)
    return found[1] if found else os.environ.get("SLURM_CLUSTER_NAME", "")


def configuration() -> str:
    """What the controller says of its own; empty where it does not answer."""
    try:
        return _call(["scontrol", "show", "config"])
    except UserError:
        return ""


def queue(jobs: Mapping[str, str]) -> JobStates:
    """The state of every task that Slurm still knows of ``jobs``, which are marks by id.

    Raises:
        UserError: Slurm is not there or does not answer.
    """
    states: dict[TaskId, SlurmState] = {}
    foreign: dict[str, str] = {}
    silence = ""
    for cluster in sorted({job.partition(";")[2] for job in jobs}):
        marks = {
            job.partition(";")[0]: mark for job, mark in jobs.items() if job.partition(";")[2] == cluster
        }
        where = ["-M", cluster] if cluster else []
        live = _known(["squeue", *where, "-h", "-r", "-o", SQUEUE_FORMAT, "-j", ",".join(marks)])
        shown = "\n".join(_known(["scontrol", *where, "-o", "show", "job", number]) for number in marks)
        # a number may also be that of one task of somebody's array: then the array's number is another
        known = [one for one in (*parse_squeue(live), *parse_scontrol(shown)) if one.id.job in marks]
        ours = [one for one in known if marks[one.id.job] in one.said]
        numbers = {one.id.job for one in ours}
        others = {one.id.job: one.who for one in known if one.id.job not in numbers}
        forgotten = [number for number in marks if number not in numbers | others.keys()]
        if forgotten:
            past, problem = _past([*where, "-j", ",".join(forgotten)])
            silence = silence or problem
            ours += [one for one in past if one.id.job in forgotten and marks[one.id.job] in one.said]
        full = f";{cluster}" if cluster else ""
        for one in merge(ours).values():
            id_ = TaskId(one.id.job + full, one.id.task)
            states[id_] = replace(one, id=id_)
        foreign |= {number + full: who for number, who in others.items()}
    return JobStates(states, foreign, silence)


def find(mark: str, since: str) -> list[str]:
    """The jobs that carry ``mark``, of those in the queue and those that accounting has from the day ``since`` on.

    Raises:
        UserError: Slurm is not there or does not answer.
    """
    me = str(os.getuid())
    live = parse_squeue(_call(["squeue", "-h", "-r", "-t", "all", "-u", me, "-o", SQUEUE_FORMAT]))
    past, _ = _past(["-u", me, "-S", since])
    return sorted({one.id.job for one in (*live, *past) if mark in one.said}, key=int)


def _past(which: Sequence[str]) -> tuple[list[SlurmState], str]:
    """What accounting knows of these jobs, and why it does not answer: neither on clusters without it."""
    if shutil.which("sacct") is None:
        return [], ""
    problem = ""
    for fields in (SACCT_FORMAT + SACCT_SCRIPT, SACCT_FORMAT):
        try:
            return parse_sacct(_call(["sacct", "-n", "-P", "-X", f"--format={fields}", *which])), ""
        except UserError as error:
            problem = "" if NO_ACCOUNTING in str(error) else str(error)
            if isinstance(error, UnansweredError):  # it would not answer the other question either
                break
    return [], problem


def cancel(jobs: Sequence[str]) -> None:
    """Cancel these jobs, with all their tasks."""
    for job in jobs:
        number, _, cluster = job.partition(";")
        _known(["scancel", *(["-M", cluster] if cluster else []), number])


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


def _call(command: Sequence[str]) -> str:
    # what a surrounding job or the user's shell sets for sbatch must not override the script, and what it sets for the
    # others (SQUEUE_STATES, SCANCEL_STATE) must not hide a job of ours
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FILTERS)}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
            env=kept,
        )
    except FileNotFoundError:
        raise UserError(
            f"{command[0]}: not found; launcher=slurm needs Slurm's commands on the PATH (launcher=local does not)"
        ) from None
    except subprocess.TimeoutExpired:
        raise UnansweredError(f"{command[0]}: no answer in {TIMEOUT_SECONDS:.0f} s") from None
    if done.returncode:
        said = [PREFIX.sub("", line.strip()) for line in done.stderr.splitlines() if line.strip()]
        text = f"{command[0]}: {'; '.join(dict.fromkeys(said)) or f'exit status {done.returncode}'}"
        # one that was killed, or left without a word, has refused nothing
        refused = done.returncode > 0 and said and not NO_ANSWER.search(text)
        raise UserError(text) if refused else UnansweredError(text)
    return done.stdout
