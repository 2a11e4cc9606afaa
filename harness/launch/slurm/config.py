"""What a Slurm cluster is asked for."""

from dataclasses import dataclass, field

from harness.errors import UserError
from harness.launch.config import LauncherConfig


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
        super().__post_init__()
        self.check(at_least_0=("cpus", "throttle", "signal_seconds"), at_least_1=("max_tasks", "time_margin"))
        if self.task_minutes <= 0:
            raise UserError(f"launcher.task_minutes: too small, got {self.task_minutes:g}")
        for option in (*self.sbatch, *self.report_options):
            if not option.startswith("-"):
                raise UserError(f"launcher.sbatch: options begin with '-', got '{option}'")
