"""The dependent job: ``python -m harness.commands.next_stage COMMAND SUBMISSION`` continues with COMMAND.

It is the command itself once more, on the configuration it was submitted with. What is finished is not repeated, so
the command finds its next stage: it fits and reports, or it submits the follow-ups with another such job.
"""

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rich.console import Console

from harness.commands import compare, evaluate, reproduce, tune, validate
from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.launcher import Outcome
from harness.launch.ledger import Ledger
from harness.launch.registry import submitter_of
from harness.runs.files import SweepFolder
from harness.workflow.ended import told
from harness.workflow.terminal import say
from harness.workflow.training import mend_corpora, submitted_config

COMMANDS: dict[str, Callable[[Invocation[Config]], Outcome]] = {
    "reproduce": reproduce.run,
    "tune": tune.run,
    "validate": validate.run,
    "rematch": validate.run,  # of jobs that an earlier version submitted
    "compare": compare.run,
    "evaluate": evaluate.run,
}
EXIT_INCOMPLETE = 1


def main(command: str, folder: Path) -> int:
    """Continue with ``command`` after the submission in ``folder``; returns the exit status.

    0: the stage is done, or another one is submitted; 1: cells are missing, or something refused.
    """
    console = Console(file=sys.stdout, width=160, markup=False)
    sweep, ledger = SweepFolder(folder.parent.parent), Ledger(folder.parent)
    if not ledger.knows(folder.name):
        say(f"submission {folder.name} was given up: nobody was told that it had been taken", console)
        return 0
    try:
        for text in submitter_of(sweep).settle(sweep):
            say(text, console)
        # a newer one waits for all that was queued, and has the newer plan
        if newer := ledger.newer(folder.name):
            say(newer.takes_over, console)
            return 0
        if (folder / "tasks").is_dir():
            mend_corpora(folder, 0, console)
        config, yaml = submitted_config(folder)
        asked = Invocation(config, yaml, console, submission=folder.name)
        if command == "evaluate":
            outcome = COMMANDS[command](asked)
        else:
            began = _submitted(ledger, folder.name)
            outcome = told(command, config, lambda: COMMANDS[command](asked), began)
    except (UserError, OSError) as error:
        say(f"isoflop: {error}; the same command by hand continues from here", console)
        return EXIT_INCOMPLETE
    return EXIT_INCOMPLETE if outcome is Outcome.INCOMPLETE else 0


def _submitted(ledger: Ledger, folder: str) -> float | None:
    """When the submission in ``folder`` was made, seconds since 1970; None where that is not known."""
    try:
        made = [one.submitted for one in ledger.read() if one.folder == folder]
        return datetime.fromisoformat(made[0]).timestamp() if made else None
    except (UserError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
