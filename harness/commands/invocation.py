"""What every command is given, and what it gives back: ``run(asked: Invocation) -> Outcome``."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from rich.console import Console

C = TypeVar("C")


@dataclass(frozen=True)
class Invocation(Generic[C]):
    """One call of a command.

    Attributes:
        config: composed and checked; :class:`harness.config.schema.Config`, of ``predict`` its own.
        yaml: the same as it was composed.
        console: for what is printed.
        overrides: what the user typed; empty in a dependent job, whose configuration is that of its submission.
        submission: the folder's name of the submission whose dependent job this process is; empty by hand.
        as_json: print the answer for programs.
        sources, keep: for ``fetch``: packages or folders that are here already; leave what was downloaded.
    """

    config: C
    yaml: str
    console: Console
    overrides: tuple[str, ...] = ()
    submission: str = ""
    as_json: bool = False
    sources: tuple[str, ...] = ()
    keep: bool = False
