"""``isoflop fit``: the frontier from finished runs, from W&B's copy of them, or from anyone's table."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Outcome
from harness.workflow.fit import fit_groups, fit_runs


def run(asked: Invocation[Config]) -> Outcome:
    """Fit, or fit each group of a column; write ``fit.json`` and ``draws.npz``, print the summary.

    Raises:
        UserError: there are no runs, or the table cannot be read.
    """
    if asked.config.by is None:
        fit_runs(asked.config, asked.console)
    else:
        fit_groups(asked.config, asked.console)
    return Outcome.DONE
