"""``isoflop clean``: what sweeps have on disk, and the removal of what nothing needs."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.launcher import Outcome
from harness.text import counted, data_size
from harness.workflow.clean import choose, folders_to_clean, kinds_of, remove_chosen, show
from harness.workflow.disk import cache_within
from harness.workflow.terminal import say


def run(asked: Invocation[Config]) -> Outcome:
    """Show every sweep's files by kind and what would go; with ``yes=true`` that goes.

    Raises:
        UserError: there is no such sweep or kind, or something could not be removed: the rest is.
    """
    config, console = asked.config, asked.console
    kinds, cache = kinds_of(config.what), cache_within(config)
    freed, would, problems = 0, 0, list[str]()
    for folder in folders_to_clean(config, console):
        chosen = choose(folder, kinds, cache)
        show(chosen, console)
        would += sum(item.frees for item in chosen.items)
        if config.yes:
            bytes_, failed = remove_chosen(chosen)
            freed, problems = freed + bytes_, problems + failed
    if config.yes:
        say(f"freed {data_size(freed)} ({', '.join(kinds)})", console)
    elif would:
        say(
            f"nothing is removed; the same with yes=true frees {data_size(would)} ({', '.join(kinds)})",
            console,
        )
    else:
        say(f"nothing to remove ({', '.join(kinds)})", console)
    if problems:
        more = f" (and {counted(len(problems) - 1, 'more')})" if len(problems) > 1 else ""
        raise UserError(f"{problems[0]}{more}: not removed; make it writable and run the command again")
    return Outcome.DONE
