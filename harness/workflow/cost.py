"""What a plan costs: cells, FLOPs, the time they should take, and where the times come from."""

from collections.abc import Sequence

from rich.console import Console

from harness.config.schema import Config
from harness.launch.sharing import gpus_of
from harness.plan.branching import find_branches, flops_saved
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.plan.plan import Plan
from harness.text import duration
from harness.workflow.resources import is_for_a_gpu_elsewhere, runs_per_device


def print_cost(
    plan: Plan, workers: int, config: Config, console: Console, later: Sequence[Cell] = ()
) -> None:
    """Cells, FLOPs and the time they should take, with what follows them, what trunks save, and who says so.

    Args:
        later: placeholders of the follow-ups, whose best cells are not known yet.
    """
    branches = find_branches(plan.cells) if config.schedule.share_trunk else {}
    total = sum(cell.flops for cell in plan.cells)
    spent = total - flops_saved(plan.cells, branches)
    estimates = [
        cell.estimate_seconds * (1 - branches[cell.run_id].share if cell.run_id in branches else 1)
        for cell in plan.cells
    ]
    lines = [f"{len(plan.cells)} cells, {_cost(spent, estimates, workers, config)}"]
    if later:
        flops = spent + sum(cell.flops for cell in later)
        every = [*estimates, *(cell.estimate_seconds for cell in later)]
        lines += [
            f"and {len(later)} follow-up runs, once each budget's best cell is known: in all "
            f"{_cost(flops, every, workers, config)}"
        ]
    if config.schedule.share_trunk:
        without = "; the sizes of different budgets must coincide, so name them with grid.params"
        lines += [
            f"{len(plan.cells) - len(branches)} trunks and {len(branches)} branches: alone they would take "
            f"{total:.3g} FLOPs, sharing saves {1 - spent / total:.0%}{'' if branches else without}"
        ]
    for line in (*lines, *_source_of_times(config, plan)):
        console.print(line, highlight=False, soft_wrap=True)


def _cost(flops: float, estimates: Sequence[float], workers: int, config: Config) -> str:
    gpu = config.throughput.asynchronous
    # runs share a GPU, while each has cores of its own
    share = 1 / runs_per_device(config) if gpu else max(1, config.train.threads)
    hours = sum(estimates) * config.launcher.processes * share / 3600
    unit = "GPU-hours" if gpu else "core-hours"
    return (
        f"{flops:.3g} FLOPs, about {duration(makespan(estimates, workers))} "
        f"with {workers} worker{'s' if workers > 1 else ''}"
        + (f", {f'{hours:,.0f}' if hours >= 10 else f'{hours:.2g}'} {unit}" if gpu or hours >= 1 else "")
    )


def _source_of_times(config: Config, plan: Plan) -> list[str]:
    """Where the estimated times come from, and what speaks against them."""
    throughput, gpus = config.throughput, gpus_of(config.train)
    lines = [f"times by throughput={throughput.name}: {throughput.source or 'set by hand'}"]
    if throughput.assumed:
        lines[0] += f"; 'isoflop calibrate experiment={config.name or 'NAME'} write=mine' measures yours"
    untimed = {cell.estimate.mode for cell in plan.cells}.difference(throughput.known)
    if untimed:
        lines += [
            f"{throughput.name} has no times of steps executed as {untimed.pop()}: these are of eager ones"
        ]
    if is_for_a_gpu_elsewhere(config):
        lines += ["these are times of a GPU, and none is here: runs on this machine's CPU take far longer"]
    if gpus and not throughput.asynchronous:
        lines += [
            "these are times of a CPU, and a GPU is here: choose throughput=h100, or measure yours with "
            f"'isoflop calibrate experiment={config.name or 'NAME'} write=mine'"
        ]
    return lines
