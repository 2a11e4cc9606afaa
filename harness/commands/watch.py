"""``isoflop watch``: the report page of a sweep, live on this machine's loopback."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Outcome
from harness.workflow.watch import serve


def run(asked: Invocation[Config]) -> Outcome:
    """Serve until Ctrl-C, which is how it ends.

    Raises:
        UserError: no experiment was chosen, or the port is taken.
    """
    serve(asked.config, asked.console)
    return Outcome.DONE
