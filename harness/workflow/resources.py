"""What an experiment's runs take: how many execute at once, what shares a device, the FLOPs and the time of a plan."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console

from harness.config.schema import Config
from harness.data import Corpus
from harness.launch.launcher import Launcher
from harness.launch.registry import make_launcher
from harness.launch.sharing import gpus_of
from harness.plan import optimizer_share
from harness.plan.branching import find_branches, flops_saved
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.plan.followup import described
from harness.plan.grid import fewer_seeds
from harness.plan.plan import Plan
from harness.runs.models import model_bytes
from harness.text import counted, data_size, duration
from harness.train.config import ALL, BEST, NONE
from harness.workflow.followup import PlanWithFollowups


def launcher_of(config: Config) -> Launcher:
    """The experiment's launcher, with as many runs on a GPU as were measured to be fastest."""
    return make_launcher(replace(config.launcher, per_gpu=runs_per_gpu(config)))


def worker_count(config: Config) -> int:
    """Runs at once: on this machine, or in one array task."""
    return launcher_of(config).workers(config.train)


def runs_per_gpu(config: Config) -> int:
    """What the launcher says, else what was measured to be fastest, else one; a run on several GPUs shares none."""
    if config.launcher.processes > 1:
        return 1
    measured = config.throughput.per_device if config.throughput.asynchronous else 0  # else of a CPU
    return max(1, config.launcher.per_gpu or measured)


def runs_per_device(config: Config) -> int:
    """Runs that share what the throughput of ``config`` was measured on: a GPU, or this machine's cores.

    Rates measured on a CPU beside others are used for any number up to the cores, one run each.
    """
    gpus = launcher_of(config).gpus(config.train)
    if gpus:
        return max(1, worker_count(config) * config.launcher.processes // gpus)
    if config.throughput.asynchronous:  # a plan for a GPU, on a machine without one
        return runs_per_gpu(config) if config.launcher.here else 1
    return max(1, min(worker_count(config), config.throughput.per_device))


def is_for_a_gpu_elsewhere(config: Config) -> bool:
    """Whether times are a GPU's, runs execute on this machine, and it has none."""
    here = config.launcher.here
    return config.throughput.asynchronous and here and not launcher_of(config).gpus(config.train)


def planned_workers(config: Config) -> int:
    """Runs at once where the plan's times hold: here, or on one GPU where the plan is for a GPU and none is here."""
    elsewhere = is_for_a_gpu_elsewhere(config)
    return runs_per_gpu(config) if elsewhere and not config.launcher.workers else worker_count(config)


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
    lines = [f"{counted(len(plan.cells), 'cell')}, {_cost(spent, estimates, workers, config)}"]
    if later:
        flops = spent + sum(cell.flops for cell in later)
        every = [*estimates, *(cell.estimate_seconds for cell in later)]
        lines += [
            f"and {counted(len(later), 'follow-up run')}, once each budget's best cell is known: "
            f"{described(config.followup)}; in all {_cost(flops, every, workers, config)}"
        ]
    if config.schedule.share_trunk:
        without = "; the sizes of different budgets must coincide, so name them with grid.params"
        lines += [
            f"{counted(len(plan.cells) - len(branches), 'trunk')} and {counted(len(branches), 'branch', 'branches')}: "
            "alone they would take "
            f"{total:.3g} FLOPs, sharing saves {1 - spent / total:.0%}{'' if branches else without}"
        ]
    said = [text for text in (fewer_seeds(config.grid), optimizer_share.described(plan.cells)) if text]
    for line in (*lines, *said, *_source_of_times(config, plan)):
        console.print(line, highlight=False, soft_wrap=True)


def models_line(config: Config, extended: PlanWithFollowups, corpus: Corpus) -> str:
    """What the exported models take on disk; empty where none is exported.

    A budget may be complete only when all runs of all budgets have ended, for the longest run of each may be its last:
    until then, under ``train.export=best``, every model of the plan may be there.
    """
    export, plan = config.train.export, extended.plan
    if export == NONE:
        return ""
    tokenizer = corpus.tokenizer_bytes()  # a copy beside each model
    largest: dict[float, int] = {}
    for cell in plan.cells:
        largest[cell.budget] = max(largest.get(cell.budget, 0), model_bytes(cell) + tokenizer)
    later = extended.later
    if export == BEST:
        # of the follow-ups, more seeds are in the plan, and ablations have the seed that is followed up
        later = tuple(cell for cell in later if cell.spec.seed != plan.cells[0].spec.seed)
    now = extended.cells if export == ALL else plan.cells
    # follow-ups have the size of a best cell, which is not known yet
    peak = sum(model_bytes(cell) + tokenizer for cell in now) + sum(largest[cell.budget] for cell in later)
    stay = (
        f", of which {data_size(sum(largest.values()))} at most stay, one model for each budget"
        if export == BEST
        else ""
    )
    return f"exported models: {data_size(peak)} at most{stay} (train.export={export})"


def device_hours(config: Config, seconds: float) -> float:
    """Hours of a GPU, or of a core, that runs of ``seconds`` together take."""
    # runs share a GPU, while each has cores of its own
    share = 1 / runs_per_device(config) if config.throughput.asynchronous else max(1, config.train.threads)
    return seconds * config.launcher.processes * share / 3600


def _cost(flops: float, estimates: Sequence[float], workers: int, config: Config) -> str:
    gpu = config.throughput.asynchronous
    hours = device_hours(config, sum(estimates))
    unit = "GPU-hours" if gpu else "core-hours"
    return (
        f"{flops:.3g} FLOPs, about {duration(makespan(estimates, workers))} "
        f"with {counted(workers, 'worker')}"
        + (f", {f'{hours:,.0f}' if hours >= 10 else f'{hours:.2g}'} {unit}" if gpu or hours >= 1 else "")
    )


def _source_of_times(config: Config, plan: Plan) -> list[str]:
    """Where the estimated times come from, and what speaks against them."""
    throughput, gpus = config.throughput, gpus_of(config.train)
    lines = [f"times by throughput={throughput.name}: {throughput.source or 'set by hand'}"]
    if throughput.assumed:
        lines[0] += f"; 'isoflop calibrate experiment={config.name or 'NAME'} write=mine' measures yours"
    muon = throughput.muon_time
    if muon.assumed and any(cell.spec.optimizer.muon for cell in plan.cells):
        lines += [f"the time of Muon's part of a step is assumed: {muon.source or 'set by hand'}"]
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
