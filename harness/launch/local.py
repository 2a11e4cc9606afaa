"""The local launcher: a pool of workers on this machine."""

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.errors import UserError
from harness.launch.launcher import Continuation, LauncherConfig, Outcome, Queue, Work
from harness.launch.pool import PoolOptions, run_pool
from harness.launch.progress import Progress
from harness.launch.sharing import gpus_of, placed, shared_gpus
from harness.plan.cell import Cell
from harness.plan.labels import Labels
from harness.runs.files import SweepFolder
from harness.runs.record import FAILED
from harness.text import counted
from harness.train.config import TrainConfig


@dataclass
class LocalConfig(LauncherConfig):
    """This machine."""

    here: ClassVar[bool] = True


class LocalLauncher:
    """Trains in this process's workers; nothing is submitted, so no queue knows anything."""

    def __init__(self, config: LocalConfig) -> None:
        self._config = config

    def gpus(self, train: TrainConfig) -> int:
        """Those that runs may use."""
        return len(gpus_of(train))

    def workers(self, train: TrainConfig) -> int:
        """What is asked for, else ``per_gpu`` on each GPU, or one for each of its CPU cores (a thread is a core)."""
        config = self._config
        if config.workers:
            return config.workers
        gpus = self.gpus(train)
        if gpus:
            return max(1, gpus // config.processes) * max(1, config.per_gpu)
        cores = max(1, train.threads) * config.processes
        return max(1, len(os.sched_getaffinity(0)) // cores)

    def pool(self, cells: Sequence[Cell], train: TrainConfig) -> PoolOptions:
        """The pool for ``cells``; with several GPUs, each worker has its own."""
        config = self._config
        workers = min(self.workers(train), len(cells))
        options = PoolOptions(workers, config.attempts, config.processes, mps=config.mps)
        return placed(options, cells, train)

    def train(self, work: Work) -> Outcome:
        """Train what is missing, several at once."""
        jobs, console, total = work.missing(), work.console, len(work.plan.cells)
        if not jobs:
            every = "the only cell is" if total == 1 else f"all {total} cells are"
            console.print(f"{every} finished; nothing to train", highlight=False)
            return Outcome.DONE
        options = self.pool([job.cell for job in jobs], work.train)
        work.say_cost(options.workers)
        console.print(
            f"{total - len(jobs)} finished, {len(jobs)} to {jobs[0].verb} with {counted(options.workers, 'worker')} "
            f"into {work.folder.path}",
            highlight=False,
            soft_wrap=True,
        )
        say = lambda text: console.print(text, highlight=False, soft_wrap=True)  # noqa: E731
        with (
            shared_gpus(options, work.train, say) as options,
            Progress(jobs, total - len(jobs), options.workers, console, work.plan.cells) as view,
        ):
            failed = [ended for ended in run_pool(jobs, options, view) if ended.status == FAILED]
        if failed:
            first = failed[0]
            name = Labels.of(work.plan.cells).name(work.plan.cell(first.run_id))
            others = ", the others are finished and kept; first:" if total > len(failed) else "; first:"
            raise UserError(
                f"{len(failed)} of {counted(total, 'cell')} failed{others} "
                f"{first.run_id} ({name}): {first.reason} (log: {work.folder.cell(first.run_id).log}); "
                "run the same command again to retry only what failed"
            )
        return Outcome.DONE

    def available(self) -> bool:
        """There is no queue."""
        return False

    def queue(self, folder: SweepFolder, planned: Collection[str], settle: bool = True) -> Queue:
        """Nothing is submitted."""
        return Queue()

    def live(self, folder: SweepFolder) -> list[str]:
        """Nothing is submitted."""
        return []

    def depend(self, name: str, folder: SweepFolder, continuation: Continuation, jobs: Sequence[str]) -> str:
        """Nothing continues by itself."""
        return ""

    def settle(self, folder: SweepFolder) -> list[str]:
        """Nothing is submitted."""
        return []

    def cancel(self, folder: SweepFolder, say: Callable[[str], None]) -> list[str]:
        """Nothing is submitted."""
        return []

    def latest(self, folder: SweepFolder) -> Path | None:
        """Nothing is submitted."""
        return None

    def touched(self, folder: SweepFolder) -> float:
        """Nothing is submitted."""
        return 0.0
