"""What finishes a budget's column soonest on one device: one run at a time, side by side, compiled, as CUDA graphs?

Every contender trains the same cells with the sweep's own pool, from nothing to the last record: processes start,
kernels are compiled into an empty cache, everything is evaluated. The makespan is what counts; losses are compared,
because a faster way that trains something else is none.

    python scripts/bench_packing.py experiment=one_gpu 'grid.budgets=[1e15]'
    python scripts/bench_packing.py experiment=demo 'grid.budgets=[3e9]' grid.sizes=3 grid.span=2 --rounds 3   # CPU

Runs stacked into one model (torch.func.vmap over weights) are no contender: in an IsoFLOP column every cell has a
shape, a batch and a number of steps of its own, so there is nothing to stack but seeds.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from rich.console import Console

from harness.commands.experiment import make_jobs, plan_experiment, prepare_corpus
from harness.commands.resources import gpus_of, placed, shared_gpus
from harness.config.compose import compose_config
from harness.errors import UserError
from harness.plan.cell import Cell
from harness.runs.folder import SweepFolder
from harness.runs.record import read_record
from harness.sweep.pool import PoolOptions, run_pool
from harness.sweep.progress import Progress
from harness.text import count
from harness.train.config import TrackerConfig
from harness.train.job import Job


@dataclass(frozen=True)
class Contender:
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


@dataclass(frozen=True)
class Result:
    """Seconds of the whole column, the losses of its cells in order, and what was said of sharing."""

    seconds: float
    losses: tuple[float, ...]
    said: tuple[str, ...]


def contenders(modes: Sequence[str], side_by_side: Sequence[int], gpu: bool) -> Iterator[Contender]:
    """Every mode with every number of runs; on a GPU also without MPS, where runs share it."""
    for mode, workers in product(modes, side_by_side):
        yield Contender(mode, workers)
        if gpu and workers > 1:
            yield Contender(mode, workers, mps=False)


def train_column(jobs: Sequence[Job], contender: Contender) -> Result:
    """Train all ``jobs`` as ``contender`` does, in a folder of its own."""
    said: list[str] = []
    with tempfile.TemporaryDirectory(prefix="isoflop-bench-") as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{folder}/inductor"
        mine = [
            replace(
                job,
                sweep=Path(folder),
                train=replace(job.train, compile=contender.compile),
                tracker=TrackerConfig(name="none"),
            )
            for job in jobs
        ]
        options = PoolOptions(workers=min(contender.workers, len(mine)), mps=contender.mps)
        options = placed(options, [job.cell for job in mine], mine[0].train)
        if options.workers < min(contender.workers, len(mine)):
            said.append(f"memory holds {options.workers} at once")
        with shared_gpus(options, mine[0].train, said.append) as options:
            view = Progress(mine, 0, options.workers, Console(quiet=True))
            began = time.perf_counter()
            failed = [ended for ended in run_pool(mine, options, view) if ended.status == "failed"]
            seconds = time.perf_counter() - began
        if failed:
            raise SystemExit(f"{contender.label}: {failed[0].run_id}: {failed[0].reason}")
        cells = SweepFolder(Path(folder))
        records = [read_record(cells.cell(job.cell.run_id).record, job.cell.run_id) for job in mine]
    losses = tuple(record.loss or float("nan") for record in records if record)
    return Result(seconds, losses, tuple(said))


def main() -> None:
    """Run the contenders in turns and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="+", metavar="OVERRIDE", help="an experiment with a single budget")
    parser.add_argument("--side-by-side", default=None, help="numbers of runs at once, e.g. 1,2,4,8")
    parser.add_argument("--compile", default=None, help="of off, on, graphs; e.g. off,on")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
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
    cores = len(os.sched_getaffinity(0))
    numbers = [int(n) for n in (arguments.side_by_side or ("1,2,4,8" if gpus else f"1,{cores}")).split(",")]
    modes = (arguments.compile or ("off,on,graphs" if gpus else "off")).split(",")
    jobs = make_jobs(config, plan, corpus, SweepFolder(Path(config.runs_dir)))

    ways = list(dict.fromkeys(contenders(modes, numbers, bool(gpus))))
    results: dict[Contender, list[Result]] = {way: [] for way in ways}
    for turn in range(arguments.rounds):
        for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
            results[way].append(train_column(jobs, way))
    show(ways, results, plan.cells)


def column(cells: Sequence[Cell]) -> str:
    """Which cells are trained: what pays for small models need not pay for large ones."""
    by_size = sorted(cells, key=lambda cell: cell.params.total)
    ends = " to ".join(
        f"{count(cell.params.total)} ({cell.spec.shape.label})" for cell in (by_size[0], by_size[-1])
    )
    return f"a column of {len(cells)} cells at {cells[0].budget:.3g} FLOPs, N from {ends}"


def show(ways: Sequence[Contender], results: dict[Contender, list[Result]], cells: Sequence[Cell]) -> None:
    """The table: medians over rounds, ratios within a round."""
    first = results[ways[0]]
    print(f"{column(cells)}, {len(first)} rounds\n")
    print("| way | makespan | times as fast as the first (least, most) | largest difference in loss | |")
    print("|---|---|---|---|---|")
    for way in ways:
        mine = results[way]
        ratios = sorted(a.seconds / b.seconds for a, b in zip(first, mine, strict=True))
        apart = max(abs(a - b) for a, b in zip(first[0].losses, mine[0].losses, strict=True))
        print(
            f"| {way.label} | {statistics.median(r.seconds for r in mine):.1f} s "
            f"| {statistics.median(ratios):.2f} ({ratios[0]:.2f}, {ratios[-1]:.2f}) | {apart:.4f} "
            f"| {'; '.join(dict.fromkeys(mine[0].said))} |"
        )


if __name__ == "__main__":
    main()
