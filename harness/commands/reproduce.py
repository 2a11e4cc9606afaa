"""``isoflop reproduce``: plan, sweep, fit and report, each doing only what is missing."""

from dataclasses import replace

from rich.console import Console

from harness.commands import fit, report, sweep
from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import Fit, load_fit
from harness.launch.launcher import Outcome
from harness.runs.files import SweepFolder, up_to_date
from harness.workflow import publish
from harness.workflow.rules import sweep_folder
from harness.workflow.terminal import say


def run(asked: Invocation[Config]) -> Outcome:
    """All stages in their order; a fit and a report that are newer than what they are made of are kept.

    With ``points`` the runs are that table's, and only the fit and the report are made. Where cells are
    submitted, the dependent job calls this again; where it finds some missing, it fits and reports the others.

    Raises:
        UserError: cells failed here, or a stage cannot be.
    """
    config, console = asked.config, asked.console
    folder = sweep_folder(config)
    if config.points:  # runs that somebody else has trained: there is nothing to plan or to train
        asked = replace(asked, config=replace(config, out=config.out or str(folder.path)))
        fit.run(asked)
        report.run(asked)
        return Outcome.DONE
    outcome = sweep.run(asked)
    if outcome is Outcome.QUEUED:
        return outcome
    kept = _kept_fit(folder, console)
    if kept is None:
        fit.run(asked)
    else:
        say(kept.summary(), console)
    ablations = [folder.ablations] if folder.ablations.exists() else []
    if up_to_date(folder.report, folder.fit, *ablations):
        console.print(f"nothing changed since {folder.report}", highlight=False, soft_wrap=True)
        publish.run(config, folder, console)
    else:
        report.run(asked)
    return outcome


def _kept_fit(folder: SweepFolder, console: Console) -> Fit | None:
    """The fit in ``folder``; None where there is none, or one that is damaged or older than what it is made of."""
    if not up_to_date(folder.fit, folder.table, folder.config, folder.plan):
        return None
    try:
        return load_fit(folder.fit)
    except UserError as damaged:
        say(str(damaged), console)
        return None
