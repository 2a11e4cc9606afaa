"""What Slurm is asked for: the launcher's options, which cells share an array task, its time, memory and cores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.bounds import bounded
from harness.errors import UserError
from harness.launch.branching import groups, own_seconds
from harness.launch.launcher import LauncherConfig
from harness.launch.memory import training_bytes
from harness.launch.slurm.gpus import count_gpus, refuse_environment
from harness.launch.slurm.script import asked_options, option_lines, read_template
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.train.config import TrainConfig
from harness.train.job import Job


@dataclass
class SlurmConfig(LauncherConfig):
    """One job array for the sweep, and a dependent job that continues with the command.

    Attributes:
        template, report_template: sbatch files to fill in; empty are those of the folder ``slurm/``.
        account, partition, qos: as sbatch takes them; empty is the cluster's default.
        gres: GPUs and the like for one array task, e.g. ``gpu:1``.
        cpus: cores of one array task; 0 is ``train.threads`` a process, at least 4 on a GPU (2 where runs share one).
        memory: of one array task, e.g. ``16G``; ``auto`` estimates it; empty asks for nothing.
        time: limit of one array task, as sbatch takes it; ``auto`` estimates it.
        time_margin: estimated times are multiplied by this to make a limit.
        throttle: array tasks at once; 0 is no limit of ours.
        task_minutes: short runs share an array task of about this estimated length.
        max_tasks: array tasks at most (Slurm's MaxArraySize is often 1001).
        signal_seconds: how long before the limit a task is told to write its checkpoints.
        modules: names for ``module load``.
        setup: shell lines before the program starts.
        container: command that runs another in a container, e.g. ``apptainer exec --nv image.sif``.
        python: the interpreter there; empty is the one that submits.
        sbatch: further options, one each, e.g. ``--constraint=a100``.
        report: submit a dependent job that runs the same command again when the array has ended: follow-ups, fit,
            report.
        report_options: options of that job in place of partition, account and qos, e.g. ``--partition=cpu``.
    """

    kind: str = "slurm"
    template: str = ""
    report_template: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    gres: str = ""
    cpus: int = bounded(0, 0, 4096)
    memory: str = "auto"
    time: str = "auto"
    time_margin: float = bounded(2.0, 1, 1e6)
    throttle: int = bounded(0, 0, 1_000_000)
    task_minutes: float = bounded(60.0, 0, 1e9, above=True)
    max_tasks: int = bounded(1000, 1, 1_000_000)
    signal_seconds: int = bounded(180, 0, 1_000_000)
    modules: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    container: str = ""
    python: str = ""
    sbatch: list[str] = field(default_factory=list)
    report: bool = True
    report_options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in (*self.sbatch, *self.report_options):
            if not option.startswith("-") or "\n" in option:
                raise UserError(f"launcher.sbatch: options begin with '-' and are one line, got {option!r}")


def chunks(jobs: Sequence[Job], seconds: float, workers: int, most: int) -> list[list[Job]]:
    """Array tasks of about ``seconds`` each, of nearly equal estimated length, the longest first.

    A trunk and its branches stay together: within a task the branches wait for it, and tasks may not run at once.

    Args:
        jobs: what is to be trained.
        seconds: estimated time that short cells are gathered to; a longer cell has a task of its own.
        workers: cells at once in a task.
        most: tasks at most.
    """
    if not jobs:
        return []
    units = [(sum(own_seconds(unit)), unit) for unit in groups(jobs)]
    wanted = max(1, math.ceil(sum(length for length, _ in units) / (seconds * workers)))
    tasks: list[list[Job]] = [[] for _ in range(min(wanted, most, len(units)))]
    load = [0.0] * len(tasks)
    for length, unit in sorted(units, key=lambda unit: -unit[0]):
        least = load.index(min(load))
        tasks[least] += unit
        load[least] += length
    return sorted(tasks, key=lambda task: -expected_seconds(task, workers))


def expected_seconds(jobs: Sequence[Job], workers: int) -> float:
    """How long a task with these cells should take."""
    return makespan(own_seconds(jobs), workers)


STARTUP_SECONDS = 300  # imports from a cold file server, compilation, evaluation
SLURM_LEEWAY_SECONDS = 60  # Slurm may signal, and end, this much early or late
PROCESS_BYTES = 2.0 * 2**30  # Python, torch and its libraries, with the device's context
HOST_BYTES = 4.0 * 2**30  # the same where the model is on a GPU: CUDA's libraries, pinned pages, compiling
CHECKPOINT_BYTES = 2 * 12  # a parameter: weights and two moments, held twice while they are read
MEMORY_MARGIN = 1.3
# A process on a GPU feeds it from one core; others compile, write checkpoints, and talk to the tracker. Runs that share
# a GPU are asked fewer for, each: nodes have 8 to 16 a GPU, and a task that asks for more is refused.
GPU_CORES, SHARED_GPU_CORES = 4, 2


@dataclass(frozen=True)
class Request:
    """Of one array task, as sbatch takes it; empty asks for nothing.

    Attributes:
        workers: runs at once.
    """

    time: str
    memory: str
    cpus: int
    workers: int


def make_request(
    tasks: Sequence[Sequence[Job]], config: SlurmConfig, train: TrainConfig, pace: float = 1.0
) -> Request:
    """One request that suits every task of the array.

    Args:
        pace: how much longer finished runs took than their estimates.
    """
    workers = concurrency(config, train)
    processes = workers * config.processes
    gpus = _gpus(config, train)
    cpus = config.cpus or _cores_a_process(processes, gpus, train) * processes
    expected = max(expected_seconds(task, workers) for task in tasks) * pace
    time = config.time
    if time == "auto":
        seconds = (
            expected * config.time_margin + STARTUP_SECONDS + config.signal_seconds + SLURM_LEEWAY_SECONDS
        )
        time = clock(seconds)
    memory = config.memory
    if memory == "auto":
        cells = [job.cell for task in tasks for job in task]
        memory = f"{estimate_memory(cells, train, processes, gpu=gpus > 0)}M"
    return Request(time, memory, cpus, workers)


def concurrency(config: SlurmConfig, train: TrainConfig) -> int:
    """Runs at once in one array task: as asked for, ``per_gpu`` for each GPU, or one for its cores."""
    if config.workers:
        return config.workers
    if gpus := task_gpus(config, train):
        return max(1, gpus // config.processes) * max(1, config.per_gpu)
    return max(1, config.cpus // (max(1, train.threads) * config.processes))


def _gpus(config: SlurmConfig, train: TrainConfig) -> int:
    """GPUs of a task that its runs are trained on."""
    return task_gpus(config, train) if train.device != "cpu" else 0


def task_gpus(config: SlurmConfig, train: TrainConfig) -> int:
    """GPUs of one array task, as sbatch reads the file that it is given.

    Raises:
        UserError: its options contradict one another; or only the environment asks for GPUs.
    """
    template = read_template(config.template, "array.sbatch")
    given = {"gres": config.gres, "options": option_lines(config.sbatch)}
    found = count_gpus(asked_options(template, given))
    if not found and train.device != "cpu":
        refuse_environment()
    return found


def _cores_a_process(processes: int, gpus: int, train: TrainConfig) -> int:
    least = 1 if not gpus else GPU_CORES if processes <= gpus else SHARED_GPU_CORES
    return max(least, train.threads)


def estimate_memory(cells: Sequence[Cell], train: TrainConfig, processes: int, gpu: bool) -> int:
    """MiB of the host that ``processes`` processes need which train the largest of ``cells``, with a margin."""
    largest = max(process_bytes(cell, train, gpu) for cell in cells)
    return 512 * math.ceil(MEMORY_MARGIN * processes * largest / 2**20 / 512)


def process_bytes(cell: Cell, train: TrainConfig, gpu: bool) -> float:
    """Bytes of the host that one process takes which trains ``cell``.

    On a CPU weights, gradients, moments and activations are in the host's memory; on a GPU its checkpoints are.
    """
    if gpu:
        return HOST_BYTES + CHECKPOINT_BYTES * cell.params.total
    return PROCESS_BYTES + training_bytes(cell, train)


def clock(seconds: float) -> str:
    """Seconds as Slurm's ``days-hours:minutes:seconds``, rounded up to minutes."""
    minutes = math.ceil(seconds / 60)
    days, minutes = divmod(minutes, 24 * 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}:00"
    return f"{days}-{text}" if days else text
