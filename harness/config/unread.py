"""Arguments of one command given to another, which would ignore them in silence."""

import re
from collections.abc import Mapping, Sequence

from harness.config.renamed import current_section
from harness.errors import UserError

HEAD = re.compile(r"[+~\s]*(\w+)")  # of 'tune=demo', '+arms.one=[]', '~points'


def refuse_unread(command: str, overrides: Sequence[str], reads: Mapping[str, Sequence[str]]) -> None:
    """Refuse an override of a key that other commands read and ``command`` does not.

    Only what a user typed: a configuration that was frozen, or an experiment's file, has the keys of every command.

    Args:
        command: a key of ``reads``.
        overrides: Hydra overrides.
        reads: by command, the keys beyond the experiment that it reads.

    Raises:
        UserError: the key, and the commands that read it.
    """
    for override in overrides:
        found = HEAD.match(override)
        key = current_section(found[1]) if found else ""
        readers = [f"'isoflop {name}'" for name, keys in reads.items() if key in keys]
        if readers and key not in reads[command]:
            *others, last = readers
            named = f"{', '.join(others)} and {last} do" if others else f"{last} does"
            raise UserError(f"{command}: does not read '{key}'; {named}")
