"""What a command is about while its training may happen in jobs, and how far it came.

What a submission keeps of the command that made it.
"""

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from harness.config.frozen import load_config
from harness.config.schema import Config
from harness.data import prepared
from harness.launch.slurm.submit import read_task


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


def submitted_config(folder: Path) -> tuple[Config, str]:
    """The configuration that the submission in ``folder`` came from, and its YAML.

    The corpus is the tokenised one that its cells train on: a compute node may lack the text, or have another one.
    """
    yaml = (folder / "config.yaml").read_text(encoding="utf-8")
    config = load_config(yaml)
    if not (folder / "tasks").is_dir():  # a job without cells of its own
        return config, yaml
    job = read_task(folder, 0)[0][0]
    return replace(config, data=prepared(config.data, job.corpus, job.domains)), yaml
