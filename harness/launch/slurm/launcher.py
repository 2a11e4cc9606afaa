"""The Slurm launcher: one sbatch file for the job array, one for the dependent job."""

import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UserError
from harness.files import write_atomic
from harness.launch.batch import BatchLauncher
from harness.launch.batch_system import Array
from harness.launch.queued import JobStates
from harness.launch.slurm import client
from harness.launch.slurm.refusals import remedy
from harness.launch.slurm.request import (
    Request,
    SlurmConfig,
    chunks,
    concurrency,
    make_request,
    task_gpus,
)
from harness.launch.slurm.script import (
    Script,
    log_pattern,
    option_lines,
    program,
    read_template,
    render,
    setup_lines,
)
from harness.launch.submission import REPORT
from harness.text import counted
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
        """What the sbatch file asks for: ``gres``, the further options, and the template's own lines."""
        return task_gpus(self._config, train) if train.device != "cpu" else 0

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

    def asks(self, array: Array) -> str:
        """Its time, memory and cores."""
        request = self._request(array)
        return f"{request.time}, {request.memory or 'no memory'}, {counted(request.cpus, 'core')}"

    def _request(self, array: Array) -> Request:
        return make_request(array.tasks, self._config, array.tasks[0][0].train, array.pace)

    def submit_array(self, array: Array) -> str:
        """Write the array's sbatch file, named by its mark, and submit it."""
        return _submit(array.folder, self._array_text(array), array.mark)

    def _array_text(self, array: Array) -> str:
        config, threads = self._config, max(1, array.tasks[0][0].train.threads)
        script = array_script(array, config, self._request(array), threads)
        return render(read_template(config.template, "array.sbatch"), script)

    def submit_dependent(self, name: str, folder: Path, command: str, after: Sequence[str], mark: str) -> str:
        """Write the dependent job's sbatch file, named by its mark, and submit it."""
        return _submit(folder, self._dependent_text(name, folder, command, after, mark), mark)

    def _dependent_text(self, name: str, folder: Path, command: str, after: Sequence[str], mark: str) -> str:
        script = dependent_script(name, folder, self._config, command, after, mark)
        return render(read_template(self._config.report_template, "report.sbatch"), script)

    def check(self, array: Array | None, name: str, folder: Path, command: str) -> None:
        """Both sbatch files can be filled in, and the interpreter is here."""
        _check_python(self._config)
        if array is not None:
            self._array_text(array)
        if self.continues:
            self._dependent_text(name, folder, command, ("1",), REPORT)

    def cluster(self) -> str:
        """As the controller calls it."""
        return client.cluster_name()

    def find(self, mark: str, since: str) -> Sequence[str]:
        """As squeue and sacct say."""
        return client.find(mark, since)

    def states(self, jobs: Mapping[str, str]) -> JobStates:
        """As squeue, scontrol and sacct say."""
        return client.queue(jobs)

    def stop(self, jobs: Sequence[str]) -> None:
        """By scancel."""
        client.cancel(jobs)


def _submit(folder: Path, text: str, mark: str) -> str:
    """Hand ``text`` to sbatch as ``<mark>.sbatch``; a refusal says what mends it."""
    path = folder / f"{mark}.sbatch"
    write_atomic(path, text)
    try:
        return client.submit(path)
    except UserError as error:
        mends = remedy(str(error), dependent=mark.startswith(REPORT))
        raise type(error)(f"{error}; {mends}" if mends else str(error)) from error


def _check_python(config: SlurmConfig) -> None:
    """Refuse an interpreter that is not here, where nothing says that it is another machine's or is set up there.

    Raises:
        UserError: there is no such program.
    """
    elsewhere = config.container or config.modules or config.setup or config.template
    if config.python and not elsewhere and not shutil.which(config.python):
        raise UserError(
            f"launcher.python: {config.python}: no such program here; leave it empty for the one that submits, or say "
            "with launcher.setup or launcher.modules what makes it known to the nodes"
        )


def array_script(array: Array, config: SlurmConfig, request: Request, threads: int) -> Script:
    """The fields of the array's sbatch file."""
    folder = array.folder
    throttle = f"%{config.throttle}" if config.throttle else ""
    python = config.python or sys.executable
    return Script(
        job_name=_job_name(array.name),
        comment=f"{_job_name(array.name)}:{folder.name}:{array.mark}",
        output=log_pattern(folder / "logs", "%A_%a.txt"),
        program=program(config.container, python, TASK_MODULE, str(folder)),
        directory=str(Path.cwd()),
        array=f"0-{len(array.tasks) - 1}{throttle}",
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
    name: str, folder: Path, config: SlurmConfig, command: str, after: Sequence[str], mark: str
) -> Script:
    """The fields of the sbatch file of the dependent job; it needs no GPU and asks for none."""
    own = bool(config.report_options)
    python = config.python or sys.executable
    return Script(
        job_name=f"{_job_name(name)}-report",
        comment=f"{_job_name(name)}:{folder.name}:{mark}",
        output=log_pattern(folder / "logs", "report-%j.txt"),
        program=program(config.container, python, NEXT_MODULE, command, str(folder)),
        directory=str(Path.cwd()),
        dependency=f"afterany:{':'.join(job.partition(';')[0] for job in after)}" if after else "",
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
