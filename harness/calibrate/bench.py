"""Timing an experiment's models on this device, by mode of execution and by number of runs at once."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from harness.calibrate.config import CalibrateConfig
from harness.calibrate.measurement import Measurement, fit_modes, hashed, with_sharing
from harness.calibrate.selection import (
    best_parallel_runs,
    makespan_of,
    spread_cells,
    with_small_batches,
    worth_trying_more,
)
from harness.calibrate.stretch import DoesNotFitError, Speed, train_side_by_side
from harness.errors import UserError
from harness.launch.memory import compile_threads, fitting, free_bytes, share
from harness.launch.sharing import mps
from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.throughput import SETTINGS, ThroughputConfig
from harness.train.compile import lacking_for_triton
from harness.train.config import TrainConfig
from harness.train.job import Job
from harness.version import version_of

GPU_RUNS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Attributes:
        cells: that were timed; the first ``chosen`` have the batch of the plan and were also timed side by side.
        makespans: seconds that the experiment takes on this device, by number of runs at once.
        micro_batch: sequences a device takes at once; 0 is the whole batch.
    """

    cells: tuple[Cell, ...]
    chosen: int
    found: Measurement
    throughput: ThroughputConfig
    makespans: dict[int, float]
    micro_batch: int = 0


class Bench:
    """Times the jobs of an experiment, in more modes and with more runs at once while this is faster and fits."""

    def __init__(
        self,
        config: CalibrateConfig,
        jobs: Sequence[Job],
        prior: ThroughputConfig,
        gpus: Sequence[str],
        mps: bool,
        kept: Path,
        console: Console,
    ) -> None:
        """What was timed is kept at ``kept``, and is not timed again.

        Args:
            jobs: all of the experiment.
            prior: where the fit of the time model begins.
            gpus: by the names CUDA_VISIBLE_DEVICES knows; empty on a CPU. One is timed.
            mps: runs share the GPU by CUDA's MPS.
        """
        self._config, self._prior, self._gpus, self._mps = config, prior, gpus[:1], mps
        self._kept, self._console = kept, console
        self._train: TrainConfig = jobs[0].train
        self._cells = [job.cell for job in jobs]
        chosen = spread_cells(self._cells, config.sizes)
        self._chosen = len(chosen)
        self._timed = with_small_batches(chosen)
        by_shape = {job.cell.spec.shape: job for job in jobs}
        self._jobs = [replace(by_shape[cell.spec.shape], cell=cell) for cell in self._timed]
        self._found = Measurement.read(kept, self._key())
        self._found.drop_incomplete(len(self._timed), self._chosen)

    def measure(self) -> Calibration:
        """Time what was not timed yet, and fit the time model to all of it.

        Raises:
            UserError: a stretch fails.
        """
        gpu, found, micro_batch = bool(self._gpus), self._found, self._train.micro_batch
        for mode in self._modes():
            if mode not in found.alone:
                jobs = self._jobs if mode == "eager" else self._jobs[: self._chosen]
                try:
                    found.alone[mode] = self._time(f"one at a time, {mode}", jobs, [mode] * len(jobs), 1)
                except UserError as error:
                    if mode == "eager" or self._train.compile != "auto":
                        raise
                    self._say(f"{mode} is left out, and runs will not use it: {error}")
                    continue
                found.write(self._kept)
        alone = fit_modes(self._timed, found, self._prior, gpu, micro_batch)
        modes_of = self._timing(alone, 1).modes_of(cell.spec for cell in self._cells)
        modes = [modes_of[cell.spec.shape] for cell in self._timed[: self._chosen]]
        makespans = {1: self._makespan(alone, 1)}
        models = {1: alone}
        for runs in self._numbers_of_runs():
            if runs not in found.together:
                try:
                    said = f"{runs} at once"
                    found.together[runs] = self._time(said, self._jobs[: self._chosen], modes, runs)
                except DoesNotFitError as error:
                    self._say(f"{runs} at once do not fit: {error}")
                    break
                found.write(self._kept)
            timed, speeds = self._timed[: self._chosen], found.together[runs]
            models[runs] = with_sharing(alone, timed, speeds, modes, runs, micro_batch)
            makespans[runs] = self._makespan(models[runs], runs)
            if gpu and not worth_trying_more(makespans):
                break
        # on a CPU a sweep always trains one run a core
        chosen = best_parallel_runs(makespans) if gpu else max(models)
        throughput = replace(models[chosen], per_device=chosen)
        return Calibration(tuple(self._timed), self._chosen, found, throughput, makespans, micro_batch)

    def _time(self, said: str, jobs: Sequence[Job], modes: Sequence[str], runs: int) -> list[Speed]:
        """Speeds of ``jobs``, each in its mode, with ``runs`` of each at once."""
        told = [
            replace(job, train=replace(job.train, compile=SETTINGS[mode]))
            for job, mode in zip(jobs, modes, strict=True)
        ]
        with ExitStack() as stack, self._console.status(f"{said} …"):
            environment = dict(compile_threads(runs))
            if self._gpus:
                environment |= share(free_bytes(self._gpus), runs)
                if runs > 1 and self._mps:
                    environment |= stack.enter_context(mps(self._say))
                environment["CUDA_VISIBLE_DEVICES"] = self._gpus[0]
            try:
                self._found.device, speeds = train_side_by_side(told, runs, self._config.seconds, environment)
            except DoesNotFitError as error:
                if runs == 1:
                    raise UserError(f"calibrate: {error}; set train.micro_batch") from error
                raise
        return speeds

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _modes(self) -> list[str]:
        """Eager first: the others start from what it cost."""
        asked = self._train.compile
        if self._config.modes:
            more = self._config.modes
        elif asked == "auto":
            lacking = lacking_for_triton() if self._gpus else ""
            if lacking:
                self._say(f"only eager steps are timed: for compiled ones this machine lacks {lacking}")
            more = ["compiled", "graphs"] if self._gpus and not lacking else []
        else:
            more = [mode for mode, setting in SETTINGS.items() if setting == asked]
        return list(dict.fromkeys(["eager", *more]))

    def _numbers_of_runs(self) -> list[int]:
        """More than one."""
        asked = self._config.side_by_side
        if self._gpus:
            fit = fitting(self._cells, self._train, free_bytes(self._gpus))
            numbers = [runs for runs in asked or GPU_RUNS if runs <= fit]
        else:
            cores = len(os.sched_getaffinity(0)) // max(1, self._train.threads)
            numbers = asked or [max(1, cores)]
        return [runs for runs in numbers if runs > 1]

    def _makespan(self, throughput: ThroughputConfig, runs: int) -> float:
        return makespan_of(self._cells, self._timing(throughput, runs))

    def _timing(self, throughput: ThroughputConfig, runs: int) -> Timing:
        return Timing(throughput, runs, self._train.micro_batch, compile=self._train.compile)

    def _key(self) -> str:
        """What a measurement depends on."""
        train = asdict(self._train)
        return hashed(
            [
                [job.cell.run_id for job in self._jobs],
                self._config.seconds,
                {name: train[name] for name in ("device", "micro_batch", "compile", "logits", "threads")},
                {"mps": self._mps, "gpus": list(self._gpus), "node": os.uname().nodename},
                {name: version_of(name) for name in ("torch", "transformers", "liger-kernel")},
            ]
        )
