"""A Slurm of one folder that lies when it is told to: sbatch, squeue, scontrol and scancel for tests and for chaos.

    python scripts/lying_slurm.py install DIR     then put DIR/bin first on the PATH

Its jobs are in ``DIR/jobs.json``. They stay queued until somebody writes another state there; with ``install DIR
--run`` each task runs here, one after another, as a process of this machine. :func:`lie` says what sbatch does next:

    timeout, silent, killed   takes the job, and: says that the socket timed out; never answers; kills who called it
    error, twice              takes the job, and: says that the account is wrong; takes it a second time, answers both
    lost, early               takes nothing, and: says that the socket timed out; kills who called it
    refused                   takes nothing and says so, which is no lie; "says TEXT" does it in those words
    federation                takes the job, and answers 7;north
    comment                   takes the job, and writes another comment into it, as a site's plugin may
    down                      of squeue: no answer from the controller
"""

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.launch.slurm.script import DIRECTIVE, words_of

COMMANDS = ("sbatch", "squeue", "scontrol", "scancel")
TIMED_OUT = "Batch job submission failed: Socket timed out on send/recv operation"
SAYS = "says "
OVER = ("COMPLETED", "FAILED", "CANCELLED")


def install(folder: Path, run: bool = False) -> Path:
    """Make the commands in ``folder``; returns the folder for the PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parents[1]
    for name in COMMANDS:
        program = programs / name
        words = (f"PYTHONPATH={root}", sys.executable, str(Path(__file__).resolve()), name, str(folder))
        program.write_text(f'#!/bin/sh\nexec env {shlex.join(words)} "$@"\n')
        program.chmod(0o755)
    with _state(folder) as state:
        state |= {"next": 1, "cluster": "lying", "run": run, "jobs": {}, "lies": [], **state}
    return programs


def lie(folder: Path, *lies: str) -> None:
    """What the next calls of sbatch do, one each; ``down`` is for the next call of squeue."""
    with _state(folder) as state:
        state["lies"] += lies


def jobs(folder: Path) -> dict[str, dict[str, Any]]:
    """All jobs by number: name, comment, command, folder, user, state by task."""
    with _state(folder) as state:
        return dict(state["jobs"])


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Have ``edit`` change the state: jobs that end, numbers that are given anew, another cluster's name."""
    with _state(folder) as state:
        edit(state)


@contextmanager
def _state(folder: Path) -> Iterator[dict[str, Any]]:
    """The state, to read and to change."""
    path = folder / "jobs.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(path.read_text()) if path.exists() else {}
        yield state
        path.write_text(json.dumps(state, indent=1))


def _told(folder: Path, squeue: bool = False) -> str:
    """The next lie of squeue, or of sbatch; empty for the truth."""
    with _state(folder) as state:
        found = next((kind for kind in state["lies"] if (kind == "down") == squeue), "")
        if found:
            state["lies"].remove(found)
        return str(found)


def sbatch(folder: Path, arguments: list[str]) -> int:
    """Take a job, or say so."""
    told = _told(folder)
    none = told in ("lost", "early", "refused") or told.startswith(SAYS)
    times = 2 if told == "twice" else 0 if none else 1
    taken = [_take(folder, Path(arguments[-1]), told) for _ in range(times)]
    if told in ("killed", "early"):
        os.kill(os.getppid(), signal.SIGKILL)
    if told == "silent":
        time.sleep(600)
    if told in ("timeout", "lost"):
        return _fail("sbatch", TIMED_OUT)
    if told.startswith(SAYS):
        return _fail("sbatch", told.removeprefix(SAYS))
    if told in ("error", "refused"):
        return _fail(
            "sbatch", "Batch job submission failed: Invalid account or account/partition combination"
        )
    print("\n".join(taken) + (";north" if told == "federation" else ""))
    return 0


def _take(folder: Path, script: Path, told: str) -> str:
    text = script.read_text()
    options: dict[str, str] = {}
    for line in text.splitlines():
        for word in words_of(line.removeprefix(DIRECTIVE)) if line.startswith(DIRECTIVE) else []:
            name, _, value = word.partition("=")
            options[name] = value
    first, _, last = options.get("--array", "").partition("%")[0].partition("-")
    indices = range(int(first), int(last) + 1) if last else ()
    with _state(folder) as state:
        number, state["next"] = str(state["next"]), state["next"] + 1
        state["jobs"][number] = {
            "name": options.get("--job-name", script.name),
            "comment": "charged to physics" if told == "comment" else options.get("--comment", ""),
            "command": str(script),
            "folder": os.getcwd(),
            "user": "me",
            "uid": os.getuid(),
            "output": options.get("--output", "/dev/null"),
            "after": re.findall(r"\d+", options.get("--dependency", "")),
            "tasks": {str(index): "PENDING" for index in indices} or {"": "PENDING"},
        }
        if state["run"]:
            (folder / f"{number}.sh").write_text(text)
            command = [sys.executable, __file__, "run", str(folder), number]
            # no pipe of the caller's, who would wait for its end
            with (folder / f"{number}.err").open("w") as problems:
                subprocess.Popen(
                    command,
                    start_new_session=True,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=problems,
                )
    return number


