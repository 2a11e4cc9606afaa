"""Where the runs of a sweep execute, and what a batch system is asked for."""

from dataclasses import dataclass, field

from harness.errors import UserError

KINDS = ("local", "slurm")


@dataclass
class LauncherConfig:
    """Where the runs of a sweep execute. All below ``processes`` is for Slurm.

    Attributes:
        kind: ``local``, this machine, or ``slurm``, one job array.
        workers: runs at once, on this machine or in one array task; 0 is one per CPU core, or ``per_gpu`` per GPU.
        per_gpu: runs side by side on each GPU, as far as its memory goes; 0 is what ``isoflop calibrate`` measured
            to be fastest (``throughput.per_device``), or one where nothing was measured.
        mps: start CUDA's MPS daemon for the sweep where runs share a GPU.
        processes: processes a run, by torchrun on one node: one for each of that many GPUs.
        attempts: how often a run is tried whose worker was killed or ran out of memory.
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
        report: submit a job behind the array that runs the same command again: follow-ups, fit, report.
        report_options: options of that job in place of partition, account and qos, e.g. ``--partition=cpu``.
    """

    kind: str = "local"
    workers: int = 0
    per_gpu: int = 0
    mps: bool = True
    processes: int = 1
    attempts: int = 3
    template: str = ""
    report_template: str = ""
    account: str = ""
    partition: str = ""
    qos: str = ""
    gres: str = ""
    cpus: int = 0
    memory: str = "auto"
    time: str = "auto"
    time_margin: float = 2.0
    throttle: int = 0
    task_minutes: float = 60.0
    max_tasks: int = 1000
    signal_seconds: int = 180
    modules: list[str] = field(default_factory=list)
    setup: list[str] = field(default_factory=list)
    container: str = ""
    python: str = ""
    sbatch: list[str] = field(default_factory=list)
    report: bool = True
    report_options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"launcher.kind: '{self.kind}' is none of {', '.join(KINDS)}")
        for name in ("workers", "per_gpu", "cpus", "throttle", "signal_seconds"):
            if getattr(self, name) < 0:
                raise UserError(f"launcher.{name}: must not be negative, got {getattr(self, name)}")
        for name in ("processes", "attempts", "task_minutes", "max_tasks", "time_margin"):
            if getattr(self, name) < (1 if name != "task_minutes" else 1e-9):
                raise UserError(f"launcher.{name}: too small, got {getattr(self, name):g}")
        if self.per_gpu > 1 and self.processes > 1:
            raise UserError(
                f"launcher: a run on {self.processes} GPUs (processes) shares none; leave per_gpu at 0 or 1"
            )
        for option in (*self.sbatch, *self.report_options):
            if not option.startswith("-"):
                raise UserError(f"launcher.sbatch: options begin with '-', got '{option}'")
