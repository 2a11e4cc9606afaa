"""What a command is about while its training may happen in jobs, and how far it came."""

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """How far a command, or the training of what was missing, came.

    Attributes:
        DONE: everything has ended; the next stage may begin.
        QUEUED: cells are left to the queue; this process stops here, and the job behind them does the rest.
        INCOMPLETE: cells are missing that this process may not submit.
    """

    DONE = "done"
    QUEUED = "queued"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class Errand:
    """A command as a job can do it again.

    Attributes:
        command: which one, a key of :data:`harness.commands.next_stage.COMMANDS`.
        yaml: the composed configuration it was asked with.
        behind: the folder's name of the submission that this process is the job behind of; empty by hand. Such a job
            submits what was never submitted, the next stage, and nothing a second time: what failed once is left to
            the user, so nothing goes round for ever.
    """

    command: str
    yaml: str
    behind: str = ""
