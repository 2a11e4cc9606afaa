"""An active design: rounds of runs, each chosen by what the ones before have shown, until the spend is used."""

from functools import partial

from rich.console import Console

from harness.config.schema import Config
from harness.data import Corpus
from harness.design.rounds import FIRST, Round, propose, round_share
from harness.design.tables import describe_belief, proposal_table
from harness.files import write_json
from harness.launch.launcher import Continuation, Outcome
from harness.plan.plan import Plan
from harness.report.table import terminal_table
from harness.runs.files import SweepFolder
from harness.runs.frozen import freeze
from harness.runs.table import whole_records
from harness.text import counted
from harness.workflow.design import (
    amount,
    cell_maker,
    finished_points,
    goal_of,
    kept_rounds,
    plan_of,
)
from harness.workflow.experiment import say_dropped, say_measured
from harness.workflow.terminal import say, show_table, working
from harness.workflow.training import train_missing


def train_active(
    config: Config,
    yaml: str,
    corpus: Corpus,
    known: Plan,
    folder: SweepFolder,
    continuation: Continuation,
    console: Console,
) -> Outcome:
    """Train what is known, choose the next round, and so on; a queue's dependent job calls this again.

    A round is written down before it is frozen, and frozen before it is trained: whatever is killed, no round is chosen
    twice.

    Args:
        known: as :func:`harness.workflow.design.known_plan` has it.

    Raises:
        UserError: cells failed here, or nothing can be submitted.
    """
    maker = cell_maker(config, corpus)
    rounds = kept_rounds(folder, partial(say, console=console))
    if not rounds and not folder.plan.exists():
        rounds = [Round(known.cells, (FIRST,) * len(known.cells))]
        _keep(folder, rounds)
    if config.followup.asks:
        say("design=active chooses its own seeds: what followup asks for is not trained", console)
    say_dropped(folder, known, console)
    say_measured(config, known, console)
    plan = known
    while True:
        freeze(folder, plan, yaml)
        outcome = train_missing(continuation, config, plan, corpus, folder, console)
        if outcome is not Outcome.DONE:
            return outcome
        spent = sum(map(maker.cost, plan.cells))
        largest = max(cell.budget for cell in plan.cells)
        goal = goal_of(config, max(largest, *config.grid.budgets), spent)
        done = max(len(rounds) - 1, 0)
        if done >= config.design.rounds:
            say(_ended(f"design.rounds={config.design.rounds} are done", spent, goal.unit), console)
            return outcome
        found = whole_records(folder, plan)
        points = finished_points(found, config.analysis, config.where)
        if points is None:
            say(_ended("no run has a loss", spent, goal.unit), console)
            return outcome
        with working(console, "choosing the next runs …"):
            share = round_share(done, config.design.rounds)
            proposal = propose(maker, points, plan.cells, found, goal, share)
        if not proposal.cells:
            why = f"no further run narrows {goal.described} within the spend"
            say(_ended(why, spent, goal.unit), console)
            return outcome
        costs = [maker.cost(cell) for cell in proposal.cells]
        say(
            f"\nround {done + 1} of {config.design.rounds}: {counted(len(costs), 'run')}, "
            f"{amount(sum(costs), goal.unit)}; spent before {amount(spent, goal.unit)} of "
            f"{amount(goal.spend + spent, goal.unit)}",
            console,
        )
        for line in describe_belief(proposal, goal):
            say(line, console)
        show_table(terminal_table(proposal_table(proposal, costs, goal.unit), console.width), console)
        rounds = [*rounds, proposal.as_round()]
        _keep(folder, rounds)
        plan = plan_of(config.name, (*plan.cells, *proposal.cells))


def _keep(folder: SweepFolder, rounds: list[Round]) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    write_json(folder.rounds, {"rounds": [one.to_json() for one in rounds]})


def _ended(why: str, spent: float, unit: str) -> str:
    return f"no further round: {why}; {amount(spent, unit)} spent"
