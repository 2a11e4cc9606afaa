"""A tuning in rounds as terminal tables: its points and rounds before training, its minima and rules after."""

from rich.console import Console
from rich.table import Table

from harness.fit.bootstrap import bounds_text
from harness.text import count, counted
from harness.tune.sequential.points import Trainer
from harness.tune.sequential.recipe import rule_text
from harness.tune.sequential.results import RoundsFit, Value
from harness.tune.sequential.rounds import STOPPED, Rounds

FEW = 1e-4  # nats


def print_points(trainer: Trainer, rounds: Rounds, console: Console) -> None:
    """The points and what the recipe says there, what was left out, and how many runs each round has."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    muon = trainer.rules.optimizer.kind == "muon"
    axes = [axis.called(muon) for axis in trainer.axes]
    for heading in ("shape", "N", "D", "D/N", *axes, "runs"):
        table.add_column(heading, justify="left" if heading == "shape" else "right", no_wrap=True)
    for p, point in enumerate(trainer.points):
        table.add_row(
            point.shape.label,
            count(point.params_total),
            count(point.tokens) + (" (all)" if point.capped else ""),
            f"{point.tokens / point.params_total:.1f}",
            *(_plain(axis.name, point.centre[axis.name]) for axis in trainer.axes),
            str(sum(q == p for q, _ in rounds.runs)),
        )
    console.print(table)
    for one in (*trainer.left_out, *rounds.left_out):
        console.print(f"left out: {one}", highlight=False, soft_wrap=True, markup=False)
    for number, cells in enumerate(rounds.cells, 1):
        excess = rounds.excess[number - 1] if number <= len(rounds.excess) else None
        left = "" if excess is None else f"; then {_nats(excess)} nats are expected to be left"
        console.print(f"round {number}: {counted(len(cells), 'run')}{left}", highlight=False)
    if rounds.stopped:
        console.print(f"no further round: {STOPPED[rounds.stopped]}", highlight=False)


def print_rounds_fit(fit: RoundsFit, console: Console) -> None:
    """Per point its minimum and the excess of both recipes; then the rules, what a factor of two costs, and notes."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("N", "D", "runs", *fit.axes, "loss", "old recipe", "new"):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in fit.points:
        diverged = f" ({point.diverged} div.)" if point.diverged else ""
        table.add_row(
            count(point.params),
            count(point.tokens),
            f"{point.runs}{diverged}",
            *(_value(axis, point.values[axis]) for axis in fit.axes),
            "–" if point.loss_opt is None else f"{point.loss_opt:.4f}",
            "–" if point.recipe_excess is None else _nats(point.recipe_excess),
            "–" if point.rule_excess is None else _nats(point.rule_excess),
        )
    console.print(table)
    noise = "" if fit.noise is None else f"; noise of a run {_nats(fit.noise)}"
    console.print(
        "best values; losses in nats per token, of the recipes over the minimum along the axes that have one, and "
        f"along others over the best value where one is known; intervals are {100 * fit.level:g}%" + noise,
        highlight=False,
    )
    for one in fit.rules:
        console.print(f"{one.key}: {rule_text(one)}", highlight=False, soft_wrap=True, markup=False)
    for one in fit.rules:
        if one.cost_of_two is not None:
            ends = (
                ""
                if one.cost_of_two_interval is None
                else f" ({bounds_text(one.cost_of_two_interval, _nats)})"
            )
            sides = (
                ""
                if one.cost_of_double is None or one.cost_of_half is None
                else f": twice the best {_nats(one.cost_of_double)}, half of it {_nats(one.cost_of_half)}"
            )
            console.print(
                f"{fit.label(one.axis)} off by a factor of two costs {_nats(one.cost_of_two)}{ends} nats{sides}",
                highlight=False,
                soft_wrap=True,
            )
    for note in fit.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True, markup=False)


def _plain(axis: str, value: float) -> str:
    return count(value) if axis == "batch" else f"{value:.3g}"


def _value(axis: str, value: Value) -> str:
    if value.best is None:
        return value.status
    text = _plain(axis, value.best)
    return text if value.status == "ok" else f"[{text}]"


def _nats(value: float) -> str:
    return f"{value:.4f}" if value >= FEW or value == 0 else f"{value:.1g}"
