"""``isoflop plan``: the grid as a table, and plan.json. Trains nothing."""

from rich.console import Console
from rich.table import Table

from harness.commands import followup
from harness.commands.experiment import (
    freeze,
    plan_experiment,
    prepare_corpus,
    say_dropped,
    say_left_out,
    sweep_folder,
)
from harness.commands.resources import runs_per_device, worker_count
from harness.config.schema import Config
from harness.plan.plan import Plan
from harness.plan.throughput import makespan
from harness.plan.trunk import find_forks, flops_saved
from harness.text import count, duration


def run(config: Config, yaml: str, console: Console) -> Plan:
    """Plan, freeze and print."""
    folder = sweep_folder(config)
    corpus = prepare_corpus(config, console)
    # with the replicates of a sweep that was trained already: what is frozen is what table and fit go by
    plan = followup.grow(config, plan_experiment(config, corpus), folder).plan
    say_dropped(folder, plan, console)
    freeze(folder, plan, yaml)
    console.print(
        f"corpus {corpus.name} ({corpus.fingerprint}): {count(corpus.train_tokens)} training tokens, "
        f"{count(corpus.heldout_tokens)} held out, {corpus.tokenizer} tokens",
        highlight=False,
    )
    console.print(plan_table(plan))
    say_left_out(plan, console)
    print_cost(plan, worker_count(config), config, console)
    console.print(f"plan: {folder.plan}", soft_wrap=True, highlight=False)
    return plan


def print_cost(plan: Plan, workers: int, config: Config, console: Console) -> None:
    """Cells, FLOPs and the time they should take; where device-hours count, also who says so; what trunks save."""
    forks = find_forks(plan.cells) if config.schedule.share_trunk else {}
    total = sum(cell.flops for cell in plan.cells)
    spent = total - flops_saved(plan.cells, forks)
    estimates = [
        cell.estimate_seconds * (1 - forks[cell.run_id].share if cell.run_id in forks else 1)
        for cell in plan.cells
    ]
    shared = max(1, runs_per_device(config))
    hours = sum(estimates) / shared / 3600
    gpu = config.throughput.peak_flops is not None  # known for accelerators only
    unit = "GPU-hours" if gpu else "device-hours"
    console.print(
        f"{len(plan.cells)} cells, {spent:.3g} FLOPs, about {duration(makespan(estimates, workers))} "
        f"with {workers} worker{'s' if workers > 1 else ''}"
        + (f", {hours:,.{1 if hours < 10 else 0}f} {unit}" if gpu or hours >= 1 else "")
        + (f"\ntimes by throughput={config.throughput.name}: {config.throughput.source}" if gpu else ""),
        highlight=False,
        soft_wrap=True,
    )
    if config.schedule.share_trunk:
        console.print(
            f"{len(plan.cells) - len(forks)} trunks and {len(forks)} forks: alone they would take {total:.3g} FLOPs, "
            f"sharing saves {1 - spent / total:.0%}"
            + (
                ""
                if forks
                else "; the sizes of different budgets must coincide, so name them with grid.params"
            ),
            highlight=False,
        )


def plan_table(plan: Plan) -> Table:
    """The grid, one line a cell."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
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
        "rate",
        "time",
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
        )
    return table
