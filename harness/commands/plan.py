"""``isoflop plan``: the grid as a table, and plan.json. Trains nothing."""

from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from harness.config.schema import Config
from harness.plan.branching import find_branches, flops_saved
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.plan.plan import Plan
from harness.text import count, duration
from harness.workflow import followup
from harness.workflow.experiment import (
    freeze,
    plan_experiment,
    prepare_corpus,
    say_dropped,
    say_left_out,
    sweep_folder,
)
from harness.workflow.resources import gpus_of, planned_workers, runs_per_device


def run(config: Config, yaml: str, console: Console) -> Plan:
    """Plan, freeze and print."""
    folder = sweep_folder(config)
    corpus = prepare_corpus(config, console)
    # with the replicates of a sweep that was trained already: what is frozen is what table and fit go by
    grown = followup.grow(config, plan_experiment(config, corpus), folder)
    plan = grown.plan
    say_dropped(folder, plan, console)
    freeze(folder, plan, yaml)
    console.print(
        f"corpus {corpus.name} ({corpus.fingerprint}): {count(corpus.train_tokens)} training tokens, "
        f"{count(corpus.heldout_tokens)} held out, {corpus.tokenizer} tokens",
        highlight=False,
    )
    console.print(plan_table(plan, assumed=config.throughput.assumed))
    say_left_out(plan, console)
    whole = replace(plan, cells=grown.cells)
    print_cost(whole, planned_workers(config), config, console, grown.later)
    console.print(f"plan: {folder.plan}", soft_wrap=True, highlight=False)
    return plan


def print_cost(
    plan: Plan, workers: int, config: Config, console: Console, later: Sequence[Cell] = ()
) -> None:
    """Cells, FLOPs and the time they should take, with what follows them, what trunks save, and who says so.

    Args:
        later: stand-ins of the follow-ups, whose best cells are not known yet.
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
    if throughput.asynchronous and not gpus and config.launcher.kind == "local":
        lines += ["these are times of a GPU, and none is here: runs on this machine's CPU take far longer"]
    if gpus and not throughput.asynchronous:
        lines += [
            "these are times of a CPU, and a GPU is here: choose throughput=h100, or measure yours with "
            f"'isoflop calibrate experiment={config.name or 'NAME'} write=mine'"
        ]
    return lines


def plan_table(plan: Plan, assumed: bool = False) -> Table:
    """The grid, one line a cell, with the mode of execution where it is not eager for all.

    Args:
        assumed: the times are not measured, and their heading says so.
    """
    table = Table(box=None, padding=(0, 1), header_style="bold")
    modes = any(cell.estimate.mode != "eager" for cell in plan.cells)
    for heading in (
        "run",
        "budget",
        "shape",
        "N",
        "D",
        "D/N",
        "batch",
        "steps",
        "FLOPs",
        "epochs",
        "lr",
        "assumed time" if assumed else "time",
        *(["mode"] if modes else []),
    ):
        table.add_column(heading, justify="left" if heading in ("run", "shape") else "right", no_wrap=True)
    previous = None
    for cell in plan.cells:
        if previous is not None and cell.budget != previous:
            table.add_section()
        previous = cell.budget
        table.add_row(
            cell.run_id,
            f"{cell.budget:.3g}",
            cell.spec.shape.label,
            count(cell.params.total),
            count(cell.tokens),
            f"{cell.tokens / cell.params.total:.1f}",
            count(cell.spec.batch_tokens),
            str(cell.spec.steps),
            f"{cell.flops:.4g}",
            f"{cell.epochs:.2f}",
            f"{cell.spec.optimizer.lr:.2g}",
            duration(cell.estimate_seconds),
            *([cell.estimate.mode] if modes else []),
        )
    return table
