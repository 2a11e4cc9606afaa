"""``isoflop report``: figures, tables and the page, from a sweep's folder or a table. Trains nothing."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Outcome
from harness.workflow import publish
from harness.workflow.report import make_report
from harness.workflow.rules import sweep_folder


def run(asked: Invocation[Config]) -> Outcome:
    """Write the report, say where it is, and bring W&B up to date where that is the tracker.

    Raises:
        UserError: there is no fit yet, or no table of runs.
    """
    config, console = asked.config, asked.console
    make_report(config, console)
    if not (config.points or config.out or config.fit):
        publish.run(config, sweep_folder(config), console)
    return Outcome.DONE
