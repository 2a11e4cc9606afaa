"""What every launcher can be told."""

from dataclasses import dataclass
from typing import ClassVar

from harness.errors import UserError


@dataclass
class LauncherConfig:
    """Where and how the runs of a sweep execute; a launcher's own options stand in its subclass.

    Attributes:
        kind: a key of :data:`harness.launch.registry.LAUNCHERS`.
        workers: runs at once, on this machine or in one array task; 0 is one per CPU core, or ``per_gpu`` per GPU.
        per_gpu: runs side by side on each GPU, as far as its memory goes; 0 is what ``isoflop calibrate`` measured
            to be fastest (``throughput.per_device``), or one where nothing was measured.
        mps: start CUDA's MPS daemon for the sweep where runs share a GPU.
        processes: processes a run, by torchrun on one node: one for each of that many GPUs.
        attempts: how often a run is tried whose worker was killed or ran out of memory.
    """

    kind: str = "local"
    workers: int = 0
    per_gpu: int = 0
    mps: bool = True
    processes: int = 1
    attempts: int = 3

    here: ClassVar[bool] = False
    """Whether runs execute on the machine of the command, with its GPUs and its packages."""

    def __post_init__(self) -> None:
        self.check(at_least_0=("workers", "per_gpu"), at_least_1=("processes", "attempts"))
        if self.per_gpu > 1 and self.processes > 1:
            raise UserError(
                f"launcher: a run on {self.processes} GPUs (processes) shares none; leave per_gpu at 0 or 1"
            )

    def check(self, at_least_0: tuple[str, ...] = (), at_least_1: tuple[str, ...] = ()) -> None:
        """Refuse values of these fields below 0 and below 1.

        Raises:
            UserError: one of them is.
        """
        for name in at_least_0:
            if getattr(self, name) < 0:
                raise UserError(f"launcher.{name}: must not be negative, got {getattr(self, name)}")
        for name in at_least_1:
            if getattr(self, name) < 1:
                raise UserError(f"launcher.{name}: too small, got {getattr(self, name):g}")
