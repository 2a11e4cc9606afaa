"""``isoflop sweep``: train what is missing, here or on a cluster."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Continuation, Outcome
from harness.runs.frozen import freeze
from harness.workflow import followup
from harness.workflow.active import train_active
from harness.workflow.experiment import (
    corpus_and_plan,
    say_dropped,
    say_left_out,
    say_measured,
    training_corpus,
)
from harness.workflow.followup import PlanWithFollowups
from harness.workflow.rules import sweep_folder
from harness.workflow.training import train_missing


def run(asked: Invocation[Config]) -> Outcome:
    """Plan, train the cells without a record (or submit them), then the follow-ups; write the table of runs.

    Where cells are submitted, the dependent job continues as ``isoflop reproduce`` does.

    Raises:
        UserError: cells failed; the others are trained and in the table.
        KeyboardInterrupt: asked to stop; running cells wrote checkpoints.
    """
    config, yaml, console = asked.config, asked.yaml, asked.console
    folder = sweep_folder(config)
    corpus, grid = corpus_and_plan(config, console, training_corpus)
    continuation = Continuation("reproduce", yaml, asked.submission)

    if config.design.active:
        return train_active(config, yaml, corpus, grid, folder, continuation, console)

    def train(extended: PlanWithFollowups) -> Outcome:
        freeze(folder, extended.plan, yaml)
        outcome = train_missing(
            continuation, config, extended.plan, corpus, folder, console, extended.beside, extended.later
        )
        followup.list_ablations(config, extended, folder)
        return outcome

    say_left_out(grid, console)
    say_measured(config, grid, console)
    first = followup.with_followups(config, grid, folder)
    say_dropped(folder, first.plan, console)
    outcome = train(first)
    # only a finished column has a best cell: what follows it is known now, where it was not before
    then = followup.with_followups(config, grid, folder)
    return train(then) if outcome is Outcome.DONE and then.cells != first.cells else outcome
