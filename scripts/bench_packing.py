"""What finishes a budget's column soonest on one device: one run at a time, side by side, compiled, as CUDA graphs?

Every way trains the same cells with the sweep's own pool, from nothing to the last record: processes start, kernels
are compiled into an empty cache, everything is evaluated. The makespan is what counts; losses are compared, because a
faster way that trains something else is none.

    python scripts/bench_packing.py experiment=one_gpu 'grid.budgets=[1e15]'
    python scripts/bench_packing.py experiment=demo 'grid.budgets=[3e9]' grid.sizes=3 grid.span=2 --rounds 3   # CPU
    python scripts/bench_packing.py … --keep packing.json --seconds 240        # the same command goes on

Runs stacked into one model (torch.func.vmap over weights) are not compared: in an IsoFLOP column every cell has a
shape, a batch and a number of steps of its own, so there is nothing to stack but seeds.
"""

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from rich.console import Console

from harness.config.compose import compose_config
from harness.errors import UserError
from harness.launch.pool import PoolOptions, run_pool
from harness.launch.progress import Progress
from harness.launch.sharing import gpus_of, placed, shared_gpus
from harness.plan.cell import Cell
from harness.runs.files import SweepFolder
from harness.runs.record import read_record
from harness.text import count
from harness.tracking.config import TrackerConfig
from harness.train.job import Job
from harness.workflow.experiment import make_jobs, plan_experiment, prepare_corpus
from scripts.evidence.machine import facts
from scripts.kept import EXIT_AGAIN, Kept, one_line


@dataclass(frozen=True)
class Way:
    """One way to train a column: how steps are executed, and how many runs share the device."""

    compile: str
    workers: int
    mps: bool = True

    @property
    def label(self) -> str:
        """As in the table."""
        steps = {"off": "eager", "on": "compiled", "graphs": "CUDA graphs"}[self.compile]
        side = "one at a time" if self.workers == 1 else f"{self.workers} side by side"
        return f"{steps}, {side}" + ("" if self.mps or self.workers == 1 else ", no MPS")


# The most informative first: every number of runs in every mode takes an hour.
ON_GPU = (
    Way("off", 1),
    Way("off", 4),
    Way("on", 4),
    Way("on", 1),
    Way("off", 4, mps=False),
    Way("off", 8),
    Way("graphs", 4),
    Way("graphs", 1),
)


@dataclass(frozen=True)
class Result:
    """Seconds of the whole column, the losses of its cells (None: it diverged), and the messages about sharing."""

    seconds: float
    losses: tuple[float | None, ...]
    said: tuple[str, ...]


def ways(modes: Sequence[str], side_by_side: Sequence[int], gpu: bool) -> Iterator[Way]:
    """Every mode with every number of runs; on a GPU also without MPS, where runs share it."""
    for mode, workers in product(modes, side_by_side):
        yield Way(mode, workers)
        if gpu and workers > 1:
            yield Way(mode, workers, mps=False)


def train_column(jobs: Sequence[Job], way: Way) -> Result:
    """Train all ``jobs`` as ``way`` says, in a folder of its own.

    Raises:
        RuntimeError: a run failed.
    """
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="isoflop-bench-") as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/inductor"
        mine = [
            replace(
                job,
                sweep=Path(folder),
                train=replace(job.train, compile=way.compile),
                tracker=TrackerConfig(name="none"),
            )
            for job in jobs
        ]
        options = PoolOptions(workers=min(way.workers, len(mine)), mps=way.mps)
        options = placed(options, [job.cell for job in mine], mine[0].train)
        if options.workers < min(way.workers, len(mine)):
            said.append(f"memory holds {options.workers} at once")
        with shared_gpus(options, mine[0].train, said.append) as options:
            view = Progress(mine, 0, options.workers, Console(quiet=True))
            began = time.perf_counter()
            failed = [ended for ended in run_pool(mine, options, view) if ended.status == "failed"]
            seconds = time.perf_counter() - began
        if failed:
            raise RuntimeError(f"{failed[0].run_id}: {failed[0].reason}")
        cells = SweepFolder(Path(folder))
        records = [read_record(cells.cell(job.cell.run_id).record, job.cell.run_id) for job in mine]
    return Result(seconds, tuple(record.loss if record else None for record in records), tuple(said))


