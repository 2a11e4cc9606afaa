"""``isoflop plan``: the grid as a table, and plan.json. Trains nothing."""

from collections.abc import Collection
from dataclasses import replace

from rich.table import Table

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Outcome
from harness.plan.labels import Labels
from harness.plan.measured import Outside, outside
from harness.plan.optimizer_share import is_shown, share_text
from harness.plan.plan import Plan
from harness.plan.recipe_rules import RecipeConfig
from harness.runs.frozen import freeze
from harness.text import count, duration
from harness.workflow import followup
from harness.workflow.experiment import (
    corpus_and_plan,
    differs,
    has_runs,
    prepare_corpus,
    say_left_out,
    say_measured,
)
from harness.workflow.resources import models_line, planned_workers, print_cost
from harness.workflow.rules import sweep_folder
from harness.workflow.terminal import show_table


def run(asked: Invocation[Config]) -> Outcome:
    """Plan and print; freeze where no runs stand behind another plan."""
    config, yaml, console = asked.config, asked.yaml, asked.console
    folder = sweep_folder(config)
    corpus, grid = corpus_and_plan(config, console, prepare_corpus)
    # with the replicates of a sweep that was trained already: what is frozen is what table and fit go by
    extended = followup.with_followups(config, grid, folder)
    plan = extended.plan
    trained = has_runs(folder)
    other = differs(folder, plan) if trained else ""
    same = not other and freeze(folder, plan, yaml, replace=not trained)
    console.print(
        f"corpus {corpus.name} ({corpus.fingerprint}): {count(corpus.train_tokens)} training tokens, "
        f"{count(corpus.heldout_tokens)} held out, {corpus.tokenizer} tokens",
        highlight=False,
    )
    every_cell = replace(plan, cells=extended.cells)
    ablations = {cell.run_id for cell in extended.beside}
    show_table(plan_table(every_cell, config.throughput.assumed, ablations, config.recipe), console)
    say_left_out(plan, console)
    say_measured(config, grid, console)
    print_cost(every_cell, planned_workers(config), config, console, extended.later)
    if models := models_line(config, extended, corpus):
        console.print(models, highlight=False, soft_wrap=True)
    remedy = "which has runs behind it; 'isoflop sweep' with the same overrides"
    if other:
        said = f"not written: this plan {other} in {folder.plan}, {remedy} trains it in its place, name=NAME keeps both"
    elif same:
        said = f"plan: {folder.plan}"
    else:
        said = (
            "not written: the same runs, with other settings or by another version, are in "
            f"{folder.plan}, {remedy} writes it anew"
        )
    console.print(said, soft_wrap=True, highlight=False, markup=False)
    return Outcome.DONE


def plan_table(
    plan: Plan,
    assumed: bool = False,
    ablations: Collection[str] = (),
    recipe: RecipeConfig | None = None,
) -> Table:
    """The grid, one line a cell, with what tells cells apart, and the mode of execution where it is not eager for all.

    Where the optimizer's own steps cost something, their FLOPs stand beside C, as a share of it.

    Args:
        assumed: the times are not measured, and their heading says so.
        ablations: ids of the cells that are trained beside the grid.
        recipe: where a cell lies outside of what it was measured at, a column says how far.
    """
    table = Table(box=None, padding=(0, 1), header_style="bold")
    modes = any(cell.estimate.mode != "eager" for cell in plan.cells)
    off = [Outside() if recipe is None else outside(cell, recipe) for cell in plan.cells]
    optimizer = is_shown(plan.cells)
    muon = any(cell.spec.optimizer.muon for cell in plan.cells)
    labels = Labels.of(plan.cells)
    apart = [
        heading for heading in labels.headings if heading not in ("batch", "lr")
    ]  # these are always shown
    for heading in (
        "run",
        "budget",
        "shape",
        *apart,
        "N",
        "D",
        "D/N",
        "batch",
        "steps",
        "FLOPs",
        *(["optimizer"] if optimizer else []),
        "epochs",
        "lr",
        *(["Muon's lr"] if muon else []),
        "assumed time" if assumed else "time",
        *(["mode"] if modes else []),
        *(["outside the recipe"] if any(off) else []),
    ):
        table.add_column(heading, justify="left" if heading in ("run", "shape") else "right", no_wrap=True)
    previous = None
    for cell, beyond in zip(plan.cells, off, strict=True):
        if previous is not None and cell.budget != previous:
            table.add_section()
        previous = cell.budget
        table.add_row(
            f"{cell.run_id} (ablation)" if cell.run_id in ablations else cell.run_id,
            labels.budget(cell),
            cell.spec.shape.label,
            *(labels.value(heading, cell) for heading in apart),
            count(cell.params.total),
            count(cell.tokens),
            f"{cell.tokens / cell.params.total:.1f}",
            labels.value("batch", cell) or count(cell.spec.batch_tokens),
            str(cell.spec.steps),
            f"{cell.flops:.4g}",
            *([share_text(cell.optimizer_share)] if optimizer else []),
            f"{cell.epochs:.2f}",
            labels.value("lr", cell) or f"{cell.spec.optimizer.lr:.2g}",
            *([f"{cell.spec.optimizer.muon.lr:.2g}" if cell.spec.optimizer.muon else "–"] if muon else []),
            duration(cell.estimate_seconds),
            *([cell.estimate.mode] if modes else []),
            *([str(beyond)] if any(off) else []),
        )
    return table
