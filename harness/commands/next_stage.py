"""What runs when jobs have ended: ``python -m harness.commands.next_stage COMMAND SUBMISSION`` goes on with COMMAND.

It is the command itself once more, on the configuration it was submitted with. What is finished is not repeated, so
the command finds its next stage: it fits and reports, or it submits the follow-ups with another such job behind them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from harness.commands import compare, rematch, reproduce, tune
from harness.commands.errand import Outcome
from harness.commands.submitted import submitted_config
from harness.config.schema import Config
from harness.errors import UserError
from harness.sweep.slurm.ledger import Ledger

# Called with behind=True.
COMMANDS: dict[str, Callable[[Config, str, Console, bool], Outcome]] = {
    "reproduce": reproduce.run,
    "tune": tune.run,
    "rematch": rematch.run,
    "compare": compare.go_on,
}
EXIT_INCOMPLETE = 1


def main(command: str, folder: Path) -> int:
    """Go on with ``command`` behind the submission in ``folder``; returns the exit status.

    0: the stage is done, or another one is submitted; 1: cells are missing, or something refused.
    """
    console = Console(file=sys.stdout, width=160)
    newer = [one for one in Ledger(folder.parent).read() if int(one.folder) > int(folder.name)]
    if newer:  # it waits for everything that was queued, and has the newer plan
        last = newer[-1]
        then = (
            f"job {last.report_job} goes on" if last.report_job else "run the command again when it has ended"
        )
        _say(f"submission {last.folder} is newer than {folder.name}: {then}", console)
        return 0
    try:
        config, yaml = submitted_config(folder)
        outcome = COMMANDS[command](config, yaml, console, True)
    except UserError as error:
        _say(f"isoflop: {error}", console)
        return EXIT_INCOMPLETE
    return EXIT_INCOMPLETE if outcome is Outcome.INCOMPLETE else 0


def _say(text: str, console: Console) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
