"""The Slurm launcher: one sbatch file for the job array, one for the dependent job."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.launch.batch import Array, BatchLauncher
from harness.launch.ledger import TaskId, TaskState
from harness.launch.slurm import client
from harness.launch.slurm.request import (
    Request,
    SlurmConfig,
    chunks,
    concurrency,
    make_request,
    requested_gpus,
)
from harness.launch.slurm.script import Script, option_lines, program, read_template, render, setup_lines
from harness.runs.files import write_atomic
from harness.train.config import TrainConfig
from harness.train.job import Job

TASK_MODULE, NEXT_MODULE = "harness.commands.array_task", "harness.commands.next_stage"
REPORT_TIME, REPORT_MEMORY = "01:00:00", "4G"


class SlurmLauncher(BatchLauncher):
    """Submits by sbatch, asks squeue, scontrol and sacct, cancels by scancel."""

    kind = "slurm"

    def __init__(self, config: SlurmConfig) -> None:
        self._config = config

    def available(self) -> bool:
        """Whether Slurm's commands are on the PATH."""
        return client.available()

    @property
    def continues(self) -> bool:
        """``launcher.report``."""
        return self._config.report

    def gpus(self, train: TrainConfig) -> int:
        """What ``gres`` and the further options ask for."""
        return requested_gpus([self._config.gres, *self._config.sbatch]) if train.device != "cpu" else 0

    def workers(self, train: TrainConfig) -> int:
        """As asked for, ``per_gpu`` for each GPU, or one for its cores."""
        return concurrency(self._config, train)

    def tasks(self, jobs: Sequence[Job], pace: float) -> list[list[Job]]:
        """Tasks of about ``task_minutes``."""
        config = self._config
        return chunks(jobs, 60 * config.task_minutes / pace, self.workers(jobs[0].train), config.max_tasks)

    def pool_options(self, train: TrainConfig) -> Mapping[str, object]:
        """As the launcher's own options say."""
        config = self._config
        return {
            "workers": self.workers(train),
            "attempts": config.attempts,
            "processes": config.processes,
            "mps": config.mps,
        }

    def submit_array(self, array: Array) -> tuple[str, str]:
        """Write ``array.sbatch`` and submit it."""
        config, train = self._config, array.tasks[0][0].train
        request = make_request(array.tasks, config, train, array.pace)
        threads = max(1, train.threads)
        script = array_script(array.name, array.folder, len(array.tasks), config, request, threads)
        path = array.folder / "array.sbatch"
        write_atomic(path, render(read_template(config.template, "array.sbatch"), script))
        asks = f"{request.time}, {request.memory or 'no memory'}, {request.cpus} cores"
        return client.submit(path), asks

    def submit_dependent(self, name: str, folder: Path, command: str, after: Sequence[str]) -> str:
        """Write ``report.sbatch`` and submit it."""
        script = dependent_script(name, folder, self._config, command, after)
        path = folder / "report.sbatch"
        write_atomic(path, render(read_template(self._config.report_template, "report.sbatch"), script))
        return client.submit(path)

    def states(self, jobs: Sequence[str]) -> Mapping[TaskId, TaskState]:
        """As squeue, scontrol and sacct say."""
        return client.queue(jobs)

    def stop(self, jobs: Sequence[str]) -> None:
        """By scancel."""
        client.cancel(jobs)


def array_script(
    name: str, folder: Path, tasks: int, config: SlurmConfig, request: Request, threads: int
) -> Script:
    """The fields of the array's sbatch file."""
    throttle = f"%{config.throttle}" if config.throttle else ""
    python = config.python or sys.executable
    return Script(
        job_name=_job_name(name),
        comment=f"{_job_name(name)}:{folder.name}",
        output=str(folder / "logs" / "%A_%a.txt"),
        program=program(config.container, python, TASK_MODULE, str(folder)),
        directory=str(Path.cwd()),
        array=f"0-{tasks - 1}{throttle}",
        account=config.account,
        partition=config.partition,
        qos=config.qos,
        gres=config.gres,
        cpus=str(request.cpus),
        memory=request.memory,
        time=request.time,
        signal_seconds=str(config.signal_seconds or ""),
        threads=str(threads),
        options=option_lines(config.sbatch),
        setup=setup_lines(config.modules, config.setup),
    )


def dependent_script(
    name: str, folder: Path, config: SlurmConfig, command: str, after: Sequence[str]
) -> Script:
    """The fields of the sbatch file of the dependent job; it needs no GPU and asks for none."""
    own = bool(config.report_options)
    python = config.python or sys.executable
    return Script(
        job_name=f"{_job_name(name)}-report",
        comment=f"{_job_name(name)}:{folder.name}:report",
        output=str(folder / "logs" / "report-%j.txt"),
        program=program(config.container, python, NEXT_MODULE, command, str(folder)),
        directory=str(Path.cwd()),
        dependency=f"afterany:{':'.join(after)}" if after else "",
        account="" if own else config.account,
        partition="" if own else config.partition,
        qos="" if own else config.qos,
        cpus="1",
        memory=REPORT_MEMORY if config.memory == "auto" else config.memory,
        time=REPORT_TIME if config.time == "auto" else config.time,
        threads="1",
        options=option_lines(config.report_options),
        setup=setup_lines(config.modules, config.setup),
    )


def _job_name(name: str) -> str:
    return "isoflop-" + re.sub(r"[^\w.-]+", "-", name)
