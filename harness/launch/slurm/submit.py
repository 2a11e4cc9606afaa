"""From missing cells to a job array and the job behind it."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import UserError
from harness.launch.config import LauncherConfig
from harness.launch.pool import PoolOptions
from harness.launch.slurm import client
from harness.launch.slurm.ledger import Ledger, Submission
from harness.launch.slurm.request import Request, chunks, concurrency, make_request
from harness.launch.slurm.script import Script, option_lines, program, read_template, render, setup_lines
from harness.runs.files import write_atomic, write_json
from harness.train.job import Job

TASK_MODULE, NEXT_MODULE = "harness.commands.array_task", "harness.commands.next_stage"
REPORT_TIME, REPORT_MEMORY = "01:00:00", "4G"


@dataclass(frozen=True)
class JobBehind:
    """What runs once the jobs before it have ended, however they ended.

    Attributes:
        command: what it goes on with, a key of ``harness.commands.next_stage.COMMANDS``.
        yaml: the configuration for that.
        after: further jobs that it waits for, all of them queued.
    """

    command: str
    yaml: str
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submitted:
    """What became of a submission: ``warning`` where the array is queued but the job behind it was refused."""

    submission: Submission
    request: Request
    warning: str = ""


def submit(
    jobs: Sequence[Job], launcher: LauncherConfig, ledger: Ledger, behind: JobBehind, pace: float
) -> Submitted:
    """Submit ``jobs`` as one array, and the job behind it; returns at once.

    Args:
        pace: how much longer finished runs took than their estimates.

    Raises:
        UserError: sbatch is missing or refuses.
    """
    train = jobs[0].train
    workers = concurrency(launcher, train)
    tasks = chunks(jobs, 60 * launcher.task_minutes / pace, workers, launcher.max_tasks)
    request = make_request(tasks, launcher, train, pace)
    folder = _new_folder(ledger)
    options = {
        "workers": workers,
        "attempts": launcher.attempts,
        "processes": launcher.processes,
        "mps": launcher.mps,
    }
    for index, task in enumerate(tasks):
        write_json(
            folder / "tasks" / f"{index}.json", {"pool": options, "jobs": [job.to_json() for job in task]}
        )
    write_atomic(folder / "config.yaml", behind.yaml)
    array = array_script(jobs[0].sweep_name, folder, len(tasks), launcher, request, max(1, train.threads))
    write_atomic(folder / "array.sbatch", render(read_template(launcher.template, "array.sbatch"), array))

    submission = Submission(
        folder=folder.name,
        submitted=datetime.now(UTC).isoformat(timespec="seconds"),
        tasks=tuple(tuple(job.cell.run_id for job in task) for task in tasks),
        job=client.submit(folder / "array.sbatch"),
    )
    ledger.put(submission)
    if not launcher.report:
        return Submitted(submission, request)
    try:
        behind = replace(behind, after=(submission.job, *behind.after))
        job = _submit_behind(jobs[0].sweep_name, folder, launcher, behind)
    except UserError as error:
        return Submitted(submission, request, warning=f"no job behind it: {error}")
    submission = replace(submission, report_job=job)
    ledger.put(submission)
    return Submitted(submission, request)


def submit_behind(name: str, launcher: LauncherConfig, ledger: Ledger, behind: JobBehind) -> Submission:
    """Submit a job behind the jobs of other sweeps, without an array of its own.

    Raises:
        UserError: sbatch is missing or refuses.
    """
    folder = _new_folder(ledger)
    write_atomic(folder / "config.yaml", behind.yaml)
    submission = Submission(
        folder=folder.name,
        submitted=datetime.now(UTC).isoformat(timespec="seconds"),
        tasks=(),
        report_job=_submit_behind(name, folder, launcher, behind),
    )
    ledger.put(submission)
    return submission


def _submit_behind(name: str, folder: Path, launcher: LauncherConfig, behind: JobBehind) -> str:
    script = behind_script(name, folder, launcher, behind)
    template = read_template(launcher.report_template, "report.sbatch")
    write_atomic(folder / "report.sbatch", render(template, script))
    return client.submit(folder / "report.sbatch")


def array_script(
    name: str, folder: Path, tasks: int, launcher: LauncherConfig, request: Request, threads: int
) -> Script:
    """The fields of the array's sbatch file."""
    throttle = f"%{launcher.throttle}" if launcher.throttle else ""
    python = launcher.python or sys.executable
    return Script(
        job_name=_job_name(name),
        comment=f"{_job_name(name)}:{folder.name}",
        output=str(folder / "logs" / "%A_%a.txt"),
        program=program(launcher.container, python, TASK_MODULE, str(folder)),
        directory=str(Path.cwd()),
        array=f"0-{tasks - 1}{throttle}",
        account=launcher.account,
        partition=launcher.partition,
        qos=launcher.qos,
        gres=launcher.gres,
        cpus=str(request.cpus),
        memory=request.memory,
        time=request.time,
        signal_seconds=str(launcher.signal_seconds or ""),
        threads=str(threads),
        options=option_lines(launcher.sbatch),
        setup=setup_lines(launcher.modules, launcher.setup),
    )


def behind_script(name: str, folder: Path, launcher: LauncherConfig, behind: JobBehind) -> Script:
    """The fields of the sbatch file of the job behind; it needs no GPU and asks for none."""
    own = bool(launcher.report_options)
    python = launcher.python or sys.executable
    return Script(
        job_name=f"{_job_name(name)}-report",
        comment=f"{_job_name(name)}:{folder.name}:report",
        output=str(folder / "logs" / "report-%j.txt"),
        program=program(launcher.container, python, NEXT_MODULE, behind.command, str(folder)),
        directory=str(Path.cwd()),
        dependency=f"afterany:{':'.join(behind.after)}" if behind.after else "",
        account="" if own else launcher.account,
        partition="" if own else launcher.partition,
        qos="" if own else launcher.qos,
        cpus="1",
        memory=REPORT_MEMORY if launcher.memory == "auto" else launcher.memory,
        time=REPORT_TIME if launcher.time == "auto" else launcher.time,
        threads="1",
        options=option_lines(launcher.report_options),
        setup=setup_lines(launcher.modules, launcher.setup),
    )


def read_task(folder: Path, index: int) -> tuple[list[Job], PoolOptions]:
    """What array task ``index`` of the submission in ``folder`` trains, and how."""
    data = json.loads((folder / "tasks" / f"{index}.json").read_text(encoding="utf-8"))
    return [Job.from_json(job) for job in data["jobs"]], PoolOptions(**data["pool"])


def _new_folder(ledger: Ledger) -> Path:
    """``slurm/0001``, ``slurm/0002``, …, with its folder for logs."""
    numbers = [int(path.name) for path in ledger.path.glob("[0-9]*") if path.name.isdigit()]
    folder = ledger.path.resolve() / f"{max(numbers, default=0) + 1:04d}"
    (folder / "logs").mkdir(parents=True)
    return folder


def _job_name(name: str) -> str:
    return "isoflop-" + re.sub(r"[^\w.-]+", "-", name)
