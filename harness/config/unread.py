"""Arguments of one command given to another, which would ignore them in silence."""

import re
from collections.abc import Sequence

from harness.config.renamed import current_section
from harness.errors import UserError

# Keys that are arguments of some commands, and which of them each command reads; every other key describes the
# experiment, and is any command's. 'reproduce' is sweep, fit and report; 'compare' reproduces every arm, whose results
# are looked for in their own folders.
READS: dict[str, tuple[str, ...]] = {
    "plan": (),
    "sweep": (),
    "train": ("run",),
    "tune": ("tune", "write"),
    "calibrate": ("calibrate", "write"),
    "status": ("arms",),
    "cancel": ("arms",),
    "fit": ("points", "out", "compare", "source", "project", "group"),
    "report": ("points", "out"),
    "predict": ("points", "write"),
    "compare": ("arms", "compare"),
    "validate": ("validate",),
    "reproduce": ("points", "out", "compare", "source", "project", "group"),
}

HEAD = re.compile(r"[+~\s]*(\w+)")  # of 'tune=demo', '+arms.one=[]', '~points'


def refuse_unread(command: str, overrides: Sequence[str]) -> None:
    """Refuse an override of a key that other commands read and ``command`` does not.

    Only what a user typed: a configuration that was frozen, or an experiment's file, has the keys of every command.

    Args:
        command: a key of :data:`READS`.
        overrides: Hydra overrides.

    Raises:
        UserError: the key, and the commands that read it.
    """
    for override in overrides:
        found = HEAD.match(override)
        key = current_section(found[1]) if found else ""
        readers = [f"'isoflop {name}'" for name, keys in READS.items() if key in keys]
        if readers and key not in READS[command]:
            *others, last = readers
            named = f"{', '.join(others)} and {last} do" if others else f"{last} does"
            raise UserError(f"{command}: does not read '{key}'; {named}")