def run(folder: Path, arguments: list[str]) -> int:
    """Run the tasks of a job one after another, once the jobs before it have ended."""
    number = arguments[0]
    while not all(_is_over(jobs(folder).get(before)) for before in jobs(folder)[number]["after"]):
        time.sleep(0.2)
    job = jobs(folder)[number]
    for task in job["tasks"]:
        if jobs(folder)[number]["tasks"][task] in OVER:
            continue
        _set(folder, number, task, "RUNNING")
        variables = {"SLURM_JOB_ID": number, "SLURM_CLUSTER_NAME": "lying"}
        if task:
            variables |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": task}
        log = (
            job["output"].replace("%%", "\0").replace("%A", number).replace("%j", number).replace("%a", task)
        )
        with open(log.replace("\0", "%"), "a") as output:
            done = subprocess.run(
                ["bash", str(folder / f"{number}.sh")],
                env={**os.environ, **variables},
                cwd=job["folder"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
        _set(folder, number, task, "FAILED" if done.returncode else "COMPLETED")
    return 0


def _is_over(job: dict[str, Any] | None) -> bool:
    return job is None or all(state in OVER for state in job["tasks"].values())


def _set(folder: Path, number: str, task: str, to: str) -> None:
    """A task's new state; one that was cancelled stays so."""
    with _state(folder) as state:
        if state["jobs"][number]["tasks"][task] != "CANCELLED":
            state["jobs"][number]["tasks"][task] = to


def squeue(folder: Path, arguments: list[str]) -> int:
    """The tasks that are asked for, in the format that is asked for; those that are over only by ``-t all``."""
    if _told(folder, squeue=True):
        return _fail("squeue", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)")
    asked = dict(pairwise(arguments))
    wanted = asked["-j"].split(",") if "-j" in asked else list(jobs(folder))
    if "-j" in asked and not jobs(folder).keys() & set(wanted):
        return _fail("squeue", "slurm_load_jobs error: Invalid job id specified")
    for number, job in jobs(folder).items():
        if number not in wanted or ("-u" in asked and asked["-u"] != str(job["uid"])):
            continue
        for task, state in job["tasks"].items():
            fields = {"F": number, "K": task or "N/A", "T": state, "N": "here", "r": "None", "u": job["user"]}
            fields |= {"j": job["name"], "o": job["command"], "k": job["comment"], "Z": job["folder"]}
            shown = asked.get("-t") or os.environ.get("SQUEUE_STATES", "")
            if state in shown or shown == "all" or (not shown and state not in OVER):
                print(re.sub(r"%(\w)", lambda match: fields[match[1]], asked["-o"]))  # noqa: B023
    return 0


def scontrol(folder: Path, arguments: list[str]) -> int:
    """``show config`` and ``-o show job N``."""
    if arguments[-1] == "config":
        with _state(folder) as state:
            print(f"ClusterName             = {state['cluster']}\nMaxArraySize            = 1001")
        return 0
    job = jobs(folder).get(arguments[-1].partition("_")[0])
    if "job" not in arguments or job is None:
        return _fail("scontrol", "slurm_load_jobs error: Invalid job id specified")
    for task, state in job["tasks"].items():
        array = f"ArrayJobId={arguments[-1]} ArrayTaskId={task} " if task else ""
        print(
            f"JobId={arguments[-1]} {array}JobName={job['name']} UserId={job['user']}({job['uid']}) JobState={state} "
            f"Reason=None Restarts=0 NodeList=here Command={job['command']} WorkDir={job['folder']} "
            f"Comment={job['comment']}"
        )
    return 0


def scancel(folder: Path, arguments: list[str]) -> int:
    """All tasks of a job, whoever's it is; a running one runs on, which a cluster may do for a while, too."""
    with _state(folder) as state:
        job = state["jobs"].get(arguments[-1])
        if job is None:
            return _fail("scancel", "Kill job error: Invalid job id specified")
        job["tasks"] = {
            task: one if one in ("COMPLETED", "FAILED") else "CANCELLED" for task, one in job["tasks"].items()
        }
    return 0


def _fail(command: str, text: str) -> int:
    print(f"{command}: error: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    if sys.argv[1] == "install":
        print(install(Path(sys.argv[2]).resolve(), run="--run" in sys.argv))
    else:
        made = {"sbatch": sbatch, "squeue": squeue, "scontrol": scontrol, "scancel": scancel, "run": run}
        sys.exit(made[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:]))