def main() -> int:
    """Measure what is missing, the ways in turns, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="+", metavar="OVERRIDE", help="an experiment with a single budget")
    parser.add_argument("--side-by-side", default=None, help="numbers of runs at once, e.g. 1,2,4,8")
    parser.add_argument("--compile", default=None, help="of off, on, graphs; e.g. off,on")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, help="file for the measurements: what is in it is not made again"
    )
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="begin nothing that would end later"
    )
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.seconds
    try:
        config, _ = compose_config([*arguments.overrides, "tracker=none"])
        corpus = prepare_corpus(config, Console(stderr=True))
        plan = plan_experiment(config, corpus)
    except UserError as error:
        raise SystemExit(str(error)) from error
    if len({cell.budget for cell in plan.cells}) != 1:
        raise SystemExit("name one budget: grid.budgets=[1e15]")
    gpus = gpus_of(config.train)
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus[0]
    chosen = list(ON_GPU)
    if not gpus or arguments.side_by_side or arguments.compile:
        cores = len(os.sched_getaffinity(0))
        numbers = [
            int(n) for n in (arguments.side_by_side or ("1,2,4,8" if gpus else f"1,{cores}")).split(",")
        ]
        modes = (arguments.compile or ("off,on,graphs" if gpus else "off")).split(",")
        chosen = list(dict.fromkeys(ways(modes, numbers, bool(gpus))))
    jobs = make_jobs(config, plan, corpus, SweepFolder(Path(config.runs_dir)))
    known = facts()
    setting = {
        **{name: known[name] for name in ("device", "torch", "transformers", "accelerate")},
        "cells": [job.cell.run_id for job in jobs],
    }
    kept = Kept(arguments.keep, setting)
    print(f"{column(plan.cells)}; {known['device']}", flush=True)
    try:
        whole = measure(jobs, chosen, arguments.rounds, kept, until)
    except KeyboardInterrupt:  # the pool's word for SIGTERM
        whole = False
    print(f"\n{table(kept, [way.label for way in chosen])}")
    return 0 if whole else EXIT_AGAIN


def measure(jobs: Sequence[Job], chosen: Sequence[Way], rounds: int, kept: Kept, until: float) -> bool:
    """Make the measurements that are missing; False where some are left because the time is over.

    What was not measured yet is taken to last half as long as the longest so far.
    """
    for turn in range(rounds):
        for way in [*chosen[turn % len(chosen) :], *chosen[: turn % len(chosen)]]:
            if kept.find(way=way.label, round=turn):
                continue
            longest = max((one["seconds"] for one in kept.measured if "seconds" in one), default=0.0)
            if time.monotonic() + longest / 2 > until:
                return False
            try:
                result = train_column(jobs, way)
            except (RuntimeError, UserError) as error:
                kept.add(way=way.label, round=turn, error=one_line(error))
                print(f"   {way.label}: {one_line(error)}", flush=True)
                continue
            kept.add(way=way.label, workers=way.workers, round=turn, **vars(result))
            print(f"   {way.label}: {result.seconds:.1f} s", flush=True)
    return True


def column(cells: Sequence[Cell]) -> str:
    """Which cells are trained: what pays for small models need not pay for large ones."""
    by_size = sorted(cells, key=lambda cell: cell.params.total)
    ends = " to ".join(
        f"{count(cell.params.total)} ({cell.spec.shape.label})" for cell in (by_size[0], by_size[-1])
    )
    return f"a column of {len(cells)} cells at {cells[0].budget:.3g} FLOPs, N from {ends}"


def table(kept: Kept, labels: Sequence[str]) -> str:
    """Markdown: medians over rounds; times as fast as the first way, and apart from it in loss, within a round."""
    found = {label: by_round(kept, label) for label in labels}
    first = found[labels[0]]
    lines = ["| way | makespan | times as fast as the first (least, most) | largest difference in loss | |"]
    lines.append("|---|---|---|---|---|")
    for label, mine in found.items():
        problem = next(
            (one["error"] for one in kept.measured if one.get("way") == label and "error" in one), ""
        )
        if not mine:
            lines.append(f"| {label} | – | – | – | {problem or 'not measured yet'} |")
            continue
        both = sorted(first.keys() & mine.keys())
        ratios = sorted(first[turn]["seconds"] / mine[turn]["seconds"] for turn in both)
        apart = [
            difference(a, b)
            for turn in both
            for a, b in zip(first[turn]["losses"], mine[turn]["losses"], strict=True)
        ]
        said = "; ".join(dict.fromkeys(text for one in mine.values() for text in one["said"]))
        lines.append(
            f"| {label} | {statistics.median(one['seconds'] for one in mine.values()):.1f} s ({len(mine)}) "
            + (
                f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f}) | {max(apart):.4f} "
                if both
                else "| – | – "
            )
            + f"| {said or problem} |"
        )
    return "\n".join(lines)


def difference(a: float | None, b: float | None) -> float:
    """Between two losses; a run that diverged in one way only is infinitely far."""
    if a is None or b is None:
        return 0.0 if a == b else math.inf
    return abs(a - b)


def by_round(kept: Kept, label: str) -> Mapping[int, dict]:
    """What was measured of a way."""
    return {one["round"]: one for one in kept.measured if one.get("way") == label and "seconds" in one}


if __name__ == "__main__":
    sys.exit(main())
