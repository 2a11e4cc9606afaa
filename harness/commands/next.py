"""``isoflop next``: which runs to train next for an aim and a spend. Trains nothing, writes nothing."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Outcome
from harness.workflow.next import print_next


def run(asked: Invocation[Config]) -> Outcome:
    """Look at the finished runs, and say what to train.

    Raises:
        UserError: there are no runs, or no law can be fitted to them.
    """
    print_next(asked.config, asked.console, asked.as_json)
    return Outcome.DONE
